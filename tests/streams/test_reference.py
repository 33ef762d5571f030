"""Whatever is delivered again, broken off or recovered: the agents leave behind what the reference fold says."""

import asyncio
import contextlib
import json
import random
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.candidates import Views
from recsys.item_table import ItemTable
from recsys.trends import Trends
from streams import topics
from streams.agents.recommend import ClickProcessor
from streams.log.base import NewRecord
from streams.policy import recommend_policy
from streams.reference import ClicksReference, Place, ProductsReference
from streams.settings import Settings
from tests.builders import NOON_MS
from tests.end_to_end.log_facts import states_in, trends_in
from tests.streams.memory_log import BrokenOff, MemoryLog

PARTITIONS = 2
USERS = ["ann", "bob", "eve", "joe"]
ITEMS = ["lamp", "chair", "shoe", "boot", "vase"]
KINDS = ["impression", "view", "click", "purchase", "search", "hide", "dislike", "remove_from_cart"]
SETTINGS = Settings(partitions=PARTITIONS)
POLICY = recommend_policy(SETTINGS)

messages = st.one_of(
    st.fixed_dictionaries(
        {
            "event_id": st.integers(0, 30).map(str),
            "user_id": st.sampled_from(USERS),
            "item_id": st.sampled_from(ITEMS),
            "type": st.sampled_from(KINDS),
            "ts": st.integers(0, 5_000_000).map(lambda age: NOON_MS - age),
            "value": st.sampled_from([0.0, 0.5, 1.0, 3.0]),
            "context": st.just({"query": "red"}),
        }
    ).map(lambda click: json.dumps(click).encode()),
    st.sampled_from([b"{", b"\xff", b"[]", b'{"user_id": "ann"}', None]),
)
sizes = st.tuples(st.integers(0, 6), st.integers(0, 6))
steps = st.one_of(
    st.tuples(st.just("take"), sizes),
    st.tuples(st.just("die while taking"), sizes, st.integers(0, 12)),
    st.tuples(st.just("die between two batches"), sizes, st.integers(0, 12)),
    st.tuples(st.just("commit"), st.integers(0, PARTITIONS - 1)),
    st.tuples(st.just("publish counts")),
    st.tuples(st.just("die while publishing counts"), st.integers(0, 6)),
    st.tuples(st.just("rebalance")),
)


class Lists:
    """Redis, in a dictionary: takes what is newer."""

    def __init__(self):
        self.lists, self.users = {}, {}

    async def put_lists(self, writes):
        for write in writes:
            if write.list_json is not None and write.version > self.lists.get(write.user_id, ("",))[0]:
                self.lists[write.user_id] = write.version, write.list_json
            if write.version > self.users.get(write.user_id, b"").decode(errors="ignore")[:30]:
                self.users[write.user_id] = write.version.encode() + write.user
        return len(writes)

    async def get_lists(self, user_ids):
        return [self.lists[user_id][1] if user_id in self.lists else None for user_id in user_ids]

    async def get_users(self, user_ids):
        return [self.users.get(user_id) for user_id in user_ids]


class Deployment:
    """One worker after the other on one log, each starting from what is committed."""

    def __init__(self, clicks):
        self.log, self.store = MemoryLog(PARTITIONS), Lists()
        for value in clicks:
            self.log.put(NewRecord(topics.CLICKS, user_in(value), value), NOON_MS)
        self.committed, self.next = [0] * PARTITIONS, [0] * PARTITIONS
        self.start()

    def start(self):
        views = Views(ItemTable(ITEMS), Trends(ItemTable(ITEMS), POLICY.trends))
        self.log.survive = None
        self.worker = ClickProcessor(SETTINGS, self.log, self.store, lambda: views, POLICY, lambda: NOON_MS)
        self.next = list(self.committed)

    def next_batch(self, sizes):
        batch = []
        for partition, size in enumerate(sizes):
            start = self.next[partition]
            batch += self.log.records[topics.CLICKS, partition][start : start + size]
        for record in batch:
            self.next[record.partition] = record.offset + 1
        return batch

    async def take(self, sizes):
        assert await self.worker.process(self.next_batch(sizes))

    async def take_two(self, sizes):
        """Fold a second batch while the first is written."""
        first = await self.worker.take(self.next_batch(sizes))
        await self.worker.take(self.next_batch(sizes))
        await self.worker.publish(first)

    async def do(self, step):
        match step:
            case ("take", sizes):
                await self.take(sizes)
            case ("die while taking", sizes, survive):
                self.log.survive = survive
                with contextlib.suppress(BrokenOff):
                    await self.take(sizes)
                self.start()
            case ("die between two batches", sizes, survive):
                self.log.survive = survive
                with contextlib.suppress(BrokenOff):
                    await self.take_two(sizes)
                self.start()
            case ("commit", partition):
                self.committed[partition] = self.next[partition]
            case ("publish counts",):
                await self.worker.publish_trends()
            case ("die while publishing counts", survive):
                self.log.survive = survive
                with contextlib.suppress(BrokenOff):
                    await self.worker.publish_trends()
                self.start()
            case ("rebalance",):
                self.worker.forget()
                self.next = list(self.committed)

    async def finish(self):
        self.log.offsets = dict(enumerate(self.committed))
        await self.worker.own(range(PARTITIONS), "recommend")
        await self.take((10_000, 10_000))
        await self.worker.publish_trends()


def user_in(value):
    """The key of a click, or some key for what is none."""
    try:
        return json.loads(value or b"{}")["user_id"].encode()
    except (ValueError, KeyError, TypeError):
        return b"ann"


def reference_of(shop):
    reference = ClicksReference(POLICY)
    for record in shop.log.all(topics.CLICKS):
        reference.put(record)
    return reference


def check(shop, steps):
    async def run():
        for step in steps:
            await shop.do(step)
        await shop.finish()

    asyncio.run(run())
    reference = reference_of(shop)
    assert states_in(shop.log.all(topics.USER_STATE)) == reference.packed_states()
    counts, _ = trends_in(shop.log.all(topics.TRENDS))
    assert {p: c for p, c in counts.items() if c} == {p: c for p, c in reference.counts.items() if c}
    letters = defaultdict(set)
    for record in shop.log.all(topics.DEAD_LETTERS):
        letter = json.loads(record.value)
        letters[letter["partition"], letter["offset"]].add(letter["reason"])
    assert letters == {place: {reason} for place, reason in reference.refused.items()}
    for user_id, (version, list_json) in shop.store.lists.items():
        assert json.loads(list_json)["version"] == version
        assert int(version[5:21]) <= reference.last[user_id].offset


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(messages, max_size=40), st.lists(steps, max_size=25))
def test_states_counts_and_letters_equal_the_reference_after_any_crashes(clicks, steps):
    check(Deployment(clicks), steps)


@pytest.mark.parametrize("survive", range(8))
def test_a_worker_may_die_after_any_record_of_a_batch(survive):
    rng = random.Random(survive)
    clicks = [
        {"event_id": str(n), "user_id": rng.choice(USERS), "item_id": "lamp", "type": "click", "ts": NOON_MS - age}
        for n, age in enumerate(range(60_000, 0, -4_000))
    ]
    shop = Deployment([json.dumps(click).encode() for click in clicks])

    check(shop, [("take", (3, 3)), ("commit", 0), ("commit", 1), ("die while taking", (12, 12), survive)])


def test_the_state_at_a_mark_is_the_one_just_after_that_offset():
    log = MemoryLog(1)
    for number in range(6):
        click = {"event_id": str(number), "user_id": "ann", "item_id": "lamp", "type": "click", "ts": NOON_MS}
        log.put(NewRecord(topics.CLICKS, b"ann", json.dumps(click).encode()), NOON_MS)
    records = log.all(topics.CLICKS)
    marked, until_third = ClicksReference(POLICY, marks={"ann": [2, 5]}), ClicksReference(POLICY)
    for record in records:
        marked.put(record)
    for record in records[:3]:
        until_third.put(record)

    assert marked.state_at("ann", 2) == until_third.packed_states()["ann"]
    assert marked.state_at("ann", 5) == marked.packed_states()["ann"]
    assert marked.state_at("ann", 1) is None
    assert marked.state_at("bob", 2) is None


@pytest.mark.parametrize(("value", "reason"), [(b"{", "not-json"), (b'{"item_id": "lamp"}', None)])
def test_a_message_of_products_that_is_refused_leaves_the_product_as_it_was(value, reason):
    log = MemoryLog(1)
    log.put(NewRecord(topics.PRODUCTS, b"lamp", b'{"item_id": "lamp", "title": "Lamp"}'), NOON_MS)
    log.put(NewRecord(topics.PRODUCTS, b"lamp", value), NOON_MS)
    reference = ProductsReference()
    for record in log.all(topics.PRODUCTS):
        reference.put(record)

    assert reference.products["lamp"].place == Place(0, 0)
    assert list(reference.refused) == [Place(0, 1)]
    assert reason is None or reference.refused[Place(0, 1)]


def test_a_deleted_product_is_known_as_deleted():
    log = MemoryLog(1)
    log.put(NewRecord(topics.PRODUCTS, b"lamp", b'{"item_id": "lamp", "title": "Lamp"}'), NOON_MS)
    log.put(NewRecord(topics.PRODUCTS, b"lamp", None), NOON_MS)
    reference = ProductsReference()
    for record in log.all(topics.PRODUCTS):
        reference.put(record)

    assert reference.products["lamp"].product is None
