"""Faust on the embedded log keeps at-least-once: what it acks is done, what is not acked comes again.

These tests also guard the private names of Faust that the transport rests on: an upgrade that changes one fails here.
"""

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.transport.drivers import TRANSPORTS
from faust.types import TP
from mode.supervisors import CrashingSupervisor

from recsys.errors import ConfigError
from streams.log.base import NewRecord, TopicPartition, TopicSpec
from streams.log.embedded import EmbeddedLog
from streams.log.embedded_lock import read_lock
from streams.log.faust_embedded import Transport, embedded_url
from tests.contracts.log_contract import REPOSITORY, numbered, numbers_of, read_all

DEADLINE_S = 20.0


def entry_point() -> str:
    """What `pyproject.toml` registers for `embedded://`."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return str(project["entry-points"]["faust.transports"]["embedded"])


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests run from the source tree too, where nothing is installed."""
    monkeypatch.setitem(TRANSPORTS.aliases, "embedded", entry_point())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
async def log(path: Path) -> AsyncIterator[EmbeddedLog]:
    opened = EmbeddedLog.shared(path, sync="NORMAL")
    await opened.start()
    await opened.create([TopicSpec("t", 2), TopicSpec("out", 2)])
    yield opened
    await opened.stop()


def make_app(name: str, path: Path, **options: Any) -> Any:
    return faust.App(
        name,
        broker=embedded_url(path, sync="NORMAL"),
        store="memory://",
        datadir=str(path.parent / name),
        topic_partitions=2,
        web_enabled=False,
        table_standby_replicas=0,
        broker_commit_interval=0.1,
        stream_recovery_delay=0.0,
        **options,
    )


@contextlib.asynccontextmanager
async def running(*apps: Any) -> AsyncIterator[None]:
    for app in apps:
        await app.start()
    for app in apps:
        await app.tables.recovery.completed.wait()
    try:
        yield
    finally:
        for app in reversed(apps):
            await app.stop()


async def until(condition: Callable[[], object], what: str = "it") -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        await asyncio.sleep(0.005)


def collecting(app: Any, topic: str, seen: list[int], *, ack: Callable[[int], bool] = lambda _: True) -> None:
    """Give the app an agent that notes each value, and acks those it may."""

    @app.agent(app.topic(topic, value_serializer="raw"), concurrency=1, supervisor_strategy=CrashingSupervisor)
    async def collect(stream: Any) -> None:
        async for event in stream.noack().events():
            number = int(event.value)
            seen.append(number)
            if ack(number):
                event.ack()


async def test_the_url_scheme_picks_the_transport(path: Path) -> None:
    assert isinstance(make_app("a", path).transport, Transport)


async def test_an_agent_gets_every_record_once_and_in_order(log: EmbeddedLog, path: Path) -> None:
    app, seen = make_app("a", path), list[int]()
    collecting(app, "t", seen)
    await log.append_many(numbered("t", range(100)))
    async with running(app):
        await log.append_many(numbered("t", range(100, 1000)))
        await until(lambda: len(seen) >= 1000)

    assert seen == list(range(1000))


async def test_after_a_graceful_stop_nothing_is_delivered_again(log: EmbeddedLog, path: Path) -> None:
    seen: list[int] = []
    for first in (0, 50):
        app = make_app("a", path)
        collecting(app, "t", seen)
        async with running(app):
            await log.append_many(numbered("t", range(first, first + 50), partition=None))
            await until(lambda end=first + 50: len(seen) >= end)

    assert sorted(seen) == list(range(100))
    assert sum((await log.committed("a", "t")).values()) == 100


async def test_the_commit_stops_before_the_first_record_that_is_not_acked(log: EmbeddedLog, path: Path) -> None:
    app, seen = make_app("a", path, stream_wait_empty=False), list[int]()
    collecting(app, "t", seen, ack=lambda number: number != 3)
    await log.append_many(numbered("t", range(10)))
    async with running(app):
        await until(lambda: log.committed_now("a", "t", 0) is not None)
        await until(lambda: len(seen) == 10)
        await app.consumer.commit()
    again, seen_again = make_app("a", path), list[int]()
    collecting(again, "t", seen_again)
    async with running(again):
        await until(lambda: 9 in seen_again)

    assert seen_again == list(range(3, 10))
    assert await log.committed("a", "t") == {0: 10}


async def test_nothing_is_committed_while_the_first_record_is_not_acked(log: EmbeddedLog, path: Path) -> None:
    app, seen = make_app("a", path, stream_wait_empty=False), list[int]()
    collecting(app, "t", seen, ack=lambda number: number != 0)
    await log.append_many(numbered("t", range(5)))
    async with running(app):
        await until(lambda: len(seen) == 5)
        await app.consumer.commit()

    assert await log.committed("a", "t") == {}


async def test_flush_returns_when_all_that_was_sent_is_durable(log: EmbeddedLog, path: Path) -> None:
    app = make_app("a", path)
    collecting(app, "t", [])
    out = app.topic("out", value_serializer="raw", key_serializer="raw")
    async with running(app):
        for i in range(2000):
            out.send_soon(key=b"%d" % i, value=b"x" * 100)
        await app.producer.flush()
        durable = sum((await log.end_offsets("out")).values())

    assert durable == 2000


async def test_what_is_sent_is_told_where_it_stands(log: EmbeddedLog, path: Path) -> None:
    app = make_app("a", path)
    collecting(app, "t", [])
    out = app.topic("out", value_serializer="raw", key_serializer="raw")
    async with running(app):
        sent = await (await out.send(key=b"k", value=b"v", headers={"h": b"1"}))
        partition = log.partition_for(b"k", 2)

    (record,) = await read_all(log, "out")
    assert (sent.topic, sent.partition, sent.offset, sent.topic_partition) == (
        "out",
        partition,
        0,
        TP("out", partition),
    )
    assert (record.key, record.value, record.headers) == (b"k", b"v", (("h", b"1"),))
    assert sent.timestamp == record.timestamp_ms / 1000


async def test_a_channel_that_comes_late_to_a_subscribed_topic_hears_it(log: EmbeddedLog, path: Path) -> None:
    app, seen, late = make_app("a", path), list[int](), list[int]()
    collecting(app, "t", seen)
    async with running(app):
        stream = app.topic("t", value_serializer="raw").stream()

        async def listen() -> None:
            async for event in stream.events():
                late.append(int(event.value))

        async with stream:
            task = asyncio.create_task(listen())
            await asyncio.sleep(0)
            await until(lambda: sum(len(channels) for channels in app.topics._tp_index.values()) >= 4)
            await log.append_many(numbered("t", range(10)))
            await until(lambda: len(late) == 10 and len(seen) == 10)
            task.cancel()
            await asyncio.wait([task])

    assert late == list(range(10))


async def test_a_topic_added_at_run_time_is_read_and_repeats_nothing(log: EmbeddedLog, path: Path) -> None:
    app, seen, more = make_app("a", path), list[int](), list[int]()
    collecting(app, "t", seen)
    await log.create([TopicSpec("more", 1)])
    async with running(app):
        sent = 0

        async def feed() -> None:
            nonlocal sent
            while True:
                await log.append_many(numbered("t", [sent], partition=None))
                sent += 1

        feeding = asyncio.create_task(feed())
        await until(lambda: len(seen) > 100)
        stream = app.topic("more", value_serializer="raw").stream()

        async def listen() -> None:
            async for event in stream.events():
                more.append(int(event.value))

        async with stream:
            listening = asyncio.create_task(listen())
            await log.append_many(numbered("more", range(3)))
            await until(lambda: len(more) == 3)
            before = len(seen)
            await until(lambda: len(seen) > before + 100)
            feeding.cancel()
            await asyncio.wait([feeding])
            await until(lambda: len(set(seen)) == log.highwater("t", 0) + log.highwater("t", 1))
            listening.cancel()
            await asyncio.wait([listening])

    assert [number for number, times in Counter(seen).items() if times > 1] == []


async def test_two_apps_in_one_loop_share_the_log_and_keep_their_own_offsets(log: EmbeddedLog, path: Path) -> None:
    first, second = make_app("first", path), make_app("second", path)
    seen: list[int] = []
    out = first.topic("out", value_serializer="raw", key_serializer="raw")

    @first.agent(first.topic("t", value_serializer="raw"), concurrency=1)
    async def pass_on(stream: Any) -> None:
        async for event in stream.noack().events():
            await (await out.send(key=event.message.key, value=event.value))
            event.ack()

    collecting(second, "out", seen)
    async with running(first, second):
        await log.append_many(numbered("t", range(200), partition=None))
        await until(lambda: len(seen) == 200)

    assert sorted(seen) == list(range(200))
    assert sum((await log.committed("first", "t")).values()) == 200
    assert sum((await log.committed("second", "out")).values()) == 200
    assert await log.committed("second", "t") == {}


def counting(app: Any) -> Any:
    """Give the app an agent that counts records by key in a table."""
    table = app.Table("counts", default=int, key_type=bytes, value_type=int)

    @app.agent(app.topic("t", value_serializer="raw"), concurrency=1)
    async def count(stream: Any) -> None:
        async for event in stream.noack().events():
            table[event.message.key] += 1
            event.ack()

    return table


async def test_a_table_is_recovered_also_from_a_compacted_changelog(log: EmbeddedLog, path: Path) -> None:
    keys = [b"%d" % (i % 7) for i in range(300)]
    app = make_app("a", path)
    table = counting(app)
    async with running(app):
        await log.append_many([NewRecord("t", key, b"1") for key in keys])
        await until(lambda: sum(table.values()) == 300)
    removed = await log.compact("a-counts-changelog")
    again = make_app("a", path)
    recovered = counting(again)
    async with running(again):
        counts = dict(recovered.items())

    assert removed == 300 - 7
    assert counts == dict(Counter(keys))


async def test_a_full_disk_crashes_the_app_and_the_lock_is_released_when_it_stops(path: Path) -> None:
    log = EmbeddedLog.shared(path, sync="NORMAL")
    await log.start()
    await log.create([TopicSpec("t", 2)])
    app, seen = make_app("a", path), list[int]()
    collecting(app, "t", seen)
    async with running(app):

        def limit(db: sqlite3.Connection) -> None:
            db.execute(f"PRAGMA max_page_count={db.execute('PRAGMA page_count').fetchone()[0]}")

        await log._file.writer.change(limit)
        with contextlib.suppress(Exception):
            await log.append_many([NewRecord("t", b"k", b"1" * 500_000)])
        await until(lambda: app.crashed)
    await log.stop()

    assert log.failure is None
    assert read_lock(path) is None


@pytest.mark.parametrize(
    "options", [{"producer_threaded": True}, {"processing_guarantee": "exactly_once"}], ids=lambda o: next(iter(o))
)
async def test_what_the_embedded_log_cannot_do_is_refused(path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        _ = make_app("a", path, **options).producer


# --- kill -9


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
async def test_killed_workers_lose_nothing_and_commit_nothing_too_early(
    log: EmbeddedLog, path: Path, seed: int
) -> None:
    n, draw = 3000, random.Random(seed)
    await log.append_many([NewRecord("t", b"%d" % (i % 97), b"%d" % i) for i in range(n)])
    await log.stop()
    for _ in range(2):
        with started_worker(path) as worker:
            await asyncio.sleep(draw.uniform(0.05, 0.4))
            worker.send_signal(signal.SIGKILL)
        written_so_far = await check_commits(path)
    assert 0 < written_so_far < n
    with started_worker(path, until_done=n) as worker:
        assert await asyncio.to_thread(worker.wait, 60) == 0

    await log.start()
    written = numbers_of(await read_all(log, "out"))
    assert set(written) == set(range(n))
    assert sum((await log.committed("worker", "t")).values()) == n


@contextlib.contextmanager
def started_worker(path: Path, until_done: int = 0) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that copies `t` to `out`, 20 records every 20 ms at most; in the middle of it when this returns."""
    command = [sys.executable, "-m", "tests.contracts.test_faust_embedded", str(path), str(until_done)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        yield worker
        worker.kill()


async def check_commits(path: Path) -> int:
    """What is committed was written to `out`; return how many different records were written."""
    reading = EmbeddedLog.open_read_only(path)
    await reading.start()
    written = {int(record.value or b"") for record in await read_all(reading, "out")}
    committed = await reading.committed("worker", "t")
    done = [r for r in await read_all(reading, "t") if r.offset < committed.get(r.partition, 0)]
    await reading.stop()

    assert {int(record.value or b"") for record in done} <= written
    return len(written)


async def work(path: Path, until_done: int) -> None:
    """The child: copy, in batches that are awaited and then acked."""
    TRANSPORTS.aliases["embedded"] = entry_point()
    app = make_app("worker", path)
    out = app.topic("out", value_serializer="raw", key_serializer="raw")

    @app.agent(app.topic("t", value_serializer="raw"), concurrency=1, supervisor_strategy=CrashingSupervisor)
    async def copy(stream: Any) -> None:
        batch, is_ready = [], False
        async for event in stream.noack().events():
            batch.append(event)
            if len(batch) == 20 or stream.channel.queue.empty():
                sent = [await out.send(key=each.message.key, value=each.value) for each in batch]
                await asyncio.gather(*sent)
                await asyncio.sleep(0.02)
                for each in batch:
                    each.ack()
                batch.clear()
                if not is_ready:
                    is_ready = True
                    print("ready", flush=True)

    async with running(app):
        log = app.transport.log
        ends = {TopicPartition("t", p): log.highwater("t", p) for p in (0, 1)}
        while not until_done or any((log.committed_now("worker", *at) or 0) < end for at, end in ends.items()):
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), int(sys.argv[2])))
    os._exit(0)
