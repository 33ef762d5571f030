"""What is tried again while Redis or the log is away: once in the log, and only while the partitions are ours."""

import asyncio
import contextlib

import pytest

from recsys.errors import UnavailableError
from streams import retry, topics
from streams.agents.relist import relist
from tests.builders import a_click
from tests.streams.agents.test_recommend import HeldUp
from tests.streams.agents.test_recommend import bench as bench


class Failing:
    """A store or a log whose writes fail until it is told otherwise."""

    def __init__(self, inner):
        self._inner, self.is_away, self.n_tried = inner, True, 0

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def _try(self, call, given):
        self.n_tried += 1
        if self.is_away:
            raise UnavailableError("away")
        return await call(given)

    async def put_lists(self, writes):
        return await self._try(self._inner.put_lists, writes)

    async def append_many(self, records):
        return await self._try(self._inner.append_many, records)


async def until(condition):
    async with asyncio.timeout(60):  # ranking may have to be compiled first
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(retry, "LONGEST_WAIT_S", 0.01)


async def test_while_redis_is_away_the_log_does_not_grow(bench):
    bench.store = store = Failing(bench.store)
    worker = bench.processor()
    batch = await bench.produce(a_click(), b"{")
    running = asyncio.create_task(worker.process(batch))
    await until(lambda: store.n_tried > 3)
    store.is_away = False

    assert await running
    assert len(await bench.topic(topics.USER_STATE)) == 1
    assert len(await bench.topic(topics.RECOMMENDATIONS)) == 1
    assert len(await bench.topic(topics.DEAD_LETTERS)) == 1


@pytest.mark.parametrize("what", ["batch", "lists made anew", "counts"])
async def test_what_was_waiting_when_the_partitions_went_is_never_written(bench, what):
    """Their next owner has gone on meanwhile: a record of ours would stand behind its newer ones."""
    log = bench.log
    bench.log = failing = Failing(log)
    worker = bench.processor()
    failing.is_away = False
    assert await worker.process(await bench.produce(a_click(event_id="one")))
    before = {name: len(await bench.topic(name)) for name in (topics.USER_STATE, topics.RECOMMENDATIONS, topics.TRENDS)}
    failing.is_away, failing.n_tried = True, 0
    if what == "batch":
        waiting = worker.process(await bench.produce(a_click(event_id="two")))
    elif what == "counts":
        waiting = worker.publish_trends()
    else:
        (owned,) = worker.partitions.values()

        def make(users):
            return relist(users, owned, worker._views(), bench.policy, bench.settings, lambda: 0)

        waiting = worker.publish_anew(list(owned.states), make)
    running = asyncio.create_task(waiting)
    await until(lambda: failing.n_tried > 1)

    worker.forget()
    failing.is_away = False
    with contextlib.suppress(UnavailableError):
        await asyncio.wait_for(running, 10)
    assert {name: len(await bench.topic(name)) for name in before} == before


@pytest.mark.parametrize("what", ["batch", "counts"])
async def test_partitions_are_let_go_when_what_is_on_its_way_is_written(bench, what):
    """Once the group is joined anew, what still waits to be written is a stranger's, and ends the process."""
    log = bench.log
    worker = bench.processor()
    batch = await bench.produce(a_click())
    if what == "counts":
        assert await worker.process(batch)
    worker._log = held = HeldUp(log)
    writing = asyncio.create_task(worker.process(batch) if what == "batch" else worker.publish_trends())
    await held.is_asked.wait()

    letting_go = asyncio.create_task(worker.let_go())
    await asyncio.wait([letting_go], timeout=0.05)
    assert not letting_go.done()

    held.may_go_on.set()
    await asyncio.wait_for(letting_go, 10)
    assert len(await bench.topic(topics.USER_STATE if what == "batch" else topics.TRENDS)) > 0
    await writing


class Frozen:
    """A store that takes what it is given and does not answer until it is told to."""

    def __init__(self, inner):
        self._inner, self.n_tried, self.may_answer = inner, 0, asyncio.Event()

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def put_lists(self, writes):
        self.n_tried += 1
        await self.may_answer.wait()
        return await self._inner.put_lists(writes)


@pytest.mark.parametrize("stands_for", [Failing, Frozen])
async def test_partitions_are_let_go_at_once_while_redis_is_waited_for(bench, monkeypatch, stands_for):
    """Else the group goes on without this worker, which is then told that it has lost what it still holds."""
    monkeypatch.setattr(retry, "LONGEST_WAIT_S", 60.0)
    inner, bench.store = bench.store, stands_for(bench.store)
    worker = bench.processor()
    batch = await bench.produce(a_click())
    running = asyncio.create_task(worker.process(batch))
    await until(lambda: bench.store.n_tried > (4 if stands_for is Failing else 0))

    await asyncio.wait_for(worker.let_go(), 0.5)

    assert not await asyncio.wait_for(running, 0.5), "nothing is acknowledged"
    assert len(await bench.topic(topics.USER_STATE)) == 1
    bench.store.is_away = False
    if stands_for is Frozen:
        bench.store.may_answer.set()
    assert await worker.process(batch), "the events come again"
    assert await inner.get_list("ann")
    assert len(await bench.topic(topics.USER_STATE)) == 1
