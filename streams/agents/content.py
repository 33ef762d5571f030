"""What of a product the encoders see, and what a page's card shows."""

import hashlib

import msgspec

from recsys.events import Product
from recsys.records import ContentHash

_encoder = msgspec.msgpack.Encoder()


def text_of(product: Product) -> str:
    """The text that stands for a product: title first, since encoders cut what is long."""
    parts = [
        product.title,
        product.brand,
        " > ".join(product.category),
        product.description,
        ", ".join(product.tags),
        ", ".join(f"{name}: {value}" for name, value in sorted(product.attributes.items())),
    ]
    return ". ".join(part.strip().rstrip(".") for part in parts if part.strip())


def content_hash(product: Product, text_encoder: str, image_encoder: str) -> ContentHash:
    """Equal for two products exactly if their vectors are: price, stock and flags do not count, encoders do."""
    seen = (
        product.title,
        product.description,
        product.category,
        product.brand,
        product.tags,
        sorted(product.attributes.items()),
        product.images,
        text_encoder,
        image_encoder,
    )
    return ContentHash(hashlib.blake2b(_encoder.encode(seen), digest_size=16).digest())


def card_of(product: Product) -> dict[str, str]:
    """The fields of `freshet:item:{item_id}`; what is empty is left out, and so is a picture within the message."""
    image = product.images[0] if product.images else ""
    card = {
        "item_id": product.item_id,
        "title": product.title,
        "brand": product.brand,
        "category": " > ".join(product.category),
        "image": "" if image.startswith("data:") else image,
        "url": product.url,
        "group_id": product.group_id,
        "available": "1" if product.available else "0",
    }
    if product.price is not None:
        card |= {"price": f"{product.price.amount:g}", "currency": product.price.currency}
    return {name: value for name, value in card.items() if value}
