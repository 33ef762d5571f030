"""Batches of products -> vectors, a piece at a time."""

import asyncio
import io
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError

import numpy as np
import pytest
from PIL import Image

from recsys.types import Matrix
from streams.agents.vectors import PIECE, Vectorizer


class Slow:
    """An encoder that waits to be let go on, and counts what it was given."""

    name, dim = "slow", 2

    def __init__(self) -> None:
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        self.n_given = 0

    def encode(self, batch: Sequence[str]) -> Matrix:
        self.n_given += len(batch)
        self.begun.set()
        assert self.may_go_on.wait(20)
        return np.tile(np.array([1, 0], np.float32), (len(batch), 1))


async def test_a_batch_under_way_ends_with_its_piece_when_the_vectorizer_is_closed() -> None:
    encoder = Slow()
    vectorizer = Vectorizer(encoder, None)
    batch = asyncio.ensure_future(vectorizer.encode(["text"] * (3 * PIECE), [()] * (3 * PIECE)))
    assert await asyncio.to_thread(encoder.begun.wait, 20)

    vectorizer.close()
    encoder.may_go_on.set()

    with pytest.raises((CancelledError, asyncio.CancelledError)):
        await batch
    assert encoder.n_given == PIECE


async def test_pieces_come_out_in_order_and_whole() -> None:
    encoder = Slow()
    encoder.may_go_on.set()
    vectorizer = Vectorizer(encoder, None)
    texts = ["" if number % 5 == 0 else "text" for number in range(2 * PIECE + 3)]

    made = await vectorizer.encode(texts, [()] * len(texts))

    assert [text.vector.any() for text, _ in made] == [bool(text) for text in texts]
    vectorizer.close()


class MeanColour:
    """An encoder of pictures whose vectors say what colour they have."""

    name, dim = "colour", 3

    def encode(self, batch: Sequence[Image.Image]) -> Matrix:
        return np.array([np.asarray(picture).mean(axis=(0, 1)) / 255 for picture in batch], np.float32).reshape(-1, 3)


def a_file(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), colour).save(buffer, "PNG")
    return buffer.getvalue()


async def test_each_product_gets_its_own_pictures_also_where_others_cannot_be_read() -> None:
    red, blue, none = a_file("red"), a_file("blue"), b"no picture"
    products = [[red], [], [none], [blue, none, blue]] * PIECE
    vectorizer = Vectorizer(None, MeanColour())

    made = await vectorizer.encode([""] * len(products), products)

    parts = [image for _, image in made]
    assert [part.vector.tolist() for part in parts] == [[1, 0, 0], [], [], [0, 0, 1]] * PIECE
    assert [part.fault and part.fault[0] for part in parts] == [None, None, "picture-format", "picture-format"] * PIECE
    assert [len(part.pictures) for part in parts] == [0, 0, 0, 2] * PIECE
    vectorizer.close()


async def test_a_batch_whose_pictures_are_being_decoded_ends_when_the_vectorizer_is_closed() -> None:
    slow = Slow()
    vectorizer = Vectorizer(slow, MeanColour())
    batch = asyncio.ensure_future(vectorizer.encode(["text"] * 3 * PIECE, [[a_file("red")]] * 3 * PIECE))
    assert await asyncio.to_thread(slow.begun.wait, 20)

    vectorizer.close()
    slow.may_go_on.set()

    with pytest.raises((CancelledError, asyncio.CancelledError)):
        await batch


async def test_each_product_has_the_look_of_its_first_picture_that_can_be_read() -> None:
    buffer = io.BytesIO()
    Image.radial_gradient("L").save(buffer, "PNG")
    round_, plain = buffer.getvalue(), a_file("red")
    vectorizer = Vectorizer(None, MeanColour())

    made = await vectorizer.encode([""] * 4, [[round_], [plain, round_], [b"none", round_], []])

    alone, several, second, none = [image.look for _, image in made]
    assert len(alone) == 8
    assert (alone == second, alone == several, none) == (True, False, b"")
    vectorizer.close()
