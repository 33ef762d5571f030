"""The procedural catalogue: any size, quickly, with attributes that the picture has exactly."""

import io
import itertools
import json

import numpy as np
import pytest
from PIL import Image

from gateway.demo.colours import COLOURS
from gateway.demo.procedural import PATTERNS, SILHOUETTES, draw, procedural_products
from streams.wire.product import parse_product


def pixels(
    colour: str, pattern: str = "plain", shape: str = "box"
) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    png = draw({"attributes": {"shape": shape, "colour": colour, "pattern": pattern}})
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_the_same_seed_gives_the_same_products_and_more_of_them_begin_alike() -> None:
    few = list(procedural_products(200, seed=9))

    assert list(procedural_products(300, seed=9))[:200] == few
    assert list(procedural_products(200, seed=8)) != few


def test_a_large_catalogue_has_no_id_twice() -> None:
    assert len({product["item_id"] for product in procedural_products(20_000, seed=0)}) == 20_000


def test_every_product_is_one_of_the_contract() -> None:
    for product in procedural_products(300, seed=1):
        parsed = parse_product(json.dumps(product).encode(), record_ts_ms=1_800_000_000_000)
        assert parsed.attributes["colour"] in parsed.title.lower()


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_most_of_the_thing_has_its_colour(colour: str, pattern: str) -> None:
    image = pixels(colour, pattern).reshape(-1, 3)
    thing = image[(image != image[0]).any(axis=1)]
    has_base = (thing == list(bytes.fromhex(COLOURS[colour].base))).all(axis=1)

    assert has_base.mean() > 0.5
    assert (has_base.mean() < 1.0) == (pattern != "plain")


def test_every_shape_and_pattern_looks_different() -> None:
    pictures = {pixels("blue", pattern, shape).tobytes() for shape, pattern in itertools.product(SILHOUETTES, PATTERNS)}

    assert len(pictures) == len(SILHOUETTES) * len(PATTERNS)
