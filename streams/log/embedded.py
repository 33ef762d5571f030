"""The embedded log: all topics in one SQLite file, for one process, without a server.

The files, in the order a record meets them: `embedded` (this one: the log as its callers see it), `embedded_writer`
(the thread that makes it durable), `embedded_file` (tables), `embedded_tail` (the newest records in memory),
`embedded_reading` and `embedded_reader` (reading), `embedded_upkeep` (compaction, retention), `embedded_lock`.

Everything here belongs to one event loop, the one that opened the log; other threads hand their work to it with
`asyncio.run_coroutine_threadsafe`. Child processes must be spawned, not forked, if they are to use threads or the log.
The file needs a local disk: a write-ahead log does not work over a network file system.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from weakref import WeakValueDictionary

from recsys.errors import ConfigError, EventError, LogFailedError, StateError
from streams.clock import wall_clock_ms
from streams.log.base import NewRecord, Position, Record, TopicPartition, TopicSpec
from streams.log.embedded_file import (
    Contents,
    Part,
    Row,
    connect,
    create_topics,
    encode_headers,
    load,
    prepare,
    read_records,
    unreadable,
)
from streams.log.embedded_lock import FileLock
from streams.log.embedded_reading import ReadingSide, ReadOnlyLog
from streams.log.embedded_tail import TailCache
from streams.log.embedded_upkeep import Upkeep
from streams.log.embedded_writer import Write, Writer

MAX_RECORD_BYTES = 1 << 20
"""Key, value and headers together: Kafka's default for a request."""
TAIL_BYTES = 32 << 20
"""Memory for the newest records; a follower that falls behind further than this reads the file."""

T = TypeVar("T")


@dataclass(frozen=True)
class _Opened:
    """What there is only while the log is open."""

    lock: FileLock
    db: sqlite3.Connection
    contents: Contents
    tail: TailCache
    writer: Writer
    upkeep: Upkeep
    tidying: "asyncio.Task[None]"


class EmbeddedLog(ReadingSide):
    """A log in one file; `shared` gives the one object that this process has for it.

    Each `start` (or `open`) needs its own `stop`; the last one closes the file and releases the lock.
    """

    look_again_s = 3600.0  # appends are told of, nobody needs to look
    _by_path: ClassVar["WeakValueDictionary[Path, EmbeddedLog]"] = WeakValueDictionary()

    def __init__(self, path: Path, *, sync: str = "FULL", clock_ms: Callable[[], int] = wall_clock_ms) -> None:
        """Name the file; `sync` NORMAL survives a killed process but not a power cut, FULL both."""
        self.path = path
        self._sync, self._clock_ms = sync, clock_ms
        self._opened: _Opened | None = None
        self._holders = 0
        self._listeners: set[asyncio.Event] = set()
        self._without_key = 0

    @classmethod
    def shared(cls, path: Path, *, sync: str = "FULL") -> "EmbeddedLog":
        """Return this process's log at a path, which may be open already (and then stays as durable as it is)."""
        real = path.resolve()
        log = cls._by_path.get(real)
        if log is None:
            log = cls._by_path[real] = cls(real, sync=sync)
        return log

    @staticmethod
    def open_read_only(path: Path) -> ReadOnlyLog:
        """Return the log at a path for reading alone, whoever holds it; not started yet."""
        return ReadOnlyLog(path)

    # --- life

    async def start(self) -> None:
        self.open()

    def open(self) -> None:
        """Open the file, creating it where there is none; once more is only counted.

        Raises
        ------
        ConfigError
            If another process holds the log, its folder cannot be made, or its schema is another one.
        StateError
            If the file is no log.
        """
        if self._opened is None:
            self._opened = self._open_file()
        self._holders += 1

    def _open_file(self) -> _Opened:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path, self._clock_ms())
        except OSError as error:
            raise ConfigError(f"The folder of the log {self.path} cannot be used: {error}.") from error
        try:
            db = connect(self.path, self._sync)
            prepare(db, self.path)
            contents = load(db, self.path)
            writer = Writer(self.path, connect(self.path, self._sync), asyncio.get_running_loop(), self._landed)
        except sqlite3.Error as error:
            lock.close()
            raise unreadable(self.path, error) from error
        except ConfigError:
            lock.close()
            raise
        tail = TailCache(TAIL_BYTES)
        upkeep = Upkeep(contents, tail, writer, self._clock_ms)
        tidying = asyncio.get_running_loop().create_task(upkeep.run(), name="log-upkeep")
        return _Opened(lock, db, contents, tail, writer, upkeep, tidying)

    async def stop(self) -> None:
        """Make durable what was submitted; the last holder closes the file. Never fails because the disk did."""
        if self._opened is None:
            return
        self._holders -= 1
        if self._holders > 0:
            if self._opened.writer.failure is None:
                await self.flush()
            return
        opened, self._opened, self._holders = self._opened, None, 0
        opened.tidying.cancel()
        await asyncio.wait([opened.tidying])
        await opened.writer.close()
        with contextlib.suppress(sqlite3.Error):
            opened.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        opened.db.close()
        opened.lock.close()

    @property
    def failure(self) -> LogFailedError | None:
        """Why the log takes nothing more; None while all is well. A process that sees one should end."""
        return self._opened.writer.failure if self._opened else None

    def announce(self, host: str, port: int) -> None:
        """Tell other processes, through the lock file, where this one answers HTTP."""
        self._file.lock.announce(host, port)

    # --- append

    async def append(self, record: NewRecord) -> Position:
        return await self.append_soon(record)

    async def append_many(self, records: Sequence[NewRecord]) -> list[Position]:
        return await self.submit(records, lambda positions: positions)

    def append_soon(self, record: NewRecord) -> "asyncio.Future[Position]":
        """Submit a record, in the order of calls; the future resolves once it is durable.

        Raises
        ------
        EventError
            `too-large`, when it is over the limit.
        ConfigError
            When there is no such topic or partition.
        LogFailedError
            When the log failed before.
        """
        return self.submit([record], lambda positions: positions[0])

    def commit_soon(self, group: str, offsets: Mapping[TopicPartition, int]) -> "asyncio.Future[None]":
        """Submit a consumer group's offsets; they become durable after all that was submitted before, or with it."""
        for at in offsets:
            self.contents.part(*at)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._file.writer.submit(Write(done, None, group=group, offsets=dict(offsets)))
        return done

    async def commit(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        await self.commit_soon(group, offsets)

    async def flush(self) -> None:
        """Return when everything submitted so far is durable."""
        await self._file.writer.flush()

    def submit(self, records: Sequence[NewRecord], answer: Callable[[list[Position]], T]) -> "asyncio.Future[T]":
        """Submit records in this order; once all are durable, the future resolves to the answer for their positions.

        Raises as `append_soon`, and takes none of the records then.
        """
        placed = [(record, self._place(record)) for record in records]  # refuses all before it takes any
        now_ms = self._clock_ms()
        rows: list[Row] = []
        taken: list[Record] = []
        for new, (at, part) in placed:
            offset, part.allocated = part.allocated, part.allocated + 1
            rows.append((part.row_id(offset), now_ms, new.key, new.value, encode_headers(new.headers)))
            taken.append(Record(*at, offset, now_ms, new.key, new.value, new.headers))
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        result = answer([Position(*record[:4]) for record in taken])
        self._file.writer.submit(Write(done, result, rows, taken))
        return done

    def _place(self, record: NewRecord) -> tuple[TopicPartition, Part]:
        """Say where a record goes, and whether it may."""
        parts = self.contents.topic(record.topic).parts
        headers = sum(len(name) + len(value) for name, value in record.headers)
        size = len(record.key or b"") + len(record.value or b"") + headers
        if size > MAX_RECORD_BYTES:
            raise EventError(
                "too-large", f"A message for {record.topic} has {size} bytes; at most {MAX_RECORD_BYTES} are taken."
            )
        partition = record.partition
        if partition is None and record.key is None:
            partition = self._without_key = (self._without_key + 1) % len(parts)
        elif partition is None:
            partition = self.partition_for(record.key or b"", len(parts))
        return TopicPartition(record.topic, partition), self.contents.part(record.topic, partition)

    def _landed(self, writes: list[Write[Any]]) -> None:
        """Show durable writes to readers, then wake them."""
        opened = self._opened
        if opened is not None:
            for write in writes:
                for record in write.records:
                    opened.tail.add(record)
                    opened.contents.topics[record.topic].parts[record.partition].next = record.offset + 1
                if write.offsets:
                    opened.contents.committed.setdefault(write.group, {}).update(write.offsets)
        for news in self._listeners:
            news.set()

    # --- read

    @property
    def contents(self) -> Contents:
        return self._file.contents

    def refresh(self) -> None:
        """All is known already; raises LogFailedError once the log has failed, for nothing will ever come again."""
        failure = self._file.writer.failure
        if failure is not None:
            raise LogFailedError(str(failure))

    def read_now(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        part = self.contents.part(topic, partition)
        if offset >= part.next:
            return []
        at = TopicPartition(topic, partition)
        records = self._file.tail.read(at, offset, limit)
        return read_records(self._file.db, at, part, offset, part.next, limit) if records is None else records

    def listen(self, news: asyncio.Event) -> None:
        self._listeners.add(news)

    def unlisten(self, news: asyncio.Event) -> None:
        self._listeners.discard(news)

    # --- topics, compaction, retention

    async def create(self, specs: Iterable[TopicSpec]) -> None:
        wanted = [spec for spec in specs if not self.has_topic(spec.name)]
        if wanted:
            for topic in await self._file.writer.change(partial(create_topics, specs=wanted)):
                self.contents.topics[topic.spec.name] = topic

    async def compact(self, topic: str, tombstones_before_ms: int | None = None) -> int:
        """Remove what newer records of the same key supersede; return how many records went.

        Tombstones from before `tombstones_before_ms` go as well, by default those of a day ago. Appends go on
        meanwhile, and the last record of each partition stays.
        """
        return await self._file.upkeep.compact(topic, tombstones_before_ms)

    async def apply_retention(self, now_ms: int) -> int:
        """Remove records that are past their topic's retention; return how many went."""
        return await self._file.upkeep.apply_retention(now_ms)

    @property
    def _file(self) -> _Opened:
        if self._opened is None:
            raise StateError(f"The log {self.path} is not open.")
        return self._opened
