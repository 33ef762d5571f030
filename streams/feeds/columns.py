"""A product from named texts, as tables and XML have them: our names, Google Merchant Center's, OpenAI's.

Source: Google Merchant Center, product data specification (answer 7052112).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from recsys.errors import EventError
from recsys.events import Product
from streams.wire.product import read_product
from streams.wire.reading import decode_object
from streams.wire.times import read_time

NAMES: dict[str, tuple[str, ...]] = {
    "item_id": ("item_id", "id", "product_id", "sku", "item"),
    "title": ("title", "name", "item_name", "text"),
    "description": ("description",),
    "brand": ("brand", "item_brand"),
    "group_id": ("group_id", "item_group_id"),
    "url": ("url", "link"),
}
IMAGE_NAMES = ("image", "images", "image_link", "image_url")
MORE_IMAGE_NAMES = ("additional_image_link", "additional_image_urls")
ATTRIBUTES = {
    "color": "colour",
    "colour": "colour",
    "size": "size",
    "material": "material",
    "pattern": "pattern",
    "gender": "gender",
    "age_group": "age_group",
    "condition": "condition",
    "gtin": "gtin",
    "mpn": "mpn",
}
_ATTRIBUTE_PREFIX = "attributes."
_YES = "true 1 yes y instock preorder presale backorder limitedavailability onlineonly instoreonly madetoorder"
_NO = "false 0 no n outofstock soldout discontinued"
_AVAILABLE = {**dict.fromkeys(_YES.split(), True), **dict.fromkeys(_NO.split(), False)}
_AMOUNT = r"\d{1,15}(?:\.\d{1,4}|,\d\d?)?"
_PRICE = re.compile(rf"(?P<before>[A-Za-z]{{3}})?\s*(?P<amount>{_AMOUNT})\s*(?P<after>[A-Za-z]{{3}})?")
_NUMBER = re.compile(r"\d{1,20}(?:\.\d{1,20})?")
_LEVELS = re.compile(r"\s*[>|]\s*")

Texts = Mapping[str, str]


def column_name(name: str) -> str:
    """The name as it is looked up: `g:image link` and `Image_Link` are `image_link`."""
    return re.sub(r"[\s_-]+", "_", name.strip().lower().removeprefix("g:"))


def product_of(texts: Texts, now_ms: int, more_images: Sequence[str] = ()) -> Product:
    """The product of a row; `texts` by `column_name`, empty where there is nothing.

    Raises
    ------
    EventError
        As `parse_product`.
    """
    raw: dict[str, object] = {ours: _first(texts, names) for ours, names in NAMES.items()}
    raw["image"] = _images(texts, more_images)
    raw["category"] = _categories(texts)
    raw["tags"] = [tag.strip() for tag in texts.get("tags", "").replace("|", ",").split(",") if tag.strip()]
    raw["price"] = _price(texts, now_ms)
    raw["available"] = _available(_first(texts, ("available", "availability")))
    raw["attributes"] = _attributes(texts)
    raw["created_at"] = time_of_text("created_at", texts["created_at"]) if texts.get("created_at") else None
    return read_product({name: value for name, value in raw.items() if value not in ("", [], {}, None)}, now_ms)


def time_of_text(name: str, text: str) -> int:
    """Epoch milliseconds of a text: a number, RFC 3339 or ISO 8601; in files a time without a zone is UTC.

    Raises
    ------
    EventError
        As `read_time`.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return read_time(name, float(text) if "." in text else int(text))
    try:
        return read_time(name, text)
    except EventError as error:
        if error.reason != "invalid-time":
            raise
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise error from None
        return read_time(name, moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _first(texts: Texts, names: Sequence[str]) -> str:
    return next((texts[name].strip() for name in names if texts.get(name, "").strip()), "")


def _images(texts: Texts, more_images: Sequence[str]) -> list[str]:
    main = _first(texts, IMAGE_NAMES)
    # A data: URI holds commas of its own; addresses in a feed have theirs escaped.
    found = [main] if main.startswith("data:") else main.split(",")
    more = [part for name in MORE_IMAGE_NAMES for part in texts.get(name, "").split(",")]
    return [image.strip() for image in (*found, *more, *more_images) if image.strip()]


def _categories(texts: Texts) -> list[str]:
    """The shop's own path before Google's; a bare number of Google's taxonomy says nothing to a shopper."""
    path = _first(texts, ("category", "product_type", "product_category"))
    if not path:
        google = texts.get("google_product_category", "").strip()
        path = "" if google.isdigit() else google
    return [level for level in _LEVELS.split(path.strip()) if level]


def _price(texts: Texts, now_ms: int) -> dict[str, object] | None:
    sale = texts.get("sale_price", "").strip()
    text = sale if sale and _is_on_sale(texts, now_ms) else texts.get("price", "").strip()
    if not text:
        return None
    found = _PRICE.fullmatch(text)
    if found is None:
        raise EventError("wrong-type", "price must be a number with its currency, such as 59.90 EUR.")
    currency = found["after"] or found["before"] or _first(texts, ("currency", "price_currency"))
    return {"amount": float(found["amount"].replace(",", ".")), "currency": currency}


def _is_on_sale(texts: Texts, now_ms: int) -> bool:
    start, _, end = texts.get("sale_price_effective_date", "").strip().partition("/")
    if not end:
        return True
    try:
        return (
            time_of_text("sale_price_effective_date", start) <= now_ms < time_of_text("sale_price_effective_date", end)
        )
    except EventError:
        return False  # the plain price is never wrong


def _available(text: str) -> bool | None:
    if not text:
        return None
    word = text.rsplit("/", 1)[-1].lower()  # schema.org's are addresses
    available = _AVAILABLE.get(re.sub(r"[\s_-]", "", word))
    if available is None:
        raise EventError(
            "wrong-type", "availability must be in_stock, out_of_stock, preorder, backorder, true or false."
        )
    return available


def _attributes(texts: Texts) -> dict[str, object]:
    own = texts.get("attributes", "").strip()
    named: dict[str, object] = dict(decode_object(own.encode())) if own else {}
    for name, text in texts.items():
        ours = name[len(_ATTRIBUTE_PREFIX) :] if name.startswith(_ATTRIBUTE_PREFIX) else ATTRIBUTES.get(name)
        if ours and text.strip():
            named[ours] = text.strip()
    return named
