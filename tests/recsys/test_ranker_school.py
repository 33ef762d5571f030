"""What was chosen teaches a ranker, and it is said whether that is worth anything."""

import numpy as np
import pytest

from recsys.als.fit import FitPolicy
from recsys.als.interactions import Interactions
from recsys.ranker import N_FEATURES, N_ROWS, RankerWeights
from recsys.ranker_school import newest_clicks, teach
from recsys.refresh import RecommendPolicy
from tests.builders import NOON_MS, a_click

POLICY, FIT = RecommendPolicy(), FitPolicy(n_factors=4, iterations=2)
KNOWS_NOTHING = RankerWeights(np.zeros((N_ROWS, N_FEATURES)), "none")


def a_log(n: int = 2_000, *, by_chance: bool = False):
    """Even users go through the even items one after the other, odd users through the odd ones; or all by chance."""
    rng = np.random.default_rng(0)
    log = []
    for number in range(n):
        user = number % 20
        step = int(rng.integers(40)) if by_chance else (number // 20 + user) % 40
        log.append(a_click(f"u{user}", f"i{2 * step + user % 2}", ts_ms=NOON_MS + 60_000 * number))
    return log


def test_what_can_be_foretold_is_learned_and_said_to_be_better():
    taught = teach(a_log(), POLICY, FIT, KNOWS_NOTHING, "next")

    assert taught is not None
    assert taught.challenger.version == "next"
    assert taught.is_better
    assert 0.0 < taught.interval[0] <= taught.gain <= taught.interval[1]
    assert not KNOWS_NOTHING.table.any(), "the champion stays as it is"


def test_the_same_events_teach_the_same_to_the_last_bit():
    first, second = (teach(a_log(), POLICY, FIT, KNOWS_NOTHING, "next") for _ in range(2))

    assert first is not None
    assert second is not None
    assert np.array_equal(first.challenger.table, second.challenger.table)
    assert first.gain == second.gain


def test_a_champion_that_knows_all_that_there_is_to_know_is_not_replaced():
    champion = KNOWS_NOTHING
    for _ in range(3):
        taught = teach(a_log(by_chance=True), POLICY, FIT, champion, "next")
        assert taught is not None
        champion = taught.challenger

    taught = teach(a_log(by_chance=True), POLICY, FIT, champion, "next")

    assert taught is not None
    assert abs(taught.gain) < 0.05


def test_too_few_events_teach_nothing():
    assert teach(a_log(100), POLICY, FIT, KNOWS_NOTHING, "next") is None


def test_lessons_can_be_broken_off():
    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        teach(a_log(), POLICY, FIT, KNOWS_NOTHING, "next", stop)


def test_the_trainers_fold_gives_back_its_events_in_the_order_of_time():
    fold = Interactions()
    clicks = a_log(60)
    for click in clicks[::-1]:
        fold.apply(click)

    found = newest_clicks(fold.arrays())

    assert [(click.user_id, click.item_id, click.type, click.ts_ms) for click in found] == [
        (click.user_id, click.item_id, click.type, click.ts_ms) for click in clicks
    ]
