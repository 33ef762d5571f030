import threading

import numpy as np
import pytest

from recsys.errors import DimensionError
from recsys.index.exact import CHUNK_ROWS
from recsys.index.mutable import MutableSegment
from recsys.types import ItemRow
from tests.recsys.products import random_units

N, DIM = CHUNK_ROWS + 700, 24
VECTORS = random_units(N, DIM).astype(np.float16)
QUERIES = random_units(20, DIM, seed=1)


def filled_segment() -> MutableSegment:
    segment = MutableSegment(DIM)
    segment.fill(np.arange(N), VECTORS)
    return segment


def brute_force(query, k, allowed):
    scores = VECTORS.astype(np.float64) @ query
    scores[~allowed] = -np.inf
    return np.argsort(-scores, kind="stable")[: min(k, int(allowed.sum()))]


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.03, 0.002, 0.0])
def test_a_filter_of_any_share_does_not_hurt_recall(share):
    segment = filled_segment()
    allowed = np.random.default_rng(2).random(N) < share

    for query in QUERIES:
        rows, _ = segment.search(query, 10, allowed)
        assert rows.tolist() == brute_force(query, 10, allowed).tolist()


def test_an_overwritten_row_is_found_by_its_new_vector_only():
    segment = filled_segment()
    segment.put(ItemRow(7), -VECTORS[7])

    rows, scores = segment.search(-VECTORS[7].astype(np.float32), 1, np.ones(N, dtype=bool))
    assert rows.tolist() == [7]
    assert scores[0] == pytest.approx(1, abs=1e-3)
    assert len(segment) == N


def test_a_removed_row_is_found_no_more():
    segment = filled_segment()
    segment.remove(ItemRow(7))
    segment.remove(ItemRow(7))

    rows, _ = segment.search(VECTORS[7].astype(np.float32), 50, np.ones(N, dtype=bool))
    assert 7 not in rows
    assert len(segment) == N - 1
    assert segment.vector(ItemRow(7)) is None


def test_a_score_is_the_same_to_the_last_bit_however_many_rows_are_asked():
    segment = filled_segment()

    together = segment.scores(QUERIES[0], np.arange(500))
    alone = [segment.scores(QUERIES[0], np.array([row]))[0] for row in range(500)]
    assert together.tolist() == alone


def test_the_mean_does_not_depend_on_the_order_of_arrival_nor_on_what_is_gone():
    forth, back = MutableSegment(DIM), MutableSegment(DIM)
    forth.fill(np.arange(500), VECTORS[:500])
    back.fill(np.arange(600)[::-1], VECTORS[:600][::-1])
    for row in range(500, 600):
        back.remove(ItemRow(row))

    assert forth.mean().tolist() == back.mean().tolist()


def test_a_vector_of_another_length_is_refused():
    with pytest.raises(DimensionError, match="dimension 3, expected 24"):
        filled_segment().put(ItemRow(0), np.zeros(3, dtype=np.float32))


def test_searching_goes_on_while_rows_are_written():
    segment = MutableSegment(DIM)
    segment.fill(np.arange(CHUNK_ROWS), VECTORS[:CHUNK_ROWS])
    found, stop = [], threading.Event()

    def search():
        while not stop.is_set():
            found.append(segment.search(QUERIES[0], 10, np.ones(CHUNK_ROWS, dtype=bool))[0].tolist())

    thread = threading.Thread(target=search)
    thread.start()
    segment.fill(np.arange(CHUNK_ROWS, N), VECTORS[CHUNK_ROWS:])
    segment.fill(np.arange(CHUNK_ROWS), VECTORS[:CHUNK_ROWS])
    stop.set()
    thread.join()
    assert len(segment.search(QUERIES[0], 10, np.ones(N, dtype=bool))[0]) == 10
    assert all(len(rows) >= 9 for rows in found)
