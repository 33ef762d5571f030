"""Untrusted bytes -> a picture that the networks can take, without spending much on what is none."""

from dataclasses import dataclass
from io import BytesIO

from PIL import Image, UnidentifiedImageError

from recsys.errors import EncodingError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"GIF8")


@dataclass(frozen=True)
class PictureLimits:
    """What is refused on the header alone, before a pixel is decoded."""

    n_bytes: int = 8 * 2**20
    n_pixels: int = 25_000_000
    """Decoded as RGBA this is 100 MB: the most that one picture takes."""
    side_px: int = 12_000


LIMITS = PictureLimits()


def decode_picture(data: bytes, side: int, limits: PictureLimits = LIMITS) -> Image.Image:
    """Decode a JPEG, PNG, WebP or GIF (its first frame), turned as its EXIF says, on white where it is transparent.

    Parameters
    ----------
    data : bytes
        The file, of any content.
    side : int
        Pixels of the shorter side that the networks need; much larger pictures are made smaller while decoding
        (in whole steps, keeping at least twice this; a JPEG at least this, 5 to 11 times as fast as all of it).

    Returns
    -------
    PIL.Image.Image
        Mode RGB.

    Raises
    ------
    EncodingError
        `picture-too-large` (bytes, pixels or side), `picture-format` (another kind of file), `picture-malformed`.
    """
    if len(data) > limits.n_bytes:
        raise EncodingError("picture-too-large", f"The picture has {len(data)} bytes, over {limits.n_bytes}.")
    image = _open(data)
    width, height = image.size
    if width * height > limits.n_pixels or max(width, height) > limits.side_px:
        raise EncodingError(
            "picture-too-large",
            f"The picture has {width} x {height} pixels, over {limits.n_pixels} in all or {limits.side_px} on a side.",
        )
    try:
        image.draft("RGB", (side, side))
        image.load()
        return _upright(_flat(_reduced(_plain(image), side)), image)
    except Exception as error:  # the decoders raise what they like on damaged files: OSError, SyntaxError, IndexError …
        raise EncodingError("picture-malformed", f"The picture cannot be decoded: {error}.") from error


def _open(data: bytes) -> Image.Image:
    """Read the header."""
    try:
        return Image.open(BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise EncodingError("picture-too-large", "The picture has far too many pixels.") from error
    except UnidentifiedImageError as error:
        if data.startswith(_MAGIC):
            raise EncodingError("picture-malformed", "The picture's header is damaged.") from error
        raise EncodingError("picture-format", "This is no JPEG, PNG, WebP or GIF.") from error
    except Exception as error:
        raise EncodingError("picture-malformed", f"The picture's header cannot be read: {error}.") from error


def _plain(image: Image.Image) -> Image.Image:
    """Bring palettes, bit maps, colour keys and deep greys to modes whose pixels can be averaged."""
    if image.mode in ("RGBA", "LA"):
        return image
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode.startswith("I"):  # 16 bits of grey: keep the upper 8
        return image.point(lambda value: value / 256).convert("L")
    return image if image.mode in ("RGB", "L", "CMYK") else image.convert("RGB")


def _reduced(image: Image.Image, side: int) -> Image.Image:
    """Average whole blocks of pixels as long as the shorter side keeps twice what is needed."""
    factor = min(image.size) // (2 * side)
    return image.reduce(factor) if factor > 1 else image


def _flat(image: Image.Image) -> Image.Image:
    """Lay the picture on white, as shops show it, and make it RGB."""
    if image.mode not in ("RGBA", "LA"):
        return image.convert("RGB")
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image.convert("RGB"), mask=image.getchannel("A"))
    return white


def _upright(image: Image.Image, opened: Image.Image) -> Image.Image:
    """Turn the picture as the camera was held; EXIF that cannot be read turns nothing."""
    try:
        turn = opened.getexif().get(0x0112)
    except Exception:
        return image
    if turn not in _TURNS:
        return image
    return image.transpose(_TURNS[turn])


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
