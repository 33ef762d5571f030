"""The bundled network as a shop needs it: catalogue pictures and shoppers' photos of one product, near each other.

A shop shows a product alone on plain ground; a shopper's photo shows it in its place. So a catalogue picture is trimmed
to the product and seen twice, on white and on dark ground; a photo is seen whole and from nearer; and the colours,
which a network trained on classes overlooks, stand beside its features.

Photo to product, recall of the right one of 81 from its catalogue picture alone (Grocery Store, 1,268 photos): the
network's features .31, both sides taken from their own means .38, trimmed and on both grounds .43, with the colours
.47; `python -m benchmarks.search_marks` prints the first and the last.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from encoders.colour import DIM as COLOUR_DIM
from encoders.colour import colours
from recsys.errors import EncodingError
from recsys.types import Matrix

COLOUR_WEIGHT = 0.5
"""Length of the colours beside the network's unit vector; .3 and .6 are as good within the noise of 1,268 photos."""
GROUND_TOLERANCE = 12
"""Of 255: how much plain ground may differ from its corner, which is what JPEG does to it."""
PLAIN_BORDER = 0.9
"""Share of the outermost pixels that must be of one colour for a picture to count as a product on plain ground."""
SMALLEST_PX = 10
"""A trimmed picture smaller than this is dirt on the ground, and the picture is taken whole."""
SEEN = 7 / 8
"""What a network sees of a picture: it crops to so much of the shorter side."""
NEAR = 0.6
"""Of a photo's shorter side, where the product is held; .8 and .45 find fewer, corners beside it none more."""
DARK = 40
WHITE = 255


class PictureNetwork(Protocol):
    """What `encoders.image.PictureEncoder` is to this one."""

    dim: int

    def encode(self, batch: Sequence[Image.Image]) -> Matrix: ...


class Views(NamedTuple):
    """What the network sees of one picture, and what its colours are taken from."""

    seen: tuple[Image.Image, ...]
    coloured: Image.Image
    is_plain: bool


class ProductPictures:
    """An encoder over a network: several views of a picture, and its colours; two passes a picture.

    Rows are [mean of the views ; COLOUR_WEIGHT · colours], of unit length.
    """

    def __init__(self, name: str, network: PictureNetwork) -> None:
        self.name, self.dim = name, network.dim + COLOUR_DIM
        self._network = network

    def encode(self, batch: Sequence[Image.Image]) -> Matrix:
        """See `encoders.base.Encoder`."""
        views = [views_of(picture) for picture in batch]
        seen = self._network.encode([one for picture in views for one in picture.seen])
        vectors = np.zeros((len(batch), self.dim), np.float32)
        at = 0
        for row, picture in enumerate(views):
            mean = seen[at : at + len(picture.seen)].sum(axis=0)
            at += len(picture.seen)
            vectors[row, : self._network.dim] = mean / max(float(np.linalg.norm(mean)), 1e-12)
            vectors[row, self._network.dim :] = COLOUR_WEIGHT * colours(picture.coloured, focus=not picture.is_plain)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def views_of(picture: Image.Image) -> Views:
    """A product on plain ground trimmed, on white and on dark; any other picture whole and its middle."""
    pixels = np.asarray(picture)
    ground = _ground(pixels)
    if ground is None:
        return Views((picture, _middle(picture, NEAR)), _middle(picture, SEEN), is_plain=False)
    top, bottom, left, right = _extent(~ground)
    product, ground = pixels[top:bottom, left:right], ground[top:bottom, left:right]
    white, dark = _square(product, WHITE), _square(np.where(ground[:, :, None], np.uint8(DARK), product), DARK)
    return Views((white, dark), white, is_plain=True)


def is_on_plain_ground(picture: Image.Image) -> bool:
    """Whether a picture shows a product alone, as catalogues do; what is blank does not count."""
    return _ground(np.asarray(picture)) is not None


def refuse_empty(picture: Image.Image) -> None:
    """Raise EncodingError for a picture that nothing can be found by: `picture-too-small`, `picture-blank`."""
    if min(picture.size) < SMALLEST_PX:
        width, height = picture.size
        raise EncodingError(
            "picture-too-small",
            f"The picture has {width} x {height} pixels; send one of at least {SMALLEST_PX} on each side.",
        )
    darkest, brightest = zip(*picture.getextrema(), strict=True)
    if max(high - low for low, high in zip(darkest, brightest, strict=True)) <= GROUND_TOLERANCE:
        raise EncodingError("picture-blank", "The picture shows nothing but one colour; send one that shows a product.")


def _ground(pixels: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """bool, shape (height, width): where the picture shows plain ground; None where there is none, or nothing else."""
    corner = pixels[0, 0].astype(np.int16)
    ground = np.abs(pixels.astype(np.int16) - corner).max(axis=2) <= GROUND_TOLERANCE
    border = np.concatenate([ground[0], ground[-1], ground[:, 0], ground[:, -1]])
    if border.mean() < PLAIN_BORDER or ground.all():
        return None
    top, bottom, left, right = _extent(~ground)
    return ground if min(bottom - top, right - left) >= SMALLEST_PX else None


def _extent(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _square(product: NDArray[np.uint8], ground: int) -> Image.Image:
    """In the middle of a square of its ground, a little larger than itself: networks crop to an eighth less."""
    height, width = product.shape[:2]
    side = max(height, width) * 8 // 7
    square = np.full((side, side, 3), ground, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = product
    return Image.fromarray(square)


def _middle(picture: Image.Image, share: float) -> Image.Image:
    """The square in the middle, of a share of the shorter side."""
    width, height = picture.size
    side = max(int(min(width, height) * share), min(width, height, SMALLEST_PX))
    left, top = (width - side) // 2, (height - side) // 2
    return picture.crop((left, top, left + side, top + side))
