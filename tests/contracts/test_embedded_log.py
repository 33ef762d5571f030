"""The embedded log does what every log does, and some things that only it must."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from recsys.errors import ConfigError, StateError
from streams.log.base import Log, NewRecord, TopicPartition, TopicSpec
from streams.log.embedded import EmbeddedLog
from streams.log.embedded_lock import read_lock
from streams.log.open import log_path, open_log
from streams.settings import Settings
from tests.contracts.log_contract import REPOSITORY, LogContract, numbered, numbers_of, read_all, read_records

AT = TopicPartition("t", 0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(broker="embedded:", data_dir=tmp_path / "data")


@pytest.fixture
async def log(settings: Settings) -> AsyncIterator[Log]:
    opened = open_log(settings)
    await opened.start()
    yield opened
    await opened.stop()


@pytest.fixture
async def reopen(log: Log, settings: Settings) -> AsyncIterator[Callable[[], Awaitable[Log]]]:
    opened: list[Log] = []

    async def again() -> Log:
        await log.stop()
        opened.append(open_log(settings))
        await opened[-1].start()
        return opened[-1]

    yield again
    for each in opened:
        await each.stop()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
async def embedded(path: Path) -> AsyncIterator[EmbeddedLog]:
    opened = EmbeddedLog.shared(path, sync="NORMAL")
    await opened.start()
    await opened.create([TopicSpec("t", 1), TopicSpec("c", 1, "compact")])
    yield opened
    await opened.stop()


class TestEmbeddedLog(LogContract):
    async def compact(self, log: Log, topic: str) -> None:
        assert isinstance(log, EmbeddedLog)
        await log.compact(topic)


# --- one holder

HOLD = """
import asyncio, sys
from pathlib import Path
from streams.log.embedded import EmbeddedLog

async def hold():
    log = EmbeddedLog.shared(Path(sys.argv[1]))
    await log.start()
    log.announce("127.0.0.1", 8123)
    print("held", flush=True)
    await asyncio.sleep(60)

asyncio.run(hold())
"""


@pytest.fixture
def other_process(path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    child = subprocess.Popen([sys.executable, "-c", HOLD, path], cwd=REPOSITORY, stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child:
        assert child.stdout.readline() == b"held\n"
        yield child
        child.kill()


async def test_a_second_process_is_told_who_holds_the_log_and_what_to_do(
    path: Path, other_process: "subprocess.Popen[bytes]"
) -> None:
    with pytest.raises(ConfigError) as refused:
        await EmbeddedLog.shared(path).start()

    text = str(refused.value)
    assert f"process {other_process.pid} since 20" in text
    assert "FRESHET_BROKER=kafka://" in text
    assert text.count(". ") == 0


async def test_the_lock_tells_where_the_holder_answers_until_it_is_gone(
    path: Path, other_process: "subprocess.Popen[bytes]"
) -> None:
    held = read_lock(path)
    other_process.kill()
    other_process.wait()

    assert held is not None
    assert (held.pid, held.host, held.port) == (other_process.pid, "127.0.0.1", 8123)
    assert abs(held.since - time.time() * 1000) < 60_000
    assert read_lock(path) is None
    log = EmbeddedLog.shared(path)
    await log.start()
    await log.stop()


def test_nobody_holds_a_log_that_is_not_there(path: Path) -> None:
    assert read_lock(path) is None


async def test_all_of_one_process_share_one_log_until_the_last_stops(path: Path) -> None:
    first, second = EmbeddedLog.shared(path), EmbeddedLog.shared(path.parent / "." / path.name)
    await first.start()
    await second.start()
    await first.create([TopicSpec("t", 1)])
    await first.stop()
    await second.append(NewRecord("t", b"k", b"v"))

    assert first is second
    assert read_lock(path) is not None
    await second.stop()
    assert read_lock(path) is None
    with pytest.raises(StateError, match="not open"):
        second.highwater("t", 0)


async def test_a_forked_child_does_not_keep_the_lock(embedded: EmbeddedLog, path: Path) -> None:
    release, wait = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(wait)
        os.read(release, 1)
        os._exit(0)
    try:
        await embedded.stop()
        assert read_lock(path) is None
    finally:
        os.write(wait, b"x")
        os.waitpid(pid, 0)
        os.close(wait)
        os.close(release)


async def test_a_log_in_a_folder_that_cannot_be_made_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError):
        await EmbeddedLog.shared(tmp_path / "file" / "log.db").start()


async def test_a_file_that_is_no_log_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StateError):
        await EmbeddedLog.shared(path).start()

    assert path.read_bytes().startswith(b"this is no database")
    assert read_lock(path) is None


async def test_a_log_of_another_schema_is_refused(embedded: EmbeddedLog, path: Path) -> None:
    await embedded.stop()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE schema SET version = 99")
    db.close()
    with pytest.raises(ConfigError, match="schema 99"):
        await EmbeddedLog.shared(path).start()

    assert read_lock(path) is None


# --- reading from another process


async def test_a_read_only_log_follows_what_the_holder_appends_and_refuses_to_write(
    embedded: EmbeddedLog, path: Path
) -> None:
    await embedded.append_many(numbered("t", range(3)))
    await embedded.commit("g", {AT: 2})
    reading = EmbeddedLog.open_read_only(path)
    await reading.start()
    reader = reading.reader({AT: -1})
    first = await read_records(reader, 3)
    await embedded.append_many(numbered("t", range(3, 5)))
    second = await read_records(reader, 2)

    assert numbers_of(first + second) == [0, 1, 2, 3, 4]
    assert await reading.end_offsets("t") == {0: 5}
    assert await reading.committed("g", "t") == {0: 2}
    for refused in (
        reading.append(NewRecord("t", b"k", b"v")),
        reading.append_many([]),
        reading.commit("g", {AT: 1}),
        reading.create([]),
    ):
        with pytest.raises(ConfigError, match="reading only"):
            await refused
    await reader.close()
    await reading.stop()


async def test_a_log_that_nobody_holds_can_be_read(embedded: EmbeddedLog, path: Path) -> None:
    await embedded.append_many(numbered("t", range(3)))
    await embedded.stop()
    reading = EmbeddedLog.open_read_only(path)
    await reading.start()

    assert numbers_of(await read_all(reading, "t")) == [0, 1, 2]
    await reading.stop()


async def test_there_is_nothing_to_read_where_there_is_no_log(path: Path) -> None:
    with pytest.raises(ConfigError, match="no log"):
        await EmbeddedLog.open_read_only(path).start()

    assert not path.exists()


# --- a full disk


def fill_disk(log: EmbeddedLog) -> "asyncio.Future[None]":
    """Let the file grow no further, as a full disk does."""

    def limit(db: sqlite3.Connection) -> None:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count={pages + 20}")

    return asyncio.ensure_future(log._file.writer.change(limit))


async def test_a_full_disk_stops_the_log_for_good_and_loses_nothing_acknowledged(
    embedded: EmbeddedLog, path: Path
) -> None:
    await fill_disk(embedded)
    acknowledged = 0
    with pytest.raises(StateError, match="full"):  # noqa: PT012
        for record in numbered("t", range(1000)):
            await embedded.append(record._replace(headers=(("pad", b"x" * 2000),)))
            acknowledged += 1
    with pytest.raises(StateError):
        await embedded.append(NewRecord("t", b"small", b""))
    with pytest.raises(StateError):
        await embedded.commit("g", {AT: 1})

    assert acknowledged > 0
    assert embedded.failure is not None
    await embedded.stop()
    assert read_lock(path) is None
    await embedded.start()
    assert numbers_of(await read_all(embedded, "t")) == list(range(acknowledged))


async def test_a_waiting_reader_hears_that_the_log_failed(embedded: EmbeddedLog) -> None:
    reader = embedded.reader({AT: -1})
    waiting = asyncio.create_task(reader.poll(30.0))
    await fill_disk(embedded)
    with pytest.raises(StateError):
        await embedded.append_many([NewRecord("t", b"k", b"x" * 1_000_000)])

    with pytest.raises(StateError, match="full"):
        await waiting


# --- a clock that jumps


async def test_a_clock_that_is_put_back_or_on_loses_nothing_that_is_to_be_kept(path: Path) -> None:
    now_ms, hour_ms = [100 * 3_600_000], 3_600_000
    log = EmbeddedLog(path, clock_ms=lambda: now_ms[0])
    await log.start()
    await log.create([TopicSpec("kept", 1, "delete", 2 * hour_ms), TopicSpec("newest", 1, "compact")])
    positions = []
    for jump_ms in (0, -hour_ms, -hour_ms, 2 * hour_ms, hour_ms):
        now_ms[0] += jump_ms
        positions.append(await log.append(NewRecord("kept", b"k", b"%d" % len(positions), 0)))
        await log.append(NewRecord("newest", b"k", b"%d" % len(positions), 0))

    assert await log.apply_retention(now_ms[0]) == 0, "each was written within two hours, whatever its stamp says"
    assert [position.offset for position in positions] == [0, 1, 2, 3, 4]
    await log.compact("newest")
    assert [record.value for record in await read_all(log, "newest")] == [b"5"], "what came last, by offset"
    await log.stop()


# --- size


async def test_the_write_ahead_log_stays_small(embedded: EmbeddedLog, path: Path) -> None:
    for _ in range(60):
        await embedded.append_many([NewRecord("t", b"k", b"x" * 500_000, 0) for _ in range(2)])
    await embedded.flush()

    assert path.with_name("log.db-wal").stat().st_size < 24 << 20


async def test_compaction_and_retention_make_room_that_is_used_again(embedded: EmbeddedLog, path: Path) -> None:
    sizes = []
    for _ in range(4):
        await embedded.append_many([NewRecord("c", b"k", b"x" * 50_000, 0) for _ in range(60)])
        await embedded.compact("c")
        sizes.append(path.stat().st_size)

    assert len(await read_all(embedded, "c")) == 1
    assert sizes[-1] < sizes[0] + 3_500_000


async def test_a_reader_far_behind_reads_the_file_and_one_that_follows_reads_memory(embedded: EmbeddedLog) -> None:
    tail = embedded._file.tail
    tail._limit = 100_000
    await embedded.append_many([NewRecord("t", b"%d" % i, b"%d" % i * 200, 0) for i in range(2000)])

    assert tail.size_bytes <= 100_000
    assert tail.read(AT, 0, 10) is None
    assert len(tail.read(AT, 1990, 100) or []) == 10
    assert [record.key for record in await read_all(embedded, "t")] == [b"%d" % i for i in range(2000)]


# --- compaction and retention


async def test_compaction_keeps_tombstones_until_they_are_old(embedded: EmbeddedLog) -> None:
    for key, value in ((b"a", b"1"), (b"a", None), (b"b", b"1"), (b"c", None)):
        await embedded.append(NewRecord("c", key, value))
    await embedded.compact("c")
    young = [(r.offset, r.key, r.value) for r in await read_all(embedded, "c")]
    await embedded.compact("c", tombstones_before_ms=int(time.time() * 1000) + 10_000)
    old = [(r.offset, r.key, r.value) for r in await read_all(embedded, "c")]

    assert young == [(1, b"a", None), (2, b"b", b"1"), (3, b"c", None)]
    assert old == [(2, b"b", b"1"), (3, b"c", None)]  # the last of a partition stays
    assert await embedded.beginning_offsets("c") == {0: 2}


async def test_appends_go_on_during_a_long_compaction(embedded: EmbeddedLog) -> None:
    await embedded.append_many([NewRecord("c", b"%d" % (i % 7), b"%d" % i) for i in range(30_000)])
    compacting = asyncio.create_task(embedded.compact("c"))
    appended = 0
    while not compacting.done():
        await embedded.append(NewRecord("c", b"meanwhile", b"%d" % appended))
        appended += 1

    assert await compacting == 29_993
    assert appended > 10
    left = await read_all(embedded, "c")
    assert len(left) == 7 + appended
    assert [record.offset for record in left[7:]] == list(range(30_000, 30_000 + appended))


async def test_a_partition_is_compacted_by_itself_once_it_gained_as_much_as_it_holds(embedded: EmbeddedLog) -> None:
    upkeep = embedded._file.upkeep
    await embedded.append_many([NewRecord("c", b"%d" % (i % 100), b"") for i in range(9_000)])
    await upkeep.compact_dirty()
    too_few = len(await read_all(embedded, "c"))
    await embedded.append_many([NewRecord("c", b"%d" % (i % 100), b"") for i in range(1_000)])
    await upkeep.compact_dirty()

    assert too_few == 9_000
    assert len(await read_all(embedded, "c")) == 100


async def test_records_past_their_retention_go_oldest_first_and_the_last_stays(path: Path) -> None:
    now_ms = 1_000_000
    log = EmbeddedLog(path, clock_ms=lambda: now_ms)
    await log.start()
    await log.create([TopicSpec("t", 1, "delete", 60_000), TopicSpec("for-ever", 1)])
    for i in range(5):
        now_ms = 1_000_000 + i * 20_000
        await log.append_many(numbered("t", [i]) + numbered("for-ever", [i]))
    removed = await log.apply_retention(1_000_000 + 5 * 20_000)
    middle = numbers_of(await read_all(log, "t"))
    await log.apply_retention(now_ms * 10)

    assert removed == 2
    assert middle == [2, 3, 4]
    assert numbers_of(await read_all(log, "t")) == [4]
    assert await log.beginning_offsets("t") == {0: 4}
    assert numbers_of(await read_all(log, "for-ever")) == [0, 1, 2, 3, 4]
    position = await log.append(NewRecord("t", b"k", b"5", 0))
    assert position.offset == 5
    await log.stop()


# --- the API for the same loop


async def test_offsets_are_committed_after_what_was_appended_before_them(embedded: EmbeddedLog) -> None:
    finished = []
    appended = embedded.append_soon(NewRecord("t", b"k", b"v"))
    committed = embedded.commit_soon("g", {AT: 1})
    appended.add_done_callback(lambda _: finished.append("append"))
    committed.add_done_callback(lambda _: finished.append("commit"))
    assert embedded.highwater("t", 0) == 0
    assert embedded.committed_now("g", "t", 0) is None
    await embedded.flush()

    assert (await appended).offset == 0
    assert finished == ["append", "commit"]
    assert embedded.committed_now("g", "t", 0) == 1
    assert [record.value for record in embedded.read_now("t", 0, 0, 10)] == [b"v"]


async def test_a_kill_between_two_batches_leaves_a_sound_file(
    path: Path, other_process: "subprocess.Popen[bytes]"
) -> None:
    other_process.send_signal(signal.SIGKILL)
    other_process.wait()
    log = EmbeddedLog.shared(path)
    await log.start()
    (sound,) = log._file.db.execute("PRAGMA integrity_check").fetchone()

    assert sound == "ok"
    await log.stop()


def test_the_log_lies_in_the_data_folder_or_where_the_broker_says(tmp_path: Path) -> None:
    assert log_path(Settings(data_dir=tmp_path)) == tmp_path / "log.db"
    assert log_path(Settings(broker=f"embedded://{tmp_path}/own")) == tmp_path / "own" / "log.db"
