"""What is known of candidates becomes a score; the weights are learned from what was chosen."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.evidence import N_COLUMNS
from recsys.ranker import (
    FEATURES,
    LENGTHS,
    N_FEATURES,
    N_ROWS,
    RankerWeights,
    contexts,
    features,
)
from recsys.ranker_training import Lesson, RankerTraining, TrainingPolicy, loss

NAMES = [name for name, _ in FEATURES]
amounts = st.floats(0.0, 5.0, allow_subnormal=False)
a_level = st.one_of(st.just(-np.inf), st.floats(-40.0, 4_000.0))
candidate = st.tuples(*[amounts] * N_COLUMNS, *[a_level] * 3, st.integers(0, 10_000))
users = st.lists(st.lists(candidate, max_size=6), min_size=1, max_size=3)


def flat(lists):
    bounds = np.cumsum([0, *(len(of_user) for of_user in lists)], dtype=np.intp)
    table = np.array([row for of_user in lists for row in of_user], dtype=np.float64).reshape(-1, N_COLUMNS + 4)
    interest = np.column_stack((table[:, N_COLUMNS:], np.log1p(table[:, -1])))
    return bounds, np.arange(len(table)), table[:, :N_COLUMNS].copy(), interest


@settings(deadline=None)  # the first call compiles
@given(lists=users)
def test_features_are_bounded_and_do_not_depend_on_other_users(lists):
    bounds, *known = flat(lists)
    given_ = features(bounds, *known)

    assert np.isfinite(given_).all()
    assert (given_ >= 0.0).all()
    assert (given_ <= 2.0).all()
    for user, of_user in enumerate(lists):
        assert np.array_equal(features(*flat([of_user])), given_[bounds[user] : bounds[user + 1]])


@settings(deadline=None)
@given(lists=users, seed=st.integers(0, 99))
def test_scores_are_those_of_plain_arithmetic_in_the_same_order(lists, seed):
    bounds, *known = flat(lists)
    given_, each = features(bounds, *known), np.arange(len(lists))
    ranker = RankerWeights(np.random.default_rng(seed).normal(size=(N_ROWS, N_FEATURES)), "some")

    rows = contexts(3 * each, each)
    scores, sources = ranker.score(bounds, *known, rows)

    for user in range(len(lists)):
        own = slice(bounds[user], bounds[user + 1])
        weights = ranker.table[0] + ranker.table[rows[user]].sum(axis=0)
        plain = given_[own] @ weights
        assert scores[own] == pytest.approx(1.0 / (1.0 + plain.max(initial=-np.inf) - plain), rel=1e-9)
        parts = np.array(
            [(given_[own] * weights)[:, [s == source for _, s in FEATURES]].sum(axis=1) for source in range(4)]
        ).T
        for place, source in enumerate(sources[own].tolist()):
            assert parts[place, source] == pytest.approx(parts[place].max(), abs=1e-9)


def test_a_source_that_tells_nothing_costs_nothing():
    bounds, *known = flat([[(0.0,) * N_COLUMNS + (-np.inf,) * 3 + (0,)] * 2])

    assert not features(bounds, *known).any()


def test_users_with_as_long_a_history_and_as_long_a_session_share_weights():
    by_length = contexts(np.array([0, 1, 2, 4, 5, 9, 10, 29, 30, 99]), np.zeros(10, dtype=np.intp))[:, 0]
    by_session = contexts(np.zeros(6, dtype=np.intp), np.array([0, 1, 2, 3, 9, 10]))[:, 1]

    assert by_length.tolist() == [1, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    assert (by_session - len(LENGTHS)).tolist() == [2, 3, 4, 4, 5, 6]
    assert by_session.max() == N_ROWS - 1


def test_training_finds_which_feature_is_chosen_by_and_for_whom():
    """People with a history choose by one feature, newcomers by another."""
    rng = np.random.default_rng(0)
    training = RankerTraining()
    of = {n: contexts(np.array([n]), np.array([0]))[0] for n in (0, 40)}
    losses = []
    for number in range(4_000):
        given_ = rng.random((20, N_FEATURES))
        n_items, feature = (0, 12) if number % 2 else (40, 4)
        losses.append(training.step(Lesson(given_, np.array([given_[:, feature].argmax()]), of[n_items])))

    def best_for(n_items):
        return int((training.table[0] + training.table[of[n_items]].sum(axis=0)).argmax())

    assert best_for(0) == 12
    assert best_for(40) == 4
    assert np.mean(losses[-500:]) < 0.7 * np.mean(losses[:100])


def test_a_step_goes_down_the_gradient_of_the_cross_entropy():
    rng = np.random.default_rng(1)
    given_ = rng.random((9, N_FEATURES))
    context = contexts(np.array([5]), np.array([1]))[0]
    training = RankerTraining(policy=replace(TrainingPolicy(), decay=0.0))
    lesson = Lesson(given_, np.array([3]), context)
    before = training.step(lesson)

    assert before == pytest.approx(np.log(9))
    after = loss(training.table, lesson)
    assert after < before
    assert training.step(lesson) == pytest.approx(after)


def test_several_chosen_at_once_are_one_step_towards_all_of_them():
    given_ = np.zeros((4, N_FEATURES))
    given_[0, 0] = given_[1, 1] = given_[2, 2] = 1.0
    training = RankerTraining()
    training.step(Lesson(given_, np.array([0, 1]), contexts(np.array([5]), np.array([1]))[0]))

    assert training.n_steps == 1
    assert training.table[0, 0] == pytest.approx(training.table[0, 1])
    assert training.table[0, 0] > 0.0 > training.table[0, 2]
