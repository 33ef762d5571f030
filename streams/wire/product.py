"""Products: our spelling and that of GA4's and Segment's items in, the contract's spelling out."""

from collections.abc import Mapping

import msgspec

from recsys.errors import EventError
from recsys.events import Price, Product
from streams.log.base import Headers
from streams.wire import aliases
from streams.wire.cloud_events import read_headers
from streams.wire.keys import UNKEYED, Key, check_key
from streams.wire.limits import (
    MAX_ATTRIBUTES,
    MAX_CATEGORIES,
    MAX_DATA_URI_CHARS,
    MAX_DESCRIPTION_CHARS,
    MAX_IMAGES,
    MAX_NAME_CHARS,
    MAX_TAGS,
    MAX_TITLE_CHARS,
    MAX_URL_CHARS,
    check_text,
)
from streams.wire.reading import Fields, check_number, decode_object, typed
from streams.wire.times import read_time, rfc3339

MAX_PRICE = 1e12
ANNOUNCED_MS = 366 * 86_400_000
_encoder = msgspec.json.Encoder()


def parse_product(value: bytes, *, key: Key = UNKEYED, headers: Headers = (), record_ts_ms: int) -> Product:
    """The product of a message (not of a tombstone); `key` is the record's, left out where it is no record yet.

    `record_ts_ms` is the broker's time stamp; `created_at` may lie up to a year ahead of it, for announcements.

    Raises
    ------
    EventError
        See `docs/events.md` for the reasons.
    """
    if headers:
        read_headers(headers)
    product = read_product(decode_object(value), record_ts_ms)
    check_key("item_id", product.item_id, key)
    return product


def read_product(raw: Mapping[str, object], record_ts_ms: int) -> Product:
    """The product of a decoded message or of a feed's row."""
    fields = Fields(raw)
    item_id = fields.id(*aliases.ITEM_ID)
    if not item_id:
        raise EventError("missing-field", "item_id is missing.")
    product = Product(
        item_id=item_id,
        title=fields.text(*aliases.TITLE, limit=MAX_TITLE_CHARS),
        description=fields.text("description", limit=MAX_DESCRIPTION_CHARS),
        category=_category(fields),
        brand=fields.text(*aliases.BRAND, limit=MAX_NAME_CHARS),
        price=_price(fields),
        images=_images(fields),
        tags=fields.texts("tags", most=MAX_TAGS, limit=MAX_NAME_CHARS),
        attributes=_attributes(fields),
        available=fields.flag("available", default=True),
        created_at_ms=_created_at(fields, record_ts_ms),
        group_id=fields.id(*aliases.GROUP_ID),
        url=fields.text(*aliases.URL, limit=MAX_URL_CHARS),
    )
    if not (product.title or product.description or product.images):
        raise EventError("missing-field", "One of title, description and image must be there.")
    return product


def encode_product(product: Product) -> bytes:
    """The message of a product, in the contract's spelling; what is empty is left out."""
    images = product.images
    message: dict[str, object] = {
        "item_id": product.item_id,
        "title": product.title,
        "description": product.description,
        "category": product.category,
        "brand": product.brand,
        "price": product.price,
        "image": images[0] if len(images) == 1 else images,
        "tags": product.tags,
        "attributes": product.attributes,
        "created_at": None if product.created_at_ms is None else rfc3339(product.created_at_ms),
        "group_id": product.group_id,
        "url": product.url,
    }
    present = {name: value for name, value in message.items() if value}
    return _encoder.encode({**present, "available": product.available})


def _category(fields: Fields) -> tuple[str, ...]:
    """From the widest to the narrowest: a list, one text, or GA4's `item_category` to `item_category5`."""
    first = fields.texts(*aliases.CATEGORY, most=MAX_CATEGORIES, limit=MAX_NAME_CHARS)
    deeper = (fields.text(name, limit=MAX_NAME_CHARS) for name in aliases.DEEPER_CATEGORIES)
    return first + tuple(text for text in deeper if text)


def _price(fields: Fields) -> Price | None:
    """`{"amount", "currency"}`, or a number beside a `currency`."""
    _, value = fields.find(("price",))
    if value is None:
        return None
    if not isinstance(value, dict):
        value = {"amount": value, "currency": fields.find(("currency",))[1]}
    parts = Fields(value)
    _, amount = parts.find(("amount",))
    if amount is None:
        raise EventError("missing-field", "price.amount is missing.")
    number = check_number("price.amount", amount, 0, MAX_PRICE)
    currency = parts.text("currency", limit=MAX_NAME_CHARS).upper()
    if not currency:
        raise EventError("missing-field", "price.currency is missing.")
    if len(currency) != 3 or not (currency.isascii() and currency.isalpha()):
        raise EventError("out-of-range", "price.currency must be an ISO 4217 code of three letters.")
    return Price(number, currency)


def _images(fields: Fields) -> tuple[str, ...]:
    """Sources as they are; whether each can be fetched and decoded is found later and costs no product."""
    _, given = fields.find(aliases.IMAGES)
    for image in given if isinstance(given, list) else [given]:
        if isinstance(image, str) and image.startswith("data:") and len(image) > MAX_DATA_URI_CHARS:
            raise EventError(
                "too-large", f"A data: picture has {len(image)} characters; at most {MAX_DATA_URI_CHARS} are taken."
            )
    images = fields.texts(*aliases.IMAGES, most=MAX_IMAGES, limit=MAX_DATA_URI_CHARS)
    for image in images:
        if not image.startswith("data:"):
            check_text("image", image, MAX_URL_CHARS)
    return images


def _attributes(fields: Fields) -> dict[str, str]:
    attributes = fields.object("attributes")
    if len(attributes) > MAX_ATTRIBUTES:
        raise EventError("too-many", f"attributes has {len(attributes)} entries; at most {MAX_ATTRIBUTES} are taken.")
    return {
        check_text("attributes", name, MAX_NAME_CHARS): check_text(
            "attributes", typed(f"attributes[{name[:40]!r}]", value, str), MAX_NAME_CHARS
        )
        for name, value in attributes.items()
        if value is not None
    }


def _created_at(fields: Fields, record_ts_ms: int) -> int | None:
    name, value = fields.find(("created_at",))
    if value is None:
        return None
    created_at_ms = read_time(name, value)
    if created_at_ms > record_ts_ms + ANNOUNCED_MS:
        raise EventError("in-the-future", "created_at lies more than a year ahead of the broker's clock.")
    return created_at_ms
