import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recsys.als.fold_in import NormalEquations, fold_in_user, fold_in_users
from recsys.als.gram import CHUNK_ROWS, gram
from recsys.errors import DimensionError, StateError
from recsys.types import Matrix, Vector

REGULARIZATION = 0.05


def random_factors(seed: int, n_items: int = 300, n_factors: int = 16) -> Matrix:
    return np.random.default_rng(seed).normal(scale=0.3, size=(n_items, n_factors)).astype(np.float32)


def random_history(seed: int, n_items: int, m: int, dislikes: float = 0.2) -> tuple[NDArray[np.intp], Vector]:
    rng = np.random.default_rng(seed)
    sign = np.where(rng.random(m) < dislikes, -1.0, 1.0)
    return rng.choice(n_items, size=m, replace=False), (sign * (1.0 + 20.0 * rng.random(m))).astype(np.float32)


def relative_error(got: Vector, expected: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))


def implicit_vector(
    factors: Matrix, rows: NDArray[np.intp], confidence: Vector, regularization: float
) -> NDArray[np.float64]:
    """The same user by `implicit`, in float64; its matrix holds c itself, and -c where the preference is 0."""
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=factors.shape[1], regularization=regularization, dtype=np.float64, num_threads=1
        )
        model.item_factors = factors.astype(np.float64)
        matrix = csr_matrix((confidence, (np.zeros(len(rows), dtype=int), rows)), shape=(1, len(factors)))
        return np.asarray(model.recalculate_user(0, matrix))


def objective(
    x: NDArray[np.float64], factors: Matrix, rows: NDArray[np.intp], confidence: Vector, regularization: float
) -> float:
    """Sum of c (p - x·y)^2 over *all* items, plus lambda |x|^2: equation 3 of Hu, Koren and Volinsky, one user."""
    c, p = np.ones(len(factors)), np.zeros(len(factors))
    c[rows] = np.abs(confidence)
    p[rows] = confidence > 0
    return float(np.sum(c * (p - factors.astype(np.float64) @ x) ** 2) + regularization * x @ x)


@pytest.mark.parametrize("n_factors", [1, 7, 64])
@pytest.mark.parametrize("m", [1, 10, 50, 200])
def test_the_vector_is_the_one_that_implicit_computes(n_factors: int, m: int) -> None:
    factors = random_factors(m, n_factors=n_factors)
    rows, confidence = random_history(m, len(factors), m)
    confidence[0] = abs(confidence[0])

    vector = fold_in_user(factors[rows], gram(factors), confidence, regularization=REGULARIZATION)

    assert relative_error(vector, implicit_vector(factors, rows, confidence, REGULARIZATION)) < 1e-5


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), m=st.integers(1, 60), regularization=st.floats(1e-3, 10.0))
def test_no_step_away_from_the_vector_lowers_the_objective(seed: int, m: int, regularization: float) -> None:
    factors = random_factors(seed)
    rows, confidence = random_history(seed, len(factors), m)
    vector = fold_in_user(factors[rows], gram(factors), confidence, regularization=regularization).astype(np.float64)

    least = objective(vector, factors, rows, confidence, regularization)

    for step in np.random.default_rng(seed).normal(scale=1e-2, size=(10, len(vector))):
        assert objective(vector + step, factors, rows, confidence, regularization) > least


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), m=st.integers(2, 60))
def test_the_order_of_a_history_does_not_matter(seed: int, m: int) -> None:
    factors = random_factors(seed)
    rows, confidence = random_history(seed, len(factors), m)
    order = np.random.default_rng(seed + 1).permutation(m)
    equations = NormalEquations.of(gram(factors), REGULARIZATION)

    forward = equations.solve(factors[rows], confidence)
    shuffled = equations.solve(factors[rows[order]], confidence[order])

    # The solution is exact to 1e-12; what is left is the last bit of float32.
    assert np.abs(forward - shuffled).max() <= np.spacing(np.float32(np.abs(forward).max()))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), m=st.integers(1, 40))
def test_liking_an_item_more_brings_its_score_nearer_to_one(seed: int, m: int) -> None:
    factors = random_factors(seed)
    rows, confidence = random_history(seed, len(factors), m, dislikes=0.0)
    more = confidence.copy()
    more[0] += 5.0
    equations = NormalEquations.of(gram(factors), REGULARIZATION)

    before, after = (equations.solve(factors[rows], c).astype(np.float64) for c in (confidence, more))

    assert abs(1.0 - after @ factors[rows[0]]) < abs(1.0 - before @ factors[rows[0]]) + 1e-6


def test_an_empty_history_gives_zeros() -> None:
    factors = random_factors(0)

    vector = fold_in_user(factors[:0], gram(factors), np.zeros(0, dtype=np.float32), regularization=REGULARIZATION)

    assert vector.shape == (16,)
    assert not vector.any()


def test_only_dislikes_give_zeros() -> None:
    factors = random_factors(0)

    vector = fold_in_user(factors[:3], gram(factors), np.full(3, -4, dtype=np.float32), regularization=REGULARIZATION)

    assert not vector.any()


def test_an_item_of_confidence_one_beside_a_stronger_one_still_counts() -> None:
    factors = random_factors(0)
    rows, confidence = np.array([0, 1]), np.array([1.0, 3.0], dtype=np.float32)

    vector = fold_in_user(factors[rows], gram(factors), confidence, regularization=REGULARIZATION)

    assert relative_error(vector, implicit_vector(factors, rows, confidence, REGULARIZATION)) < 1e-5


def test_an_item_outside_the_gram_counts_as_if_the_gram_held_it() -> None:
    factors, one_more = random_factors(0), random_factors(1)[:1]
    together = np.vstack([factors, one_more])
    rows, confidence = np.array([3, len(factors)]), np.array([2.0, 5.0], dtype=np.float32)

    outside = NormalEquations.of(gram(factors), REGULARIZATION).solve(
        together[rows], confidence, np.array([False, True])
    )

    assert relative_error(outside, implicit_vector(together, rows, confidence, REGULARIZATION)) < 1e-5


def test_many_users_get_what_each_gets_alone_to_the_last_bit() -> None:
    factors = random_factors(0)
    histories = []
    for seed in range(20):
        rows, confidence = random_history(seed, len(factors), seed + 1)
        histories.append((factors[rows], confidence))

    together = fold_in_users(histories, gram(factors), regularization=REGULARIZATION)

    alone = [fold_in_user(rows, gram(factors), c, regularization=REGULARIZATION) for rows, c in histories]
    assert np.array_equal(together, np.stack(alone))
    assert fold_in_users([], gram(factors), regularization=REGULARIZATION).shape == (0, 16)


def test_the_inputs_are_left_as_they_were() -> None:
    factors = random_factors(0)
    rows, confidence = random_history(0, len(factors), 20)
    equations = NormalEquations.of(gram(factors), REGULARIZATION)
    base, seen, c = equations.base.copy(), factors[rows], confidence.copy()

    equations.solve(seen, c)

    assert np.array_equal(equations.base, base)
    assert np.array_equal(seen, factors[rows])
    assert np.array_equal(c, confidence)


def test_a_gram_of_another_width_is_refused() -> None:
    with pytest.raises(DimensionError, match="gram has dimension 8, expected 16"):
        fold_in_user(random_factors(0)[:1], np.eye(8), np.ones(1, dtype=np.float32), regularization=1.0)


@pytest.mark.parametrize("confidence", [0.5, -0.5, 0.0, np.nan])
def test_a_confidence_nearer_to_nothing_than_an_unseen_item_is_refused(confidence: float) -> None:
    factors = random_factors(0)

    with pytest.raises(StateError, match="between -1 and 1"):
        fold_in_user(factors[:1], gram(factors), np.array([confidence], dtype=np.float32), regularization=1.0)


def test_factors_that_are_not_finite_are_refused() -> None:
    factors = random_factors(0)
    broken = np.full((1, 16), np.nan, dtype=np.float32)

    with pytest.raises(StateError, match="not finite"):
        NormalEquations.of(gram(factors), 1.0).solve(broken, np.full(1, 2.0, dtype=np.float32))


def test_the_gram_is_the_sum_over_all_rows_however_many() -> None:
    factors = random_factors(0, n_items=CHUNK_ROWS + 5, n_factors=3)

    assert np.allclose(gram(factors), factors.T.astype(np.float64) @ factors.astype(np.float64), rtol=1e-12)
