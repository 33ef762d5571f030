"""What a worker left behind is compared with its clicks; whatever is lost, doubled or turned back is found."""

import asyncio
import json
import random

import pytest

from recsys.counts import decode_trend, encode_trend
from recsys.history import decode_state, encode_state
from streams import topics
from streams.agents.partition import COUNTED_TO_KEY
from streams.reference import Place
from streams.verify.clicks import BEGUN_BEFORE, Bounds, ClicksCheck
from streams.verify.report import Report
from streams.verify.run import READ
from tests.builders import NOON_MS
from tests.streams.test_reference import ITEMS, PARTITIONS, POLICY, USERS, Deployment


@pytest.fixture
def shop() -> Deployment:
    """A worker has taken sixty clicks and two messages that are none, and published everything."""
    rng = random.Random(5)
    clicks = [
        {"event_id": str(n), "user_id": rng.choice(USERS), "item_id": rng.choice(ITEMS), "type": "click", "ts": NOON_MS}
        for n in range(60)
    ]
    shop = Deployment([*(json.dumps(click).encode() for click in clicks), b"{", b"[]"])

    async def run():
        while any(shop.next_batch((0, 0)) or [shop.next[p] < n for p, n in ends(shop).items()]):
            await shop.take((7, 7))
        await shop.worker.publish_trends()

    asyncio.run(run())
    return shop


def ends(shop, topic=topics.CLICKS):
    return {partition: len(shop.log.records[topic, partition]) for partition in range(PARTITIONS)}


def check(shop) -> Report:
    report = Report()
    bounds = Bounds(ends(shop), {topic: ends(shop, topic) for topic in READ})
    letters = {
        Place(letter["partition"], letter["offset"])
        for letter in (json.loads(record.value) for record in shop.log.all(topics.DEAD_LETTERS))
    }
    compared = ClicksCheck(shop.log, shop.store, "", bounds, POLICY, report, letters, False, lambda user: True)

    async def run():
        for partition in range(PARTITIONS):
            await compared.run(partition)

    asyncio.run(run())
    return report


def where(shop, topic, key):
    """The records of a key in a topic: the list that holds them, and their places in it."""
    for partition in range(PARTITIONS):
        records = shop.log.records[topic, partition]
        places = [place for place, record in enumerate(records) if record.key == key]
        if places:
            return records, places
    raise AssertionError(f"{topic} has no {key!r}")


def differing(report) -> set[str]:
    return {name for name, found in report.checks.items() if found.different}


def test_a_sound_deployment_is_equal_in_everything(shop):
    report = check(shop)

    assert not differing(report), list(report.differences())
    assert report["states"].equal == report["states in Redis"].equal == len(USERS)
    assert report["lists"].equal == 2 * len(USERS)
    assert report["dead letters"].equal == 2
    assert report["counts"].equal > 0


def test_a_lost_state_is_found(shop):
    records, places = where(shop, topics.USER_STATE, b"ann")
    for place in places[-2:]:
        records[place] = records[place]._replace(key=b"bob", value=None)

    assert "states" in differing(check(shop))


def test_a_state_with_one_click_too_few_is_found_and_named(shop):
    records, places = where(shop, topics.USER_STATE, b"ann")
    state = decode_state(records[places[-1]].value)
    del state.history[0]
    records[places[-1]] = records[places[-1]]._replace(value=encode_state(state))

    report = check(shop)
    assert any(f"ann at {state.offset}: differs from its clicks in history" in one for one in report["states"].first)


def test_a_state_that_goes_back_is_found(shop):
    records, places = where(shop, topics.USER_STATE, b"ann")
    records.append(records[places[0]]._replace(offset=len(records)))

    assert any("ann goes back" in one for one in check(shop)["states"].first)


def test_a_list_that_does_not_answer_the_newest_click_is_found(shop):
    records, places = where(shop, topics.RECOMMENDATIONS, b"ann")
    shop.store.lists["ann"] = ("", records[places[0]].value)

    report = check(shop)
    assert any("Redis: ann stands at" in one for one in report["lists"].first)


def test_a_click_that_was_counted_twice_is_found(shop):
    records, places = where(shop, topics.TRENDS, b"lamp")
    assert records[places[-1]].key != COUNTED_TO_KEY
    trend = decode_trend(records[places[-1]].value)
    trend.count += 1
    records[places[-1]] = records[places[-1]]._replace(value=encode_trend(trend))

    assert differing(check(shop)) == {"counts"}


def test_a_missing_dead_letter_is_found(shop):
    for partition in range(PARTITIONS):
        shop.log.records[topics.DEAD_LETTERS, partition].clear()

    report = check(shop)
    assert (report["dead letters"].different, differing(report)) == (2, {"dead letters"})


def test_clicks_that_retention_took_are_no_difference(shop):
    shop.log.kept_from[topics.CLICKS] = 5

    report = check(shop)

    assert not differing(report), list(report.differences())
    found = report["states"]
    assert found.equal + found.left_out[BEGUN_BEFORE] == len(USERS)
    assert found.equal > 0, "states of the time before let the rest be compared"
