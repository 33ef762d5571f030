"""What we rest on in Faust 0.15.3, and that our transport loses nothing where Faust's own does.

Where stock Faust loses an event, its part of a test is a strict xfail: once a new release closes the window that part
passes, the run fails, and our part may go.
"""

import asyncio
import contextlib
import inspect
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust.transport.drivers import aiokafka as stock
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from hypothesis import given
from hypothesis import strategies as st
from mode.supervisors import CrashingSupervisor

from recsys.errors import UnavailableError
from streams.agents.batches import ack, drained
from streams.apps import app_id, make_app
from streams.log.base import NewRecord, TopicSpec
from streams.log.faust_kafka import Transport
from streams.log.kafka import KafkaLog
from streams.settings import Settings, read_settings
from tests.contracts.log_contract import REPOSITORY, read_all


class LossError(AssertionError):
    """An event was lost, or could be; told apart from a test that went wrong in another way."""


STOCK_LOSES = pytest.mark.xfail(raises=LossError, strict=True)
STOCK_AND_OURS = [
    pytest.param(stock.Transport, marks=STOCK_LOSES, id="stock"),
    pytest.param(Transport, id="ours"),
]
DEADLINE_S = 40.0
SESSION_S = 6.0
CRASHED = 70
AT = TP("t", 0)


@contextlib.contextmanager
def an_app(transport: Any = Transport) -> Iterator[Any]:
    """An app with its consumer and producer, connected to nothing; what is delivered is counted and goes nowhere."""

    async def nowhere(message: Any) -> None:
        """Stands for the conductor."""

    app = faust.App("unit", broker="kafka://127.0.0.1:9", web_enabled=False, store="memory://")
    app.transport = transport(app.conf.broker_consumer, app)
    app.producer_transport = transport(app.conf.broker_producer, app)
    app.topics._acking_topics.add("t")
    app.consumer._pass_on = app.consumer.callback = nowhere
    if transport is Transport:
        app.consumer.callback = app.consumer._deliver
    try:
        yield app
    finally:
        app.consumer._thread.thread_loop.close()


def a_message(app: Any, offset: int) -> Any:
    message = ConsumerMessage(
        "t", 0, offset, 0.0, 0, (), b"k", b"v", None, 1, 1, AT, generation_id=app.consumer_generation_id
    )
    message.tracked = True
    return message


def require_kept(is_kept: bool, text: str) -> None:
    if not is_kept:
        raise LossError(text)


async def until(condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait until the condition, asynchronous or not, is true."""
    deadline = time.monotonic() + deadline_s
    while not (await found if inspect.isawaitable(found := condition()) else found):
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        await asyncio.sleep(0.02)


class TestCommit:
    @pytest.mark.parametrize("transport", STOCK_AND_OURS)
    async def test_a_commit_does_not_pass_an_event_in_work(self, transport: Any) -> None:
        """L4: https://github.com/faust-streaming/faust/issues/606"""
        with an_app(transport) as app:
            for offset in (4, 5, 6):
                await app.consumer.callback(a_message(app, offset))
            for offset in (5, 6):
                app.consumer.ack(a_message(app, offset))
            require_kept(app.consumer._new_offset(AT) is None, "4 is still being worked on")
            app.consumer.ack(a_message(app, 4))
            assert app.consumer._new_offset(AT) == 7

    async def test_a_gap_of_compaction_does_not_hold_the_commit_up(self) -> None:
        with an_app() as app:
            for offset in (3, 90, 91):
                await app.consumer._deliver(a_message(app, offset))
            for offset in (3, 90):
                app.consumer.ack(a_message(app, offset))
            assert app.consumer._new_offset(AT) == 91

    @pytest.mark.parametrize("transport", STOCK_AND_OURS)
    async def test_an_event_that_a_rebalance_made_a_stream_skip_is_not_acked(self, transport: Any) -> None:
        with an_app(transport) as app:
            app.flow_control.suspend()
            skipped = a_message(app, 4)
            skipped.tracked = False
            require_kept(not app.consumer.ack(skipped), "nobody has worked on it")

    @pytest.mark.parametrize("transport", STOCK_AND_OURS)
    async def test_whoever_works_is_told_of_a_rebalance_while_it_stops(self, transport: Any) -> None:
        """What is in work then would be written when the partition has another owner."""
        told: list[set[TP]] = []

        async def note(app: Any, revoked: set[TP], **_: Any) -> None:
            told.append(revoked)

        with an_app(transport) as app:
            app.on_partitions_revoked.connect(note)
            app.consumer._unacked_messages.add(in_work := a_message(app, 4))
            app._stopped.set()
            with contextlib.suppress(AttributeError):  # Faust closes a client that has no such call
                await app.consumer.on_partitions_revoked({AT})
            require_kept(told == [{AT}], "the batch in work will be written under another owner")
            assert in_work not in app.consumer._unacked_messages

    @given(st.lists(st.tuples(st.sampled_from(["deliver", "ack", "seek", "commit"]), st.integers(0, 30)), min_size=30))
    def test_a_commit_passes_all_that_is_acked_and_nothing_else(self, steps: list[tuple[str, int]]) -> None:
        asyncio.run(_play(steps))


async def _play(steps: list[tuple[str, int]]) -> None:
    """Against a plain model: a log read in order from 0, seeks back to what is committed, acks in any order."""
    with an_app() as app:
        consumer = app.consumer
        done: set[int] = set()
        in_work: list[int] = []
        position = committed = 0
        for step, number in steps:
            if step == "deliver":
                await consumer._deliver(a_message(app, position))
                in_work.append(position)
                position += 1
            elif step == "ack" and in_work:
                offset = in_work.pop(number % len(in_work))
                consumer.ack(a_message(app, offset))
                done.add(offset)
            elif step == "seek":
                position = committed
            elif step == "commit" and (offset := consumer._new_offset(AT)) is not None:
                assert set(range(offset)) <= done
                committed = max(committed, offset)
                consumer._committed_offset[AT] = committed
        end = max(position, committed) + 5
        for offset in range(committed, end):
            await consumer._deliver(a_message(app, offset))
        for offset in range(committed, end):
            consumer.ack(a_message(app, offset))
        assert consumer._new_offset(AT) == end


class TestDelivery:
    @pytest.mark.parametrize("transport", STOCK_AND_OURS)
    async def test_what_is_thrown_away_before_the_first_commit_is_read_again(
        self, transport: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is fetched before a rebalance is done; the client has gone on behind it."""
        sought: list[tuple[TP, int]] = []

        async def nothing_committed() -> dict[TP, int | None]:
            return {AT: None}

        async def earliest(*_: TP) -> dict[TP, int]:
            return {AT: 3}

        async def seek(tp: TP, offset: int) -> None:
            sought.append((tp, offset))

        with an_app(transport) as app:
            monkeypatch.setattr(app.consumer, "assignment", lambda: {AT})
            monkeypatch.setattr(app.consumer, "seek_to_committed", nothing_committed)
            monkeypatch.setattr(app.consumer, "earliest_offsets", earliest)
            monkeypatch.setattr(app.consumer, "_seek", seek)
            await app.consumer.perform_seek()
        require_kept(sought == [(AT, 3)], "the client goes on behind what was thrown away")

    @pytest.mark.parametrize(("transport", "is_fetched"), [(stock.Transport, False), (Transport, True)])
    async def test_faust_leaves_a_partition_with_a_full_queue_out_of_the_next_fetch_and_we_do_not(
        self, transport: Any, is_fetched: bool
    ) -> None:
        """That fetch may wait for a second, and with all partitions left out Faust sleeps for one."""
        with an_app(transport) as app:
            app.consumer._active_partitions = {AT}
            app.consumer.on_buffer_full(AT)
            assert (AT in app.consumer._active_partitions) is is_fetched

    async def test_a_fetch_is_not_held_back_for_partitions_that_are_read_to_their_end(self) -> None:
        """The driver fixes 1.5 s, for which all other partitions stand still."""
        with an_app() as app:
            consumer = app.consumer._thread._create_worker_consumer(app.transport)
            assert consumer._fetch_max_wait_ms <= 100
            await consumer.stop()


class TestFlush:
    @pytest.mark.parametrize("transport", STOCK_AND_OURS)
    async def test_a_flush_waits_for_a_message_in_hand(self, transport: Any) -> None:
        """L5"""
        hold = asyncio.Event()

        class Topic:
            async def publish_message(self, pending: Any, wait: bool) -> None:
                await hold.wait()

        with an_app(transport) as app:
            buffer = app.producer.buffer
            await buffer.start()
            buffer.put(SimpleNamespace(message=SimpleNamespace(channel=Topic())))
            await until(lambda: not buffer.size, "the buffer has the message in hand")
            flushing = asyncio.create_task(app.producer.flush())
            await asyncio.wait([flushing], timeout=0.1)
            is_early = flushing.done()
            hold.set()
            await asyncio.wait_for(flushing, 1)
            await buffer.stop()
            require_kept(not is_early, "a commit would pass a record that is not sent")

    @pytest.mark.parametrize("transport", STOCK_AND_OURS)
    async def test_no_flush_goes_well_once_a_record_was_refused(self, transport: Any) -> None:
        """L6"""
        with an_app(transport) as app:
            app.producer._producer = _Refusing()
            sent = await app.producer.send("t", b"k", b"v", 0, None, None)
            await asyncio.wait([sent])
            assert sent.exception() is not None
            refused = None
            try:
                await app.producer.flush()
            except UnavailableError as error:
                refused = str(error)
            require_kept(refused is not None, "the commit that follows would pass the refused record")
            assert "1 records" in str(refused)

    async def test_a_buffer_that_has_stopped_with_records_in_it_is_said_aloud(self) -> None:
        with an_app() as app:
            app.producer.buffer.pending.put_nowait(object())
            with pytest.raises(UnavailableError, match="init"):
                await app.producer.flush()


class _Refusing:
    """An aiokafka producer at a broker that takes nothing."""

    async def send(self, *_: Any, **__: Any) -> asyncio.Future[Any]:
        refused = asyncio.get_running_loop().create_future()
        refused.set_exception(stock.KafkaError("refused"))
        return refused

    async def flush(self) -> None:
        """Nothing is under way."""


# --- on a real broker


@pytest.fixture
def settings(kafka: str, topic_prefix: str, tmp_path: Path) -> Settings:
    return Settings(broker=f"kafka://{kafka}", topic_prefix=topic_prefix, data_dir=tmp_path)


@pytest.fixture
async def log(settings: Settings) -> AsyncIterator[KafkaLog]:
    log = KafkaLog(settings)
    await log.start()
    await log.create([TopicSpec(settings.topic_prefix + name, 2) for name in ("in", "out")])
    yield log
    await log.stop()


@contextlib.asynccontextmanager
async def running(app: Any) -> AsyncIterator[None]:
    app.finalize()
    await app.start()
    try:
        yield
    finally:
        await app.stop()


def noting(app: Any, settings: Settings, seen: list[int], fails_at: int = -1) -> None:
    """Give the app an agent that notes each number."""

    @app.agent(source(app, settings), concurrency=1, supervisor_strategy=CrashingSupervisor)
    async def note(stream: Any) -> None:
        async for batch in drained(app, stream, limit=1):
            if int(batch[0].value) == fails_at:
                raise ValueError("the body fails")
            seen.append(int(batch[0].value))
            ack(batch)


def a_stock_app(settings: Settings) -> Any:
    app = make_app(settings, "test", session_timeout_s=SESSION_S)
    app.transport = stock.Transport(app.conf.broker_consumer, app)
    app.producer_transport = stock.Transport(app.conf.broker_producer, app)
    return app


def source(app: Any, settings: Settings) -> Any:
    raw = {"key_type": bytes, "key_serializer": "raw", "value_type": bytes, "value_serializer": "raw"}
    return app.topic(f"{settings.topic_prefix}in", **raw)


async def committed(log: KafkaLog, settings: Settings) -> int:
    return sum((await log.committed(app_id(settings, "test"), f"{settings.topic_prefix}in")).values())


async def feed(log: KafkaLog, settings: Settings, first: int, end: int) -> None:
    await log.append_many(
        [NewRecord(f"{settings.topic_prefix}in", b"k%d" % i, b"%d" % i, i % 2) for i in range(first, end)]
    )


@STOCK_LOSES
async def test_an_event_whose_body_raised_comes_again_to_an_agent_by_fausts_manual(
    log: KafkaLog, settings: Settings
) -> None:
    """L1"""
    await log.append_many([NewRecord(f"{settings.topic_prefix}in", b"k", b"%d" % i, 0) for i in range(10)])
    app = a_stock_app(settings)
    seen: list[int] = []

    @app.agent(source(app, settings))
    async def note(stream: Any) -> None:
        async for event in stream.events():
            if int(event.value) == 5:
                raise ValueError("the body fails")
            seen.append(int(event.value))

    async with running(app):
        await until(lambda: _all_committed(log, settings, 10), "all are committed")

    require_kept(5 in seen, "all are committed, and nobody has done what 5 asked for")


@STOCK_LOSES
@pytest.mark.parametrize("mode", [pytest.param("noack", id="L2"), pytest.param("take", id="L3")])
async def test_what_faust_offers_for_batches_and_late_acks_loses_no_event(
    log: KafkaLog, settings: Settings, mode: str
) -> None:
    """Agents by Faust's manual, with the supervisor that Faust gives them; see `..._comes_again` for ours."""
    await log.append_many([NewRecord(f"{settings.topic_prefix}in", b"k", b"%d" % i, 0) for i in range(10)])
    with a_child(settings, mode):
        await until(lambda: _all_committed(log, settings, 10), "all are committed")
    done = {int(record.value or b"") for record in await read_all(log, f"{settings.topic_prefix}out")}
    require_kept(done == set(range(10)), f"all are committed, and only {sorted(done)} are done")


async def test_an_event_whose_body_raised_comes_again(log: KafkaLog, settings: Settings) -> None:
    """L1 to L3: drained and acked last, it outlives the crash of the worker that it causes."""
    await log.append_many([NewRecord(f"{settings.topic_prefix}in", b"k", b"%d" % i, 0) for i in range(10)])
    with a_child(settings, "fail") as child:
        await until(lambda: child.poll() is not None, "the worker has crashed")
    seen: list[int] = []
    again = make_app(settings, "test", session_timeout_s=SESSION_S)
    noting(again, settings, seen)
    async with running(again):
        await until(lambda: 9 in seen, "the last event is seen")

    assert child.returncode == CRASHED
    # What was acked just before the crash may come again; what raised must.
    assert seen == list(range(seen[0], 10))
    assert seen[0] <= 5


async def test_a_second_worker_joins_and_leaves_and_every_event_is_seen_once(log: KafkaLog, settings: Settings) -> None:
    seen: list[int] = []

    def a_worker() -> Any:
        app = make_app(settings, "test", session_timeout_s=SESSION_S)

        @app.agent(source(app, settings), concurrency=1, supervisor_strategy=CrashingSupervisor)
        async def work(stream: Any) -> None:
            async for batch in drained(app, stream, limit=16):
                await asyncio.sleep(0.002)
                seen.extend(int(event.value) for event in batch)
                ack(batch)

        return app

    async def feeding() -> None:
        for i in range(0, 3000, 10):
            await feed(log, settings, i, i + 10)
            await asyncio.sleep(0.01)

    first = a_worker()
    async with running(first):
        await until(lambda: len(first.consumer.assignment()) == 2, "the first has all")
        background = asyncio.create_task(feeding())
        second = a_worker()
        async with running(second):
            await until(lambda: len(second.consumer.assignment()) == 1, "the second has its share")
            await background
        await until(lambda: len(set(seen)) == 3000, "all are seen")
        await until(lambda: _all_committed(log, settings, 3000), "all are committed")

    assert len(seen) == 3000, f"{len(seen) - 3000} events were seen twice"


async def _all_committed(log: KafkaLog, settings: Settings, count: int) -> bool:
    return await committed(log, settings) == count


async def test_nothing_is_lost_when_a_loaded_worker_is_killed(log: KafkaLog, settings: Settings) -> None:
    """Twice kill -9 while events keep coming; what was in work comes again, in order, and all ends committed."""
    total = 6000
    out = f"{settings.topic_prefix}out"

    async def written() -> int:
        return sum((await log.end_offsets(out)).values())

    async def feeding() -> None:
        for i in range(0, total, 20):
            await feed(log, settings, i, i + 20)
            await asyncio.sleep(0.02)

    background = asyncio.create_task(feeding())
    for kill_at in (500, 2500, 0):
        with a_child(settings, "copy") as child:
            if kill_at:
                await until(lambda enough=kill_at: _at_least(written, enough), f"{kill_at} are written")
                child.kill()
                child.wait()
            else:
                await until(lambda: _all_committed(log, settings, total), "all are committed")
                child.terminate()
    await background

    records = await read_all(log, out)
    values = [int(record.value or b"") for record in records]
    assert set(values) == set(range(total))
    for partition in (0, 1):
        firsts = list(dict.fromkeys(int(r.value or b"") for r in records if r.partition == partition))
        assert firsts == sorted(firsts)
    assert len(values) > total, "no event was in work when the worker was killed: kill it earlier"


async def _at_least(count: Callable[[], Awaitable[int]], enough: int) -> bool:
    return await count() >= enough


@contextlib.contextmanager
def a_child(settings: Settings, mode: str) -> Any:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FRESHET_")}
    environment |= {
        "FRESHET_BROKER": settings.broker,
        "FRESHET_TOPIC_PREFIX": settings.topic_prefix,
        "FRESHET_DATA_DIR": str(settings.data_dir),
    }
    command = [sys.executable, "-m", "tests.contracts.test_faust_kafka", mode]
    child = subprocess.Popen(command, cwd=REPOSITORY, env=environment)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


async def copy_for_ever(settings: Settings) -> None:
    """The child: copy each event to `out`, ack when it is there; slow enough to have events in work when killed."""
    log = KafkaLog(settings)
    await log.start()
    app = make_app(settings, "test", session_timeout_s=SESSION_S)

    @app.agent(source(app, settings), concurrency=1, supervisor_strategy=CrashingSupervisor)
    async def copy(stream: Any) -> None:
        async for batch in drained(app, stream):
            out = f"{settings.topic_prefix}out"
            await log.append_many([NewRecord(out, e.message.key, e.value, e.message.partition) for e in batch])
            await asyncio.sleep(0.005)
            ack(batch)

    app.finalize()
    await app.start()
    await app.wait_until_stopped()


async def by_the_manual(settings: Settings, mode: str) -> None:
    """The child: copy each event to `out` by what Faust offers, and raise at the sixth, once."""
    log = KafkaLog(settings)
    await log.start()
    app = a_stock_app(settings)

    async def copy(values: list[bytes]) -> None:
        if b"5" in values:
            raise ValueError("the body fails")
        await log.append_many([NewRecord(f"{settings.topic_prefix}out", b"k", value, 0) for value in values])

    @app.agent(source(app, settings))
    async def work(stream: Any) -> None:
        if mode == "take":
            async for batch in stream.take(4, within=1.0):
                await copy(batch)
        else:
            async for event in stream.noack().events():
                await copy([event.value])
                event.ack()

    app.finalize()
    await app.start()
    await app.wait_until_stopped()


async def fail(settings: Settings) -> None:
    """The child: raise at the sixth event, stop in order as a worker does, end."""
    app = make_app(settings, "test", session_timeout_s=SESSION_S)
    noting(app, settings, [], fails_at=5)
    app.finalize()
    await app.start()
    await until(lambda: app.crashed, "the app has crashed")
    # Stopping a crashed app may raise anything, or hang.
    with contextlib.suppress(BaseException):
        await asyncio.wait_for(app.stop(), 5)
    os._exit(CRASHED)


if __name__ == "__main__":
    children = {"copy": copy_for_ever, "fail": fail}
    children |= {mode: partial(by_the_manual, mode=mode) for mode in ("noack", "take")}
    asyncio.run(children[sys.argv[1]](read_settings()))
