"""Test-then-learn: nothing is predicted from what comes later."""

from itertools import count

import numpy as np
import pytest

from recsys.evaluation.baselines import BASELINES, CoOccurrence, DecayedPopularity
from recsys.evaluation.learner import Freshet, policy_for
from recsys.evaluation.order import Protocol, arrange
from recsys.evaluation.replay import replay
from recsys.evaluation.world import World, rank_among
from recsys.item_table import ItemTable
from recsys.learner import Learner
from recsys.refresh import RecommendPolicy
from tests.builders import a_click

N_USERS = 12


def a_log(changed_from: int = 10**9):
    """Even users like even items, odd users odd ones; from one event on, everybody takes something else."""
    rng = np.random.default_rng(0)
    log = []
    for n in range(400):
        user = n % N_USERS
        item = 2 * int(rng.integers(60)) + user % 2 if n < changed_from else 1_000 + n
        log.append(a_click(f"u{user}", f"i{item}", ts_ms=1_600_000_000_000 + 60_000 * n))
    return log


def ours() -> Freshet:
    learner = Learner(policy_for(RecommendPolicy(), repeat=False), ItemTable())
    return Freshet(learner, lambda learner: None, fit_at=10**9, teach_at=100)


def run(log, **options):
    protocol = Protocol(**options)
    world = World(repeat=protocol.repeat)
    methods = [ours(), *(make(world) for make in BASELINES.values())]
    return replay(arrange(log, protocol), world, methods, clock=count().__next__)


@pytest.mark.parametrize("basket", [False, True])
def test_what_comes_later_changes_no_earlier_rank(basket: bool):
    options = {"repeat": True, "basket": basket, "history": 0.5}
    _, before = run(a_log(), **options)
    _, after = run(a_log(changed_from=300), **options)

    for name, of_method in before.items():
        assert of_method.ranks[:100] == after[name].ranks[:100], name


def test_all_methods_rank_the_same_events_and_tell_even_users_from_odd_ones():
    outcomes, ranks = run(a_log(), history=0.5)

    assert len(outcomes.users) > 100
    assert {len(found.ranks) for found in ranks.values()} == {len(outcomes.users)}
    mean = {name: np.mean([rank or 100 for rank in found.ranks]) for name, found in ranks.items()}
    for name in ("freshet", "item co-occurrence, recency 3", "static implicit ALS"):
        assert mean[name] < 0.95 * mean["decayed popularity"], name


def test_an_item_that_nobody_had_is_a_miss_for_everyone():
    _, ranks = run([*a_log(), a_click("u1", "new", ts_ms=1_700_000_000_000)], history=0.99)

    assert all(found.ranks[-1] is None for found in ranks.values())


def test_what_the_user_had_is_out_of_the_ranking():
    world = World(repeat=False)
    popularity = DecayedPopularity(world)
    for user, item in (("ann", "lamp"), ("bob", "lamp"), ("bob", "shoe"), ("ann", "boot")):
        click = a_click(user, item, ts_ms=0)
        popularity.learn(click, world.learn(click))

    assert popularity.predict("cid", ["lamp", "shoe"]) == [1.0, 2.5]
    assert popularity.predict("ann", ["shoe"]) == [1.0], "lamp and boot are out"


def test_equal_scores_share_their_places():
    scores = np.array([3.0, 1.0, 1.0, 1.0])

    assert [rank_among(scores, row) for row in range(4)] == [1.0, 3.0, 3.0, 3.0]


def test_co_occurrence_counts_each_pair_of_a_user_once_for_each_event():
    world = World(repeat=True)
    together = CoOccurrence(world)
    for user, item in (("ann", "lamp"), ("ann", "shoe"), ("bob", "lamp"), ("bob", "boot"), ("cid", "lamp")):
        click = a_click(user, item)
        together.learn(click, world.learn(click))

    lamp, shoe, boot = together.scores("cid")
    assert lamp == 0.0
    assert shoe == boot == pytest.approx(1 / np.sqrt(3))


def test_old_popularity_fades_and_never_overflows():
    world = World(repeat=True)
    popularity = DecayedPopularity(world, half_life_days=1.0)
    for item, day in (("old", 0), ("old", 0), ("new", 2), ("newest", 5_000)):
        click = a_click("ann", item, ts_ms=day * 86_400_000)
        popularity.learn(click, world.learn(click))

    assert popularity.predict("bob", ["newest"]) == [1.0]
    assert np.isfinite(popularity.scores("bob")).all()
