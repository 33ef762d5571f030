"""A process that gets nowhere ends with 75; one that has nothing to do, or nobody to talk to, does not."""

import asyncio
import time

import pytest

from recsys.errors import UnavailableError
from streams import watchdog
from streams.supervise import LOST_OWNERSHIP
from streams.watchdog import Watchdog, Watched, loop_watched


class _Log:
    """Says how far a group has come."""

    def __init__(self):
        self.offsets, self.ends, self.is_there = {0: 5}, {0: 10}, True

    async def committed(self, group, topic):
        if not self.is_there:
            raise UnavailableError("gone")
        return dict(self.offsets)

    async def end_offsets(self, topic):
        return dict(self.ends)


class Bench:
    def __init__(self, monkeypatch, *, ready=(0,)):
        monkeypatch.setattr(watchdog, "LOOK_S", 0.01)
        self.log, self.codes, self.is_away = _Log(), [], False
        self.dog = Watchdog(self.log, lambda: self.is_away, patience_s=0.2, end=self.codes.append)
        self.dog.watched.append(Watched("group", "clicks", lambda: {0}, lambda: ready))

    async def watch(self, seconds, step=lambda: None):
        running = asyncio.create_task(self.dog.run())
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.codes:
            step()
            await asyncio.sleep(0.01)
        running.cancel()


@pytest.fixture
def bench(monkeypatch):
    return Bench(monkeypatch)


async def test_events_that_wait_while_nothing_is_committed_end_the_process(bench):
    await bench.watch(10)
    assert bench.codes[0] == LOST_OWNERSHIP


async def test_a_growing_lag_is_no_fault_while_something_is_committed(bench):
    def work():
        bench.log.offsets[0] += 1
        bench.log.ends[0] += 3

    await bench.watch(0.6, work)
    assert not bench.codes


async def test_without_events_there_is_nothing_to_commit(bench):
    bench.log.offsets[0] = 10
    await bench.watch(0.6)
    assert not bench.codes


async def test_nothing_is_expected_while_the_broker_or_redis_is_away(bench):
    bench.is_away = True
    await bench.watch(0.6)
    bench.is_away, bench.log.is_there = False, False
    await bench.watch(0.6)
    assert not bench.codes


async def test_a_partition_that_is_being_read_back_has_more_time(monkeypatch):
    bench = Bench(monkeypatch, ready=())
    await bench.watch(0.6)
    assert not bench.codes
    monkeypatch.setattr(watchdog, "RECOVERY_S", 0.1)
    await bench.watch(10)
    assert bench.codes


async def test_a_loop_that_stands_still_ends_the_process():
    codes = []
    async with loop_watched(patience_s=0.3, end=codes.append):
        deadline = time.monotonic() + 10
        while not codes and time.monotonic() < deadline:
            time.sleep(0.05)  # noqa: ASYNC251 - this is what is watched for
    assert codes == [LOST_OWNERSHIP]


async def test_a_loop_that_goes_on_ends_nothing():
    codes = []
    async with loop_watched(patience_s=0.3, end=codes.append):
        await asyncio.sleep(1)
    assert not codes
