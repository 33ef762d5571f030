"""Batches of products -> vectors, a piece at a time."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError

import numpy as np
import pytest

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
