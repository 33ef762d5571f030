"""What matters more counts more: stronger deeds, newer deeds, repeated deeds."""

from recsys.confidence import ConfidencePolicy
from recsys.events import ACTION_CODE, Action
from recsys.history import Interaction
from tests.builders import NOON_MS

DAY_MS = 86_400_000


def deed(item_id, action=Action.CLICK, ts_ms=NOON_MS, value=1.0):
    return Interaction(item_id, ACTION_CODE[action], ts_ms, value, 0)


def confidence(*history, now_ms=NOON_MS):
    return ConfidencePolicy().confidences(history, now_ms)


def test_a_purchase_says_more_than_a_view():
    assert confidence(deed("bought", Action.PURCHASE))["bought"] > confidence(deed("seen", Action.VIEW))["seen"] > 1


def test_repeated_deeds_add_up():
    assert confidence(deed("a"), deed("a"))["a"] > confidence(deed("a"))["a"]


def test_of_two_equal_deeds_the_newer_one_counts_more():
    found = confidence(deed("old"), deed("new"))

    assert found["new"] > found["old"]


def test_a_deed_fades_to_half_in_its_half_life():
    policy = ConfidencePolicy(half_life_days=2)
    fresh = policy.confidences([deed("a")], NOON_MS)["a"] - 1
    aged = policy.confidences([deed("a")], NOON_MS + 2 * DAY_MS)["a"] - 1

    assert abs(aged - fresh / 2) < 1e-12


def test_ten_newer_deeds_halve_an_older_one():
    found = ConfidencePolicy(half_life_rank=10).confidences([deed("a"), *(deed(f"x{i}") for i in range(10))], NOON_MS)
    alone = ConfidencePolicy().confidences([deed("a")], NOON_MS)

    assert abs((found["a"] - 1) - (alone["a"] - 1) / 2) < 1e-12


def test_a_dislike_is_below_minus_one():
    assert confidence(deed("a", Action.DISLIKE))["a"] < -1


def test_what_weighs_nothing_is_left_out():
    assert confidence(deed("a", Action.IMPRESSION)) == {}


def test_an_event_from_the_future_counts_as_new():
    assert confidence(deed("a", ts_ms=NOON_MS + DAY_MS)) == confidence(deed("a"))
