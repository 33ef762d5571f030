import numpy as np
import pytest

from recsys.als.retrieval import EXACT_ROWS, FactorIndex
from recsys.types import Matrix


def skewed_factors(n_items: int, n_factors: int, seed: int = 0) -> Matrix:
    """As ALS leaves them: a few popular items many times longer than the rest, and clusters of taste."""
    rng = np.random.default_rng(seed)
    kinds = rng.normal(size=(40, n_factors))
    norms = rng.pareto(2.0, size=(n_items, 1)) + 0.2
    directions = kinds[rng.integers(40, size=n_items)] + rng.normal(scale=0.7, size=(n_items, n_factors))
    return (0.1 * norms * directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)


def recall(index: FactorIndex, queries: Matrix, k: int) -> float:
    found = 0
    for query in queries:
        true = set(np.argsort(-(index.rows @ query))[:k].tolist())
        found += len(true & set(index.search(query[None], k)[0].tolist()))
    return found / (k * len(queries))


@pytest.mark.parametrize("n_factors", [31, 64])
def test_a_sealed_index_finds_nearly_all_of_the_true_hundred(n_factors: int) -> None:
    factors = skewed_factors(12_000, n_factors)
    queries = skewed_factors(50, n_factors, seed=1)
    index = FactorIndex(factors)
    assert recall(index, queries, 100) == 1.0

    index.seal()

    assert index.unsealed == 0
    assert recall(index, queries, 100) > 0.97


def test_rows_appended_after_the_sealing_are_found_exactly() -> None:
    index = FactorIndex(skewed_factors(EXACT_ROWS + 1, 16))
    index.seal()
    query = np.ones(16, dtype=np.float32)

    index.append(np.full((3, 16), 50.0, dtype=np.float32))

    assert index.unsealed == 3
    assert {EXACT_ROWS + 1, EXACT_ROWS + 2, EXACT_ROWS + 3} <= set(index.search(query[None], 10)[0].tolist())


def test_few_rows_are_read_one_by_one_however_often_they_are_sealed() -> None:
    index = FactorIndex(skewed_factors(100, 8))

    index.seal()

    assert index.unsealed == 100
    assert sorted(index.search(np.ones((1, 8), dtype=np.float32), 1_000)[0].tolist()) == list(range(100))


def test_the_rows_given_at_first_are_never_written_to() -> None:
    factors = skewed_factors(10, 8)
    factors.flags.writeable = False
    index = FactorIndex(factors)

    for _ in range(200):
        index.append(np.ones((1, 8), dtype=np.float32))
    index.replace(15, np.full(8, 7.0, dtype=np.float32))

    assert len(index) == 210
    assert np.array_equal(index.rows[:10], factors)
    assert np.array_equal(index.rows[15], np.full(8, 7.0))


def test_the_same_rows_make_the_same_index() -> None:
    factors, queries = skewed_factors(6_000, 16), skewed_factors(20, 16, seed=3)
    first, second = FactorIndex(factors), FactorIndex(factors.copy())
    first.seal()
    second.seal()

    found = zip(first.search(queries, 50), second.search(queries, 50), strict=True)
    assert all(np.array_equal(*rows) for rows in found)


def test_what_is_found_for_a_vector_does_not_depend_on_the_others() -> None:
    index, queries = FactorIndex(skewed_factors(6_000, 16)), skewed_factors(33, 16, seed=3)
    index.seal()
    index.append(skewed_factors(5, 16, seed=4))

    alone = [index.search(query[None], 100)[0] for query in queries]

    for at_once in (2, 7, 33):
        for start in range(0, 33, at_once):
            together = index.search(queries[start : start + at_once], 100)
            assert all(map(np.array_equal, map(np.sort, together), map(np.sort, alone[start:])))
