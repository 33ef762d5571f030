import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.als.fit import FitPolicy, fit, start_factors
from recsys.als.fold_in import fold_in_users
from recsys.als.gram import gram
from recsys.als.model import FactorModel, Factors
from recsys.errors import DimensionError
from recsys.types import Matrix
from tests.recsys.als.kinds import kinds_matrix

POLICY = FitPolicy(n_factors=4, regularization=0.1, iterations=10)
ITEM_IDS = tuple(f"item-{row}" for row in range(40))


@pytest.fixture(scope="module")
def factors() -> Matrix:
    return fit(kinds_matrix(), POLICY)


def test_one_click_leads_to_the_rest_of_its_kind(factors: Matrix) -> None:
    model = FactorModel(Factors("1", ITEM_IDS, factors, POLICY.regularization))

    for kind in range(4):
        item_ids, _ = model.top(model.fold_in([(ITEM_IDS[kind * 10], 3.0)]), 10)
        assert set(item_ids) == set(ITEM_IDS[kind * 10 : kind * 10 + 10])


def test_the_same_matrix_gives_the_same_factors_with_any_number_of_threads(factors: Matrix) -> None:
    two_threads = FitPolicy(n_factors=4, regularization=0.1, iterations=10, num_threads=2)

    assert np.array_equal(fit(kinds_matrix(), two_threads), factors)


def test_a_fit_explains_who_touched_what(factors: Matrix) -> None:
    matrix = kinds_matrix()
    rows = [matrix[user] for user in range(matrix.shape[0])]
    vectors = fold_in_users(
        [(factors[row.indices], row.data) for row in rows], gram(factors), regularization=POLICY.regularization
    )

    preference = np.asarray(matrix.todense()) > 0

    assert np.mean((preference - vectors @ factors.T) ** 2) < 0.6 * preference.var()


def test_starting_from_the_current_factors_turns_the_space_less(factors: Matrix) -> None:
    later = kinds_matrix(seed=1)
    short = FitPolicy(n_factors=4, regularization=0.1, iterations=2, seed=9)
    previous = FactorModel(Factors("1", ITEM_IDS, factors, POLICY.regularization))

    near = fit(later, short, start_factors(ITEM_IDS, previous, seed=0))
    far = fit(later, short)

    assert np.linalg.norm(near - factors) < 0.5 * np.linalg.norm(far - factors)


def test_items_that_are_new_to_the_model_start_small_and_by_their_id(factors: Matrix) -> None:
    previous = FactorModel(Factors("1", ITEM_IDS, factors, POLICY.regularization))
    previous.add_content_item("described", np.full(4, 2.0, dtype=np.float32))

    start = start_factors(["new-1", "item-3", "described", "new-2"], previous, seed=0)

    assert np.array_equal(start[1], factors[3])
    assert np.array_equal(start[2], np.full(4, 2.0))
    assert 0 < np.abs(start[[0, 3]]).max() <= 0.01
    assert np.array_equal(start[[3]], start_factors(["new-2"], previous, seed=0))


@pytest.mark.parametrize("shape", [(39, 4), (40, 5)])
def test_a_start_of_another_shape_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(DimensionError, match="the start of the fit"):
        fit(kinds_matrix(), POLICY, np.zeros(shape, dtype=np.float32))


def test_a_disliked_item_ends_further_from_its_users_than_an_unseen_one() -> None:
    matrix = kinds_matrix().tolil()
    matrix[:15, 9] = -8.0
    factors = fit(csr_matrix(matrix, dtype=np.float32), POLICY)
    model = FactorModel(Factors("1", ITEM_IDS, factors, POLICY.regularization))

    scores = model.scores(model.fold_in([("item-0", 3.0)]), ITEM_IDS[:10])

    assert scores[9] < scores[:9].min()
