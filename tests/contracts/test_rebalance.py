"""Another worker joins while a batch waits for Redis: both go on, and every click counts once. On a real broker."""

import asyncio
import contextlib
import json

import pytest

from recsys.candidates import Views
from recsys.errors import UnavailableError
from recsys.item_table import ItemTable
from recsys.trends import Trends
from streams import topics
from streams.agents.recommend import ClickProcessor
from streams.agents.recommend_app import recommend_app
from streams.apps import SESSION_TIMEOUT_S, app_id
from streams.clock import wall_clock_ms
from streams.log import faust_safe
from streams.log.base import NewRecord
from streams.log.kafka import KafkaLog
from streams.log.lease import HELD, REBALANCE_SESSIONS, Lease
from streams.policy import recommend_policy
from streams.settings import Settings
from tests.contracts.log_contract import read_all
from tests.contracts.test_faust_kafka import running, until
from tests.end_to_end.log_facts import reference_of, states_in

pytestmark = pytest.mark.timeout(120)  # where a rebalance waits for ever, so does the end of the workers
USERS = [f"user-{number}" for number in range(20)]


class Store:
    """A Redis that does not answer, or refuses, until it is told to; without a fault it answers at once."""

    def __init__(self, fault=""):
        self.fault, self.n_tried, self.may_answer = fault, 0, asyncio.Event()
        if not fault:
            self.may_answer.set()

    async def put_lists(self, writes):
        self.n_tried += 1
        if self.fault == "frozen":
            await self.may_answer.wait()
        elif not self.may_answer.is_set():
            raise UnavailableError("Redis is away.")
        return len(writes)


@contextlib.asynccontextmanager
async def worker(settings, store):
    lease = Lease(SESSION_TIMEOUT_S)
    log = KafkaLog(settings, lease=lease)
    await log.start()
    policy = recommend_policy(settings)
    items = ItemTable(["lamp", "chair"])
    views = Views(items, Trends(items, policy.trends))
    processor = ClickProcessor(settings, log, store, lambda: views, policy, wall_clock_ms)
    app = recommend_app(settings, processor, lease)
    try:
        async with running(app):
            yield app, processor
    finally:
        await log.stop()


def test_what_takes_too_long_is_given_up_while_the_lease_still_holds():
    """So that what is on its way to the log can be written before the group goes on without us."""
    assert faust_safe.LET_GO_AFTER * REBALANCE_SESSIONS * SESSION_TIMEOUT_S + 2.0 <= (
        HELD * REBALANCE_SESSIONS * SESSION_TIMEOUT_S
    )


@pytest.mark.parametrize("fault", ["away", "frozen"])
async def test_a_batch_that_waits_for_redis_does_not_keep_others_from_joining(
    fault, kafka, topic_prefix, tmp_path, monkeypatch
):
    monkeypatch.setattr(faust_safe, "LET_GO_AFTER", 0.1)
    settings = Settings(broker=f"kafka://{kafka}", topic_prefix=topic_prefix, data_dir=tmp_path, partitions=2)
    clicks = topic_prefix + topics.CLICKS
    log = KafkaLog(settings)
    await log.start()
    await log.create(topics.all_topics(settings))

    async def all_committed():
        ends = await log.end_offsets(clicks)
        committed = await log.committed(app_id(settings, "recommend"), clicks)
        return all(committed.get(partition, 0) >= end for partition, end in ends.items())

    store = Store(fault)
    async with worker(settings, store) as (first, _):
        await until(lambda: len(first.consumer.assignment()) == 2, "the first worker has both partitions")
        await log.append_many([a_click(clicks, user, number) for number, user in enumerate(USERS * 5)])
        await until(lambda: store.n_tried, "a batch waits for Redis")
        async with worker(settings, Store()) as (second, others):
            await until(lambda: others.partitions, "the second worker has its share", deadline_s=18.0)
            assert len(first.consumer.assignment()) == 1
            store.may_answer.set()
            await until(all_committed, "all clicks are committed")
            assert not first.crashed
            assert not second.crashed

    reference = reference_of(await read_all(log, clicks), settings)
    assert states_in(await read_all(log, topic_prefix + topics.USER_STATE)) == reference.packed_states()
    await log.stop()


def a_click(topic, user_id, number):
    event = {"event_id": f"e-{number}", "user_id": user_id, "item_id": "lamp", "type": "click"}
    return NewRecord(topic, user_id.encode(), json.dumps(event).encode())
