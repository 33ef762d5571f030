"""Catalogue pictures and photos as the bundled encoder sees them."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from encoders.colour import DIM, colours
from encoders.product_pictures import ProductPictures, is_on_plain_ground, refuse_empty, views_of
from recsys.errors import EncodingError


def on_ground(colour: str, box: tuple[int, int, int, int] = (90, 40, 130, 80), ground: str = "white") -> Image.Image:
    picture = Image.new("RGB", (256, 192), ground)
    ImageDraw.Draw(picture).ellipse(box, fill=colour)
    return picture


def a_photo(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (64, 80, 3), dtype=np.uint8))


class MeanColour:
    dim = 3

    def encode(self, batch):
        means = np.array([np.asarray(picture, np.float32).mean((0, 1)) for picture in batch]).reshape(-1, 3)
        return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)


def test_a_product_on_plain_ground_fills_its_views():
    white, dark = views_of(on_ground("red")).seen

    assert white.size == dark.size
    assert white.width < 60
    assert white.getpixel((0, 0)) == (255, 255, 255)
    assert max(dark.getpixel((0, 0))) < 60
    assert white.getpixel((white.width // 2, white.height // 2))[0] > 200


def test_a_photo_is_seen_whole_and_its_middle_from_nearer():
    photo = a_photo()
    seen = views_of(photo).seen

    assert seen[0] is photo
    side = int(0.6 * min(photo.size))
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    assert np.array_equal(np.asarray(seen[1]), np.asarray(photo)[top : top + side, left : left + side])


@pytest.mark.parametrize("ground", ["white", "black", "#3366cc"])
def test_plain_ground_of_any_colour_counts(ground):
    assert is_on_plain_ground(on_ground("red", ground=ground))


@pytest.mark.parametrize(
    "picture",
    [a_photo(), Image.new("RGB", (80, 80), "white"), on_ground("red", (90, 40, 93, 43)), Image.new("RGB", (1, 1))],
    ids=["photo", "blank", "a speck", "one pixel"],
)
def test_photos_and_pictures_of_nothing_are_not_products_on_plain_ground(picture):
    assert not is_on_plain_ground(picture)


def test_a_product_has_one_vector_wherever_it_stands_on_its_ground():
    encoder = ProductPictures("test", MeanColour())
    here, there = encoder.encode([on_ground("red"), on_ground("red", (10, 100, 50, 140))])

    assert here @ there > 0.999


def test_rows_are_unit_vectors_of_network_and_colours():
    encoder = ProductPictures("test", MeanColour())
    vectors = encoder.encode([on_ground("red"), a_photo(), Image.new("RGB", (5, 5))])

    assert vectors.shape == (3, 3 + DIM) == (3, encoder.dim)
    assert np.allclose(np.linalg.norm(vectors[:2], axis=1), 1, atol=1e-6)
    assert encoder.encode([]).shape == (0, encoder.dim)


@pytest.mark.parametrize(
    ("picture", "reason"),
    [(Image.new("RGB", (200, 200), "grey"), "picture-blank"), (a_photo().resize((200, 9)), "picture-too-small")],
)
def test_a_picture_that_shows_nothing_is_refused_with_its_reason(picture, reason):
    with pytest.raises(EncodingError) as refused:
        refuse_empty(picture)

    assert refused.value.reason == reason


def test_a_picture_of_little_is_not_refused():
    refuse_empty(on_ground("#f0f0f0"))


def test_like_colours_are_nearer_than_others():
    red, dark_red, green = (colours(Image.new("RGB", (9, 9), name), focus=True) for name in ("red", "#e60000", "green"))

    assert red @ dark_red > 0.95
    assert red @ green < 0.1


def test_grey_has_no_colour():
    assert not colours(Image.new("RGB", (9, 9), "grey"), focus=False).any()


def test_what_stands_in_the_middle_counts_for_more_with_focus():
    picture = on_ground("red", (98, 66, 158, 126), ground="#0000ff")
    red = colours(Image.new("RGB", (9, 9), "red"), focus=False)

    assert colours(picture, focus=True) @ red > colours(picture, focus=False) @ red
