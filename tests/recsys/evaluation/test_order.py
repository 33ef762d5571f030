"""Which events of a log are predicted, in which order and from which state."""

from recsys.evaluation.order import Protocol, arrange
from tests.builders import a_click


def a_log(*events: tuple[str, str, int]):
    return [a_click(user, item, ts_ms=ts_ms) for user, item, ts_ms in events]


def order_of(groups) -> list[list[str]]:
    return [[click.item_id for click in group] for group in groups]


def test_events_go_by_time_and_those_of_one_time_by_their_place_in_the_file():
    log = a_log(("ann", "late", 9), ("ann", "b", 5), ("ann", "a", 5), ("bob", "early", 1))

    assert order_of(arrange(log, Protocol()).groups) == [["early"], ["b"], ["a"], ["late"]]


def test_only_the_first_event_of_a_user_and_item_counts_unless_repeats_do():
    log = a_log(("ann", "lamp", 1), ("bob", "lamp", 2), ("ann", "lamp", 3))

    assert arrange(log, Protocol()).n_events == 2
    assert arrange(log, Protocol(repeat=True)).n_events == 3


def test_a_basket_is_one_group_and_stands_where_its_first_event_does():
    log = a_log(("ann", "a", 1), ("bob", "b", 1), ("ann", "c", 1), ("ann", "d", 2))

    assert order_of(arrange(log, Protocol(basket=True)).groups) == [["a", "c"], ["b"], ["d"]]


def test_shuffling_changes_the_order_within_a_moment_of_a_user_and_nothing_else():
    items = [f"i{n}" for n in range(20)]
    log = a_log(("bob", "first", 1), *(("ann", item, 2) for item in items), ("bob", "last", 3))

    shuffled = [group[0].item_id for group in arrange(log, Protocol(shuffle=0)).groups]
    assert (shuffled[0], shuffled[-1]) == ("first", "last")
    assert sorted(shuffled[1:-1]) == sorted(items)
    assert shuffled[1:-1] != items
    assert order_of(arrange(log, Protocol(shuffle=0)).groups) == order_of(arrange(log, Protocol(shuffle=0)).groups)
    assert order_of(arrange(log, Protocol(shuffle=1)).groups) != order_of(arrange(log, Protocol(shuffle=0)).groups)


def test_the_first_nine_tenths_are_history():
    replay = arrange(a_log(*(("ann", f"i{n}", n) for n in range(20))), Protocol())

    assert (replay.n_events, replay.n_history) == (20, 18)


def test_events_without_an_item_are_left_out():
    assert arrange([a_click("ann", "")], Protocol()).n_events == 0
