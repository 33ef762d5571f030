"""Texts and files of pictures -> vectors, off the event loop, one batch at a time."""

import asyncio
import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
from PIL.Image import Image

from encoders.base import Encoder
from encoders.looks import look_of
from encoders.pictures import decode_picture
from recsys.errors import ConfigError, EncodingError
from recsys.types import Vector

Input = TypeVar("Input")

PICTURE_SIDE = 256
"""Pixels of the shorter side that networks resize from."""
PIECE = 32
"""Inputs between two looks whether to stop: 3 s of pictures on a busy machine. Smaller ones slow a GPU down."""
READERS = 1
"""Threads that decode, which Pillow does without the interpreter's lock: one more brings nothing on two cores, and
processes less, but for very large pictures (`python -m benchmarks.embedding_decoding`)."""
_NO_VECTOR = np.zeros(0, np.float32)
logger = logging.getLogger(__name__)


class Part(NamedTuple):
    """One part's vector, shape (dim,), and why it or one of its pictures is missing: reason and text."""

    vector: Vector
    fault: tuple[str, str] | None = None
    pictures: tuple[Vector, ...] = ()
    """Each picture's vector, where there are several."""
    look: bytes = b""
    """Of the first picture: see `encoders.looks`."""


MISSING = Part(_NO_VECTOR)
Read = tuple[Image | EncodingError, bytes]
"""A picture with its look, or why there is none."""


class Vectorizer:
    """Both encoders behind one thread, since torch gains nothing from two; pictures are decoded beside it.

    `text` or `image` is None where that encoder is `none`.

    Parameters
    ----------
    readers : Executor, optional
        What decodes pictures, a thread of its own unless another is given; closed with this.
    """

    def __init__(
        self, text: Encoder[str] | None, image: Encoder[Image] | None, readers: Executor | None = None
    ) -> None:
        self.text, self.image = text, image
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embed")
        self._readers = readers or ThreadPoolExecutor(READERS, thread_name_prefix="decode")
        self._is_closed = threading.Event()

    @property
    def text_name(self) -> str:
        return self.text.name if self.text else ""

    @property
    def image_name(self) -> str:
        return self.image.name if self.image else ""

    async def load(self) -> None:
        """Have both networks loaded; raises ConfigError when one cannot be."""

        def load() -> None:
            for encoder in (self.text, self.image):
                if encoder:
                    encoder.encode([])

        await asyncio.get_running_loop().run_in_executor(self._thread, load)

    async def encode(self, texts: Sequence[str], pictures: Sequence[Sequence[bytes]]) -> list[tuple[Part, Part]]:
        """Encode products, each of a text and any number of pictures: for each its text's part and its pictures'.

        Raises nothing for what a product is.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._encode, texts, pictures)

    def close(self) -> None:
        """Cut the batch that is under way short; nobody hears of it."""
        self._is_closed.set()
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._readers.shutdown(wait=False, cancel_futures=True)

    def _encode(self, texts: Sequence[str], pictures: Sequence[Sequence[bytes]]) -> list[tuple[Part, Part]]:
        # Decoding begins here, and goes on while texts are encoded.
        looks: list[bytes] = []
        decoded = self._decoded([picture for of_product in pictures for picture in of_product if self.image], looks)
        text_parts = self._encoded(self.text, _pieces([text or None for text in texts]))
        encoded = self._encoded(self.image, decoded)
        parts = iter([part._replace(look=look) for part, look in zip(encoded, looks, strict=True)])
        image_parts = [_together([next(parts, MISSING) for _ in of_product]) for of_product in pictures]
        return list(zip(text_parts or [MISSING] * len(texts), image_parts, strict=True))

    def _encoded(
        self, encoder: Encoder[Input] | None, pieces: Iterable[Sequence[Input | EncodingError | None]]
    ) -> list[Part]:
        """A part for each input; none at all without an encoder."""
        parts: list[Part] = []
        for piece in pieces if encoder else ():
            if self._is_closed.is_set() or encoder is None:
                raise CancelledError
            parts += _encoded_piece(encoder, piece)
        return parts

    def _decoded(self, files: Sequence[bytes], looks: list[bytes]) -> Iterator[list[Image | EncodingError]]:
        """Pieces of pictures, each begun before the one before it is asked for, and the first at once.

        Each file's look is put at the end of `looks`, empty for one that is no picture.
        """
        first, *rest = _pieces(files) or [()]
        begun = self._begin(first)

        def read() -> Iterator[list[Image | EncodingError]]:
            nonlocal begun
            for following in [*rest, ()]:
                ahead = self._begin(following)
                piece = [future.result() for future in begun]
                looks.extend(look for _, look in piece)
                yield [picture for picture, _ in piece]
                begun = ahead

        return read()

    def _begin(self, files: Sequence[bytes]) -> list[Future[Read]]:
        try:
            return [self._readers.submit(_read, file) for file in files]
        except RuntimeError as error:  # closed meanwhile
            raise CancelledError from error


def _pieces(inputs: Sequence[Input]) -> list[Sequence[Input]]:
    return [inputs[start : start + PIECE] for start in range(0, len(inputs), PIECE)]


def _read(file: bytes) -> Read:
    try:
        picture = decode_picture(file, PICTURE_SIDE)
    except EncodingError as error:
        return error, b""
    return picture, look_of(picture)


def _together(parts: Sequence[Part]) -> Part:
    """The direction of the mean of a product's pictures.

    With four photos beside the catalogue's picture it finds the right one of 81 products for .55 of other photos; the
    best match among the five, for .45.
    """
    fault = next((part.fault for part in parts if part.fault), None)
    seen = [part for part in parts if part.vector.any()]
    if not seen:
        return Part(_NO_VECTOR, fault)
    look, vectors = seen[0].look, tuple(part.vector for part in seen)
    if len(seen) == 1:
        return Part(vectors[0], fault, look=look)
    mean = np.sum(vectors, axis=0)
    return Part(np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32), fault, vectors, look)


def _encoded_piece(encoder: Encoder[Input], sources: Sequence[Input | EncodingError | None]) -> list[Part]:
    """Encode what is there and could be read, together if that works, else one by one."""
    parts = [MISSING] * len(sources)
    inputs: dict[int, Input] = {}
    for place, source in enumerate(sources):
        if isinstance(source, EncodingError):
            parts[place] = Part(_NO_VECTOR, (source.reason, source.text))
        elif source is not None:
            inputs[place] = source
    if not inputs:
        return parts
    try:
        vectors = encoder.encode(list(inputs.values()))
        for place, vector in zip(inputs, vectors, strict=True):
            parts[place] = Part(vector)
    except ConfigError:
        raise
    except Exception:  # one bad input must not cost the others theirs, whatever the network raises for it
        logger.exception("A batch of %d could not be encoded; trying one by one.", len(inputs))
        for place, value in inputs.items():
            parts[place] = _one(encoder, value)
    return parts


def _one(encoder: Encoder[Input], value: Input) -> Part:
    try:
        return Part(encoder.encode([value])[0])
    except Exception as error:
        return Part(_NO_VECTOR, ("encoder-failed", f"{encoder.name} could not encode it: {error!r:.300}"))
