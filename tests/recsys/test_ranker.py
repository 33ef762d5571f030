"""What is known of candidates becomes a score; the weights are learned from what was chosen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.ranker import FEATURES, N_CONTEXTS, N_FEATURES, RankerTraining, RankerWeights, contexts, features

NAMES = [name for name, _ in FEATURES]
amounts = st.floats(0.0, 5.0, allow_subnormal=False)
candidate = st.tuples(*[amounts] * 6, st.one_of(st.just(-np.inf), st.floats(-40.0, 4_000.0)), st.integers(0, 10_000))
users = st.lists(st.lists(candidate, max_size=6), min_size=1, max_size=3)


def featured(lists):
    bounds = np.cumsum([0, *(len(of_user) for of_user in lists)], dtype=np.intp)
    flat = np.array([row for of_user in lists for row in of_user], dtype=np.float64).reshape(-1, 8)
    return bounds, *features(bounds, flat[:, :6].copy(), flat[:, 6].copy(), flat[:, 7].copy())


@settings(deadline=None)  # the first call compiles
@given(lists=users)
def test_features_are_bounded_and_do_not_depend_on_other_users(lists):
    bounds, given_, _ = featured(lists)

    assert np.isfinite(given_).all()
    assert (given_ >= 0.0).all()
    assert (given_ <= 2.0).all()
    for user, of_user in enumerate(lists):
        _, alone, _ = featured([of_user])
        assert np.array_equal(alone, given_[bounds[user] : bounds[user + 1]])


@settings(deadline=None)
@given(lists=users, seed=st.integers(0, 99))
def test_scores_are_those_of_plain_arithmetic_in_the_same_order(lists, seed):
    bounds, given_, _ = featured(lists)
    ranker = RankerWeights(np.random.default_rng(seed).normal(size=(N_CONTEXTS, N_FEATURES)), "some")
    n_recent = np.array([3 * user for user in range(len(lists))])

    scores, strongest = ranker.score(bounds, given_, n_recent)

    for user in range(len(lists)):
        own = slice(bounds[user], bounds[user + 1])
        weights = ranker.weights[contexts(n_recent[[user]])[0]]
        plain = given_[own] @ weights
        assert scores[own] == pytest.approx(1.0 / (1.0 + plain.max(initial=-np.inf) - plain), rel=1e-9)
        parts = np.array(
            [(given_[own] * weights)[:, [s == source for _, s in FEATURES]].sum(axis=1) for source in range(4)]
        ).T
        for place, source in enumerate(strongest[own].tolist()):
            assert parts[place, source] == pytest.approx(parts[place].max(), abs=1e-9)


def test_a_source_that_tells_nothing_costs_nothing():
    _, given_, highest = featured([[(0.0,) * 6 + (-np.inf, 0)] * 2])

    assert not given_.any()
    assert not highest.any()


def test_users_with_as_many_items_share_weights():
    assert contexts(np.array([0, 1, 2, 4, 5, 9, 10, 99])).tolist() == [0, 1, 2, 2, 3, 3, 4, 4]


def test_training_finds_which_feature_is_chosen_by_and_for_whom():
    """People with a history choose by one feature, newcomers by another."""
    rng = np.random.default_rng(0)
    training = RankerTraining()
    losses = []
    for number in range(4_000):
        given_ = rng.random((20, N_FEATURES))
        n_recent, feature = (0, 12) if number % 2 else (10, 4)
        losses.append(training.step(given_, int(given_[:, feature].argmax()), n_recent))

    weights = training.table()
    assert int(weights[0].argmax()) == 12
    assert int(weights[4].argmax()) == 4
    assert np.mean(losses[-500:]) < 0.6 * np.mean(losses[:100])


def test_a_step_goes_down_the_gradient_of_the_cross_entropy():
    rng = np.random.default_rng(1)
    given_ = rng.random((9, N_FEATURES))
    training = RankerTraining(decay=0.0)
    before = training.step(given_, 3, 5)

    assert before == pytest.approx(np.log(9))
    assert training.step(given_, 3, 5) < before
