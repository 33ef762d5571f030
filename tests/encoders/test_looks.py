"""A picture's look: what changes it, and what does not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from encoders.looks import look_of


def bits_between(one: bytes, other: bytes) -> int:
    return int(np.bitwise_count(np.frombuffer(one, np.uint64) ^ np.frombuffer(other, np.uint64)).sum())


def recompressed(picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=40)
    return Image.open(buffer).convert("RGB")


def a_scene(seed: int) -> Image.Image:
    """Shapes of chance on ground that grows darker to one side."""
    rng = np.random.default_rng(seed)
    scene = Image.linear_gradient("L").resize((300, 240)).convert("RGB")
    for colour in ("red", "white", "navy", "green", "orange"):
        x, y, side = (int(number) for number in rng.integers(20, 180, 3))
        scene.paste(colour, (x, y, x + side // 2, y + side // 2))
    return scene


@pytest.mark.parametrize(
    "change",
    [
        recompressed,
        lambda p: p.resize((p.width // 2, p.height // 2)),
        lambda p: ImageEnhance.Brightness(p).enhance(1.1),
    ],
    ids=["recompressed", "half the size", "brighter"],
)
@pytest.mark.parametrize("seed", range(4))
def test_a_changed_copy_looks_alike(seed, change):
    picture = a_scene(seed)

    assert bits_between(look_of(picture), look_of(change(picture))) <= 6


def test_another_picture_looks_otherwise():
    looks = [look_of(a_scene(seed)) for seed in range(4)]

    assert min(bits_between(one, other) for one in looks for other in looks if one is not other) > 12


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3, 2)])
def test_any_picture_has_a_look(size):
    assert len(look_of(Image.new("RGB", size, "red"))) == 8
