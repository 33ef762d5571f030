"""A drawn catalogue of any size for tests and load: silhouette x colour x pattern, known exactly.

Unlike the sample shop it needs no drawings and no taste: 100,000 products in seconds, a picture on request.
"""

import io
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from PIL import Image, ImageDraw

from gateway.demo.colours import COLOURS

PATTERNS: tuple[str, ...] = ("plain", "striped", "dotted", "checked")
_SIDE = 160
_GROUND = "#E2E5EA"
_STEP = 16  # pixels between stripes; below 8 the image network's scaling washes them out
_BRANDS: tuple[str, ...] = tuple(f"{first}{last}" for first in ("Nor", "Vel", "Kas", "Tir") for last in "aeiou")
_FIRST_MS = 1_700_000_000_000


def _mug(draw: ImageDraw.ImageDraw) -> None:
    draw.rounded_rectangle((40, 45, 105, 125), 8, fill=255)
    draw.ellipse((92, 60, 132, 105), outline=255, width=10)


def _shirt(draw: ImageDraw.ImageDraw) -> None:
    draw.polygon(((60, 35), (100, 35), (140, 60), (125, 82), (112, 74), (112, 130), (48, 130), (48, 74), (35, 82),
                  (20, 60)), fill=255)  # fmt: skip


def _bag(draw: ImageDraw.ImageDraw) -> None:
    draw.arc((55, 22, 105, 90), 180, 360, fill=255, width=8)
    draw.polygon(((35, 60), (125, 60), (138, 132), (22, 132)), fill=255)


def _lamp(draw: ImageDraw.ImageDraw) -> None:
    draw.polygon(((58, 25), (102, 25), (130, 85), (30, 85)), fill=255)
    draw.rectangle((76, 85, 84, 125), fill=255)
    draw.ellipse((50, 118, 110, 136), fill=255)


def _ball(draw: ImageDraw.ImageDraw) -> None:
    draw.ellipse((30, 30, 130, 130), fill=255)


def _book(draw: ImageDraw.ImageDraw) -> None:
    draw.rectangle((38, 28, 122, 132), fill=255)


def _bottle(draw: ImageDraw.ImageDraw) -> None:
    draw.rectangle((70, 20, 90, 55), fill=255)
    draw.rounded_rectangle((55, 50, 105, 138), 14, fill=255)


def _box(draw: ImageDraw.ImageDraw) -> None:
    draw.polygon(((80, 25), (135, 50), (135, 110), (80, 136), (25, 110), (25, 50)), fill=255)


SILHOUETTES: dict[str, tuple[tuple[str, str], Callable[[ImageDraw.ImageDraw], None]]] = {
    "mug": (("Kitchen", "Mugs"), _mug),
    "shirt": (("Clothing", "Shirts"), _shirt),
    "bag": (("Bags", "Totes"), _bag),
    "lamp": (("Home", "Lamps"), _lamp),
    "ball": (("Sport", "Balls"), _ball),
    "book": (("Books", "Novels"), _book),
    "bottle": (("Kitchen", "Bottles"), _bottle),
    "box": (("Home", "Boxes"), _box),
}
_KINDS = tuple(SILHOUETTES)
_COLOURS = tuple(COLOURS)


def procedural_products(n: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Product messages as the contract has them, without pictures; the first n are the same for any larger n.

    Attributes `shape`, `colour` and `pattern` are exactly what `draw` paints. About 6 µs a product.
    """
    rng = random.Random(seed)
    for number in range(n):
        shape, colour, pattern = rng.choice(_KINDS), rng.choice(_COLOURS), rng.choice(PATTERNS)
        brand = rng.choice(_BRANDS)
        name = f"{colour} {pattern} {shape}"
        yield {
            "item_id": f"p-{number:07d}",
            "title": f"{name.capitalize()} {number}",
            "description": f"A {name} by {brand}.",
            "category": list(SILHOUETTES[shape][0]),
            "brand": brand,
            "price": {"amount": rng.randrange(199, 19_999) / 100, "currency": "EUR"},
            "tags": [shape, colour],
            "attributes": {"shape": shape, "colour": colour, "pattern": pattern},
            "available": True,
            "created_at": _FIRST_MS + number,
        }


def draw(product: Mapping[str, Any]) -> bytes:
    """The picture of a procedural product: a PNG of 160 x 160 pixels; equal attributes give equal bytes."""
    attributes = product["attributes"]
    colour = COLOURS[attributes["colour"]]
    cloth = Image.new("RGB", (_SIDE, _SIDE), f"#{colour.base}")
    _weave(ImageDraw.Draw(cloth), attributes["pattern"], f"#{colour.dark}")
    mask = Image.new("L", (_SIDE, _SIDE), 0)
    SILHOUETTES[attributes["shape"]][1](ImageDraw.Draw(mask))
    image = Image.new("RGB", (_SIDE, _SIDE), _GROUND)
    image.paste(cloth, mask=mask)
    packed = io.BytesIO()
    image.save(packed, "PNG")
    return packed.getvalue()


def _weave(draw: ImageDraw.ImageDraw, pattern: str, accent: str) -> None:
    """Paint the pattern over all of the cloth; it covers less than half of it."""
    steps = range(0, _SIDE, _STEP)
    if pattern in ("striped", "checked"):
        for at in steps:
            draw.rectangle((0, at, _SIDE, at + _STEP // 4 - 1), fill=accent)
    if pattern == "checked":
        for at in steps:
            draw.rectangle((at, 0, at + _STEP // 4 - 1, _SIDE), fill=accent)
    if pattern == "dotted":
        for x in steps:
            for y in steps:
                draw.ellipse((x + 4, y + 4, x + 11, y + 11), fill=accent)
