"""Counts are the same however often a crash repeats events, and whoever sums them."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.counts import ItemTrend, PartitionTrends, TrendsPolicy, decode_trend, encode_trend
from recsys.events import ACTION_CODE, Action
from recsys.history import Interaction
from recsys.item_table import ItemTable
from recsys.ranker import COUNT, LOG_COUNT, N_LEVELS
from recsys.trends import Trends, summed
from tests.builders import NOON_MS

WEEK_MS = 7 * 86_400_000
POLICY = TrendsPolicy()
CLICK = ACTION_CODE[Action.CLICK]


def observe_all(trends: PartitionTrends, items: list[str], start: int = 0) -> None:
    history: list[Interaction] = []
    for i, item_id in enumerate(items):
        if i >= start:
            trends.observe(item_id, 1.0, NOON_MS + i, i, reversed(history))
        history.append(Interaction(item_id, CLICK, NOON_MS + i, 1.0, i))


def partners_of(reader: Trends, items: ItemTable, item_id: str) -> dict[str, float]:
    """Cosine by partner."""
    rows, cosines = reader.partners(items.rows([item_id]))
    return {items.ids[row]: cosine for row, cosine in zip(rows[0], cosines[0].tolist(), strict=True) if cosine}


def test_what_is_popular_in_a_small_category_is_found_behind_all_that_is_popular_elsewhere():
    trends, items = PartitionTrends(POLICY), ItemTable([f"shoe-{number}" for number in range(400)] + ["lamp", "torch"])
    bought = [f"shoe-{number}" for number in range(400)] * 2 + ["lamp", "torch", "lamp"]
    for offset, item_id in enumerate(bought):
        trends.observe(item_id, 1.0 if item_id in {"lamp", "torch"} else 9.0, NOON_MS, offset, ())
    reader = summed(items, {0: trends}, POLICY)
    items.show("hidden-lamp", visible=False)

    rows, popularity = reader.top_among(lambda item_id: not item_id.startswith("shoe"), 10)

    assert [items.ids[row] for row in rows] == ["lamp", "torch"]
    assert popularity.tolist() == [1.0, 0.5]


def test_what_follows_in_one_session_goes_together_most():
    trends = PartitionTrends(POLICY)
    observe_all(trends, ["lamp", "bulb", "shoe"])
    items = ItemTable()
    reader = summed(items, {0: trends}, POLICY)

    partners = partners_of(reader, items, "lamp")
    assert sorted(partners, key=partners.__getitem__, reverse=True) == ["bulb", "shoe"]


def test_popularity_halves_in_its_half_life():
    trends = PartitionTrends(POLICY)
    trends.observe("old", 1.0, NOON_MS, 0, ())
    trends.observe("new", 1.0, NOON_MS + WEEK_MS, 1, ())
    items = ItemTable()
    rows, popularity = summed(items, {0: trends}, POLICY).top()

    assert [items.ids[row] for row in rows] == ["new", "old"]
    assert popularity.tolist() == pytest.approx([1.0, 0.5])


@pytest.mark.parametrize("start_ms", [0, NOON_MS, 4_100_000_000_000], ids=["1970", "now", "2099"])
def test_popularity_fades_alike_in_any_year(start_ms: int):
    trends = [PartitionTrends(POLICY), PartitionTrends(POLICY)]
    trends[0].observe("old", 1.0, start_ms, 0, ())
    trends[1].observe("old", 1.0, start_ms, 0, ())
    trends[1].observe("new", 1.0, start_ms + 2 * WEEK_MS, 1, ())
    items = ItemTable(["untouched"])
    reader = summed(items, dict(enumerate(trends)), POLICY)
    rows, popularity = reader.top()

    assert [items.ids[row] for row in rows] == ["new", "old"]
    assert popularity.tolist() == pytest.approx([1.0, 0.5])
    assert reader.popularity(items.rows(["untouched", "old"])).tolist() == [0.0, 1.0]


def test_a_late_event_adds_what_it_would_be_worth_now():
    late, straight = PartitionTrends(POLICY), PartitionTrends(POLICY)
    for trends, times in ((late, [NOON_MS + WEEK_MS, NOON_MS]), (straight, [NOON_MS, NOON_MS + WEEK_MS])):
        for offset, ts_ms in enumerate(times):
            trends.observe("lamp", 1.0, ts_ms, offset, ())

    assert abs(late.items["lamp"].popularity - straight.items["lamp"].popularity) < 1e-12


def test_readers_sum_the_partitions():
    first, second = PartitionTrends(POLICY), PartitionTrends(POLICY)
    observe_all(first, ["lamp", "bulb"])
    observe_all(second, ["lamp", "shoe", "shoe"])
    items = ItemTable()
    reader = summed(items, {0: first, 1: second}, POLICY)

    assert [reader.count(items.row(item)) for item in ("lamp", "bulb", "shoe")] == [2.0, 1.0, 2.0]
    assert partners_of(reader, items, "lamp").keys() == {"bulb", "shoe"}


def test_one_more_event_of_a_popular_item_changes_its_partners_at_once():
    trends = PartitionTrends(POLICY)
    observe_all(trends, ["lamp", "bulb"] * 200)
    items = ItemTable()
    reader = summed(items, {0: trends}, POLICY)
    assert partners_of(reader, items, "lamp").keys() == {"bulb"}

    observe_all(trends, [*["lamp", "bulb"] * 200, "shoe"], start=400)
    reader.put(0, "lamp", trends.items["lamp"])

    assert partners_of(reader, items, "lamp").keys() == {"bulb", "shoe"}


def test_a_reader_looks_at_the_strongest_partners_only():
    policy = TrendsPolicy(partners=2)
    items = ItemTable()
    reader = Trends(items, policy)
    reader.put(0, "lamp", ItemTrend(0, 1.0, NOON_MS, 1.0, {"bulb": 3.0, "shoe": 1.0, "torch": 2.0}))

    assert partners_of(reader, items, "lamp").keys() == {"bulb", "torch"}


def test_an_item_keeps_only_its_strongest_partners():
    policy = TrendsPolicy(row_limit=3, window=100)
    trends = PartitionTrends(policy)
    observe_all(trends, ["lamp", "bulb", "lamp", "bulb", *(f"x{i}" for i in range(20))])

    assert len(trends.items["lamp"].pairs) <= 6
    assert "bulb" in trends.items["lamp"].pairs


@given(st.lists(st.sampled_from("abcde"), max_size=40), st.randoms(use_true_random=False))
def test_a_crash_after_any_publication_leads_to_the_same_counts(items: list[str], rng: random.Random):
    straight = PartitionTrends(POLICY)
    observe_all(straight, items)

    # Published at two moments, the second only in part: the marker stands at the first.
    marker = rng.randint(0, len(items))
    further = rng.randint(marker, len(items))
    crashed = PartitionTrends(POLICY)
    observe_all(crashed, items[:marker])
    published = {item: encode_trend(trend) for item, trend in crashed.items.items()}
    observe_all(crashed, items[:further], start=marker)
    for item, trend in crashed.items.items():
        if rng.random() < 0.5:
            published[item] = encode_trend(trend)
    recovered = PartitionTrends(POLICY)
    recovered.items = {item: decode_trend(packed) for item, packed in published.items()}
    observe_all(recovered, items, start=marker)

    assert {i: encode_trend(t) for i, t in recovered.items.items()} == {
        i: encode_trend(t) for i, t in straight.items.items()
    }


@given(
    st.lists(st.sampled_from("abcde"), max_size=40),
    st.lists(st.integers(0, 4), min_size=1, max_size=20),
    st.integers(0, 60),
)
def test_counts_published_a_few_at_a_time_are_completed_from_where_they_say(
    items: list[str], limits: list[int], crash_after: int
):
    straight = PartitionTrends(POLICY)
    observe_all(straight, items)

    crashed, published, complete_to = PartitionTrends(POLICY), {}, -1
    for i in range(min(crash_after, len(items))):
        observe_all(crashed, items[: i + 1], start=i)
        for item, trend in crashed.take_changes(limits[i % len(limits)]):
            published[item] = encode_trend(trend)
            complete_to = crashed.complete_to
    recovered = PartitionTrends(POLICY)
    recovered.items = {item: decode_trend(packed) for item, packed in published.items()}
    observe_all(recovered, items, start=complete_to + 1)

    assert {i: encode_trend(t) for i, t in recovered.items.items()} == {
        i: encode_trend(t) for i, t in straight.items.items()
    }


def test_the_order_of_records_does_not_change_what_a_reader_says():
    parts = {}
    for partition in range(3):
        trends = PartitionTrends(POLICY)
        observe_all(trends, random.Random(partition).choices("abcdefgh", k=50))
        parts[partition] = trends
    records = [(p, item, trend) for p, trends in parts.items() for item, trend in trends.items.items()]
    answers = []
    for seed in range(3):
        items = ItemTable()
        reader = Trends(items, POLICY)
        random.Random(seed).shuffle(records)
        for record in records:
            reader.put(*record)
        reader.refresh()
        rows, popularity = reader.top()
        partners = [partners_of(reader, items, item) for item in "abcdefgh"]
        answers.append(([items.ids[row] for row in rows], popularity.tolist(), partners))

    assert answers[0] == answers[1] == answers[2]


def test_what_users_touch_next_is_told_apart_from_what_they_touched_before():
    trends = PartitionTrends(POLICY)
    observe_all(trends, ["lamp", "bulb", "shoe", "boot", "sock"])
    items = ItemTable()
    reader = summed(items, {0: trends}, POLICY)

    def after(item_id: str) -> list[str]:
        rows, cosines = reader.following(items.rows([item_id]))
        found = {items.ids[row]: cosine for row, cosine in zip(rows[0], cosines[0].tolist(), strict=True) if cosine}
        return sorted(found, key=found.__getitem__, reverse=True)

    assert after("lamp") == ["bulb", "shoe", "boot"], "sock is four steps away"
    assert after("shoe") == ["boot", "sock"]
    assert after("sock") == []


def test_what_was_popular_for_long_and_what_is_of_late_are_among_the_popular():
    trends, offset = PartitionTrends(POLICY), 0
    for item_id, days_ago, n in (("evergreen", 60, 20), ("hit", 7, 12), ("newcomer", 0, 2)):
        for _ in range(n):
            trends.observe(item_id, 1.0, NOON_MS - days_ago * 86_400_000, offset, ())
            offset += 1
    items = ItemTable()
    reader = summed(items, {0: trends}, POLICY)

    assert [items.ids[row] for row in reader.popular(1)[0].tolist()] == ["hit"]
    rows, popularity = reader.popular(4)
    assert [items.ids[row] for row in rows.tolist()] == ["hit", "newcomer", "evergreen"]
    assert popularity[0] == 1.0
    interest = reader.interest[items.rows(["hit", "newcomer", "evergreen"])]
    assert interest[:, COUNT].tolist() == [12.0, 2.0, 20.0]
    assert interest[:, LOG_COUNT].tolist() == pytest.approx(np.log1p([12.0, 2.0, 20.0]).tolist())
    assert interest[:, :N_LEVELS].argmax(axis=0).tolist() == [0, 1, 0]
