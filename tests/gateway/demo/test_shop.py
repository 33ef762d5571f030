"""The sample shop: enough products, true attributes, readable texts in both languages, small pictures."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gateway.demo.colours import COLOURS
from gateway.demo.drawings import SHELVES, Kind
from gateway.demo.shop import OPENED_MS, SampleProduct, sample_shop, write_pictures
from gateway.demo.studio import SIDE, Look, cut_out
from streams.wire.product import parse_product

ALL_KINDS = [(kind, kind.colours or shelf.colours) for shelf in SHELVES for kind in shelf.kinds]
HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def shop() -> list[SampleProduct]:
    return list(sample_shop(seed=3, size=600))


def dominant_colour(look: Look) -> str:
    """The named colour that has a tone nearest to most of the drawing's pixels, its black outlines aside."""
    pixels = np.asarray(cut_out(look)).reshape(-1, 4)
    inside = pixels[(pixels[:, 3] > 250) & (pixels[:, :3].sum(1) > 100)][:, :3].astype(np.int32)
    tones = [(c.name, bytes.fromhex(tone)) for c in COLOURS.values() for tone in (c.light, c.base, c.dark)]
    distances = ((inside[:, None, :] - np.array([list(tone) for _, tone in tones])[None]) ** 2).sum(2)
    names = np.array([name for name, _ in tones])[distances.argmin(1)]
    found, counts = np.unique(names, return_counts=True)
    return str(found[counts.argmax()])


def test_the_same_seed_gives_the_same_shop_and_another_seed_another(shop: list[SampleProduct]) -> None:
    again = list(sample_shop(seed=3, size=600))

    assert [p.message for p in again] == [p.message for p in shop]
    assert again[7].picture() == shop[7].picture()
    assert [p.message for p in sample_shop(seed=4, size=600)] != [p.message for p in shop]


@pytest.mark.parametrize("size", [1, 500, 600, 2000])
def test_the_shop_is_as_large_as_asked_and_no_id_comes_twice(size: int) -> None:
    products = list(sample_shop(seed=0, size=size))

    assert len({p.item_id for p in products}) == len(products) == size


def test_every_kind_is_in_the_shop_and_no_colour_of_a_model_twice(shop: list[SampleProduct]) -> None:
    assert {p.look.hexcode for p in shop} == {kind.hexcode for kind, _ in ALL_KINDS}
    variants = [(p.message["group_id"], p.look.colour) for p in shop if "group_id" in p.message]
    assert len(set(variants)) == len(variants)


@pytest.mark.parametrize(("kind", "colours"), ALL_KINDS, ids=[kind.name for kind, _ in ALL_KINDS])
def test_the_picture_has_the_colour_that_the_attributes_name(kind: Kind, colours: str) -> None:
    names = colours.split()
    for name in {names[0], names[-1], names[len(names) // 2]}:
        assert dominant_colour(Look(kind.hexcode, kind.paint, name)) == name


def test_a_pattern_leaves_the_colour_and_changes_the_picture(shop: list[SampleProduct]) -> None:
    patterned = [p for p in shop if p.look.pattern][:30]

    assert {p.look.pattern for p in patterned} == {"striped", "dotted", "checked"}
    for product in patterned:
        look = product.look
        plain = Look(look.hexcode, look.paint, look.colour, scale=look.scale)
        cloth = Look(look.hexcode, look.paint, look.colour, look.pattern, scale=look.scale)
        assert cut_out(plain).tobytes() != cut_out(cloth).tobytes()
        assert product.message["attributes"]["pattern"] == look.pattern


def test_texts_say_what_the_attributes_say_in_both_languages(shop: list[SampleProduct]) -> None:
    for product in shop:
        message, attributes = product.message, product.message["attributes"]
        assert attributes["colour"] == product.look.colour
        assert attributes["colour"] in message["description"]
        assert message["brand"] in message["description"]
        assert attributes["title_zh"] in message["description"]
        assert HAN.search(attributes["title_zh"])
        assert not HAN.search(message["title"])


def test_every_message_is_a_product_of_the_contract(shop: list[SampleProduct]) -> None:
    for product in shop:
        parsed = parse_product(json.dumps(product.message).encode(), record_ts_ms=OPENED_MS)
        assert parsed.images == (product.message["image"],)
        assert parsed.created_at_ms is not None
        assert parsed.created_at_ms <= OPENED_MS


def test_a_few_products_are_sold_out_and_prices_are_a_shops(shop: list[SampleProduct]) -> None:
    sold_out = [p for p in shop if not p.message["available"]]

    assert 3 <= len(sold_out) <= 45
    assert all(p.message["price"]["currency"] == "EUR" for p in shop)
    assert all(0 < p.message["price"]["amount"] < 3000 for p in shop)
    assert all(len(p.message["category"]) == 2 for p in shop)


def test_pictures_are_small_jpegs_where_the_message_says(shop: list[SampleProduct], tmp_path: Path) -> None:
    first = shop[:12]
    assert list(write_pictures(first, tmp_path)) == first

    for product in first:
        data = (tmp_path / product.message["image"]).read_bytes()
        assert len(data) <= 40 * 1024
        with Image.open(io.BytesIO(data)) as image:
            assert (image.format, image.size) == ("JPEG", (SIDE, SIDE))
    assert not list(tmp_path.rglob("*.part"))


def test_a_picture_that_is_there_is_not_drawn_again(shop: list[SampleProduct], tmp_path: Path) -> None:
    path = tmp_path / shop[0].message["image"]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")

    list(write_pictures(shop[:1], tmp_path))

    assert path.read_bytes() == b"mine"
