"""Whoever may have lost its partitions writes nothing more: on a real broker, with real members of a real group."""

import asyncio
import time

import pytest
from mode.supervisors import CrashingSupervisor

from recsys.errors import StateError
from streams.agents.batches import ack, drained
from streams.apps import make_app
from streams.log.base import NewRecord, TopicSpec
from streams.log.kafka import KafkaLog
from streams.log.lease import Lease
from streams.settings import Settings
from tests.contracts.log_contract import read_all
from tests.contracts.test_faust_kafka import feed, noting, running, source, until

SESSION_S = 6.0


class Clock:
    """A clock that goes on while its process is stopped."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


def test_a_lease_ends_before_the_session_does():
    clock = Clock()
    lease = Lease(10.0, clock)
    assert not lease.is_held
    lease.confirm(clock.now_s)
    assert lease.is_held
    clock.now_s += 9.0
    assert not lease.is_held


def test_a_heartbeat_counts_from_when_it_was_sent():
    clock = Clock()
    lease = Lease(10.0, clock)
    lease.confirm(clock.now_s - 9.0)
    assert not lease.is_held


@pytest.fixture
def settings(kafka, topic_prefix, tmp_path):
    return Settings(broker=f"kafka://{kafka}", topic_prefix=topic_prefix, data_dir=tmp_path)


@pytest.fixture
async def out(settings):
    log = KafkaLog(settings)
    await log.start()
    await log.create([TopicSpec(settings.topic_prefix + name, 2) for name in ("in", "out")])
    yield log
    await log.stop()


async def texts(log, settings):
    return [record.value for record in await read_all(log, f"{settings.topic_prefix}out")]


async def fenced(settings, lease):
    log = KafkaLog(settings, lease=lease)
    await log.start()
    return log


def record(settings, text):
    return NewRecord(f"{settings.topic_prefix}out", b"k", text, 0)


async def test_a_record_waits_for_the_lease_and_goes_out_with_it(settings, out):
    lease = Lease(SESSION_S)
    log = await fenced(settings, lease)
    waiting = asyncio.create_task(log.append(record(settings, b"late")))
    await asyncio.wait([waiting], timeout=0.3)
    assert not waiting.done()
    assert await texts(out, settings) == []

    lease.confirm(time.monotonic())
    await asyncio.wait_for(waiting, 10)
    assert await texts(out, settings) == [b"late"]
    await log.stop()


@pytest.mark.parametrize("many", [False, True])
async def test_a_record_of_an_ended_term_is_never_written(settings, out, many):
    """Neither while it waits, nor when the next term begins."""
    lease = Lease(SESSION_S)
    log = await fenced(settings, lease)
    one = record(settings, b"stale")
    waiting = asyncio.create_task(log.append_many([one]) if many else log.append(one))
    await asyncio.wait([waiting], timeout=0.3)
    lease.end()
    lease.confirm(time.monotonic())

    with pytest.raises(StateError):
        await asyncio.wait_for(waiting, 10)
    with pytest.raises(StateError):
        await log.append(record(settings, b"after"))
    await log.stop()
    assert await texts(out, settings) == []


async def test_a_new_term_begins_where_nothing_is_on_its_way(settings, out):
    lease = Lease(SESSION_S)
    log = await fenced(settings, lease)
    for text in (b"one", b"two"):
        lease.end()
        lease.confirm(time.monotonic())
        await log.append(record(settings, text))
    assert await texts(out, settings) == [b"one", b"two"]
    await log.stop()


async def test_the_lease_follows_the_membership_of_a_group(settings, out):
    """What aiokafka calls the parts that this rests on; an upgrade that renames them shows here."""
    first_lease, second_lease = Lease(SESSION_S), Lease(SESSION_S)
    first = make_app(settings, "test", session_timeout_s=SESSION_S, lease=first_lease)
    noting(first, settings, [])
    async with running(first):
        await until(lambda: first_lease.is_held, "the first member holds its lease")
        term = first_lease.term
        second = make_app(settings, "test", session_timeout_s=SESSION_S, lease=second_lease)
        noting(second, settings, [])
        async with running(second):
            await until(lambda: second_lease.is_held, "the second member holds its lease")
            assert first_lease.term > term, "a rebalance ends the term"
            await until(lambda: first_lease.is_held, "the first member holds its lease again")
            held_until = first_lease._until_s
            await until(lambda: first_lease._until_s > held_until, "heartbeats renew the lease")
    assert not first_lease.is_held


async def test_what_was_begun_before_a_rebalance_is_written_before_the_group_is_joined_anew(settings, out):
    """The coordinator answers whoever it waits for, and the lease goes on meanwhile: else both would wait in vain."""
    lease = Lease(SESSION_S)
    log = await fenced(settings, lease)
    begun, may_end, written = asyncio.Event(), asyncio.Event(), []
    first = make_app(settings, "test", session_timeout_s=SESSION_S, lease=lease)

    @first.agent(source(first, settings), concurrency=1, supervisor_strategy=CrashingSupervisor)
    async def work(stream):
        async for batch in drained(first, stream, limit=1):
            begun.set()
            await may_end.wait()
            await log.append(record(settings, b"begun before"))
            written.append(lease.term)
            ack(batch)

    async with running(first):
        await until(lambda: lease.is_held, "the first member holds its lease")
        await feed(out, settings, 0, 1)
        await begun.wait()
        term, at_rest_until_s = lease.term, lease._until_s
        second = make_app(settings, "test", session_timeout_s=SESSION_S)
        noting(second, settings, [])
        second.finalize()
        joining = asyncio.create_task(second.start())  # it returns when the first has joined anew
        await until(lambda: lease._until_s > at_rest_until_s + SESSION_S / 2, "a rebalance renews the lease")
        assert lease.term == term
        may_end.set()
        await until(lambda: written, "the record is written")
        assert written == [term]
        await until(lambda: lease.term > term, "the group is joined anew")
        await joining
        await second.stop()
    await log.stop()
