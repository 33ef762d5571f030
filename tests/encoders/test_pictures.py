"""What is made of untrusted bytes."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from encoders.pictures import PictureLimits, decode_picture
from recsys.errors import EncodingError
from tests.encoders.drawings import a_gradient, a_shape, saved


def reason(data: bytes, limits: PictureLimits | None = None) -> str:
    with pytest.raises(EncodingError) as raised:
        decode_picture(data, 64, limits or PictureLimits())
    return raised.value.reason


def a_png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_each_format_comes_out_as_rgb_with_its_colours(kind):
    picture = decode_picture(saved(a_shape("rectangle", "red", 64), kind), 64)

    assert picture.mode == "RGB"
    assert picture.size == (64, 64)
    assert np.abs(np.asarray(picture)[32, 32].astype(int) - [255, 0, 0]).max() < 8
    assert np.asarray(picture)[1, 1].min() > 246


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "I;16", "CMYK"])
def test_each_kind_of_pixels_comes_out_as_rgb(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    grey = a_gradient(40, 30).convert("L")
    image = (
        Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
        if mode == "I;16"
        else a_gradient(40, 30).convert(mode)
    )

    picture = decode_picture(saved(image, kind), 64)

    assert picture.mode == "RGB"
    assert picture.size == (40, 30)
    if mode == "I;16":
        assert np.abs(np.asarray(picture)[:, :, 0].astype(int) - np.asarray(grey)).max() <= 1


def test_what_is_transparent_lies_on_white():
    image = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    image.putpixel((5, 5), (0, 0, 255, 255))
    palette = Image.new("P", (10, 10), 0)
    palette.putpalette([0, 0, 0, 0, 0, 255])
    palette.putpixel((5, 5), 1)

    for data in (saved(image), saved(image, "WEBP", lossless=True), saved(palette, transparency=0)):
        pixels = np.asarray(decode_picture(data, 64))
        assert pixels[0, 0].tolist() == [255, 255, 255]
        assert pixels[5, 5].tolist() == [0, 0, 255]


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_picture_stands_as_its_exif_says(turn):
    upright = a_gradient(32, 48)
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that the camera's own undoes
    stored = upright if turn == 1 else upright.transpose(Image.Transpose(undo[turn]))
    exif = Image.Exif()
    exif[0x0112] = turn

    picture = decode_picture(saved(stored, exif=exif), 64)

    assert np.array_equal(np.asarray(picture), np.asarray(upright))


def test_only_the_first_frame_of_a_moving_picture_is_taken():
    frames = [a_shape("rectangle", colour, 32) for colour in ("red", "blue")]
    for kind in ("GIF", "PNG", "WEBP"):
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        assert np.asarray(decode_picture(data, 64))[16, 16, 0] > 240


def test_a_large_jpeg_or_png_is_made_smaller_but_keeps_enough():
    for kind in ("JPEG", "PNG"):
        picture = decode_picture(saved(a_gradient(1200, 1800), kind), 200)
        assert 200 <= min(picture.size) < 900
        assert (
            np.abs(
                np.asarray(picture.resize((60, 90)), int) - np.asarray(a_gradient(1200, 1800).resize((60, 90)), int)
            ).max()
            < 12
        )


def test_a_bomb_is_refused_on_its_header():
    assert reason(a_png_claiming(25_000, 25_000)) == "picture-too-large"
    assert reason(a_png_claiming(9_000, 9_000)) == "picture-too-large"
    assert reason(a_png_claiming(12_001, 1)) == "picture-too-large"
    assert reason(a_png_claiming(1_000_000, 1)) == "picture-too-large"


def test_too_many_bytes_are_refused_before_they_are_read():
    assert reason(saved(a_gradient(64, 64)), PictureLimits(n_bytes=100)) == "picture-too-large"


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "PPM", "ICO", "PDF", "EPS"])
def test_other_formats_are_refused_whatever_they_are_called(kind):
    assert reason(saved(a_shape("ellipse", "red", 32), kind)) == "picture-format"


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>", b"SIMPLE  = T", b"\0" * 100])
def test_what_is_no_picture_is_refused(data):
    assert reason(data) == "picture-format"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_truncated_picture_is_refused(kind):
    data = saved(a_gradient(64, 64), kind)

    assert reason(data[: len(data) // 2]) == "picture-malformed"
    assert reason(data[:14]) == "picture-malformed"


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"]),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_damaged_bytes_give_a_picture_or_a_reason_and_nothing_else(kind, changes):
    data = bytearray(saved(a_gradient(24, 16), kind))
    for place, value in changes:
        data[place % len(data)] = value

    try:
        outcome = decode_picture(bytes(data), 64).mode
    except EncodingError as error:
        outcome = error.reason
    assert outcome in {"RGB", "picture-malformed", "picture-too-large", "picture-format"}
