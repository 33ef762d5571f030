"""The half of an embedded log that reads: the whole of it for a process that only looks at another's file."""

import asyncio
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from recsys.errors import ConfigError
from streams.log.base import NewRecord, Position, Record, TopicPartition, TopicSpec
from streams.log.embedded_file import Contents, connect_read_only, load, read_records, unreadable
from streams.log.embedded_reader import EmbeddedReader
from streams.log.partitioner import partition_of

LOOK_AGAIN_S = 0.05
"""How often a follower looks for what another process appended."""


class ReadingSide(ABC):
    """What can be asked of the file, whoever writes to it."""

    look_again_s = LOOK_AGAIN_S

    @property
    @abstractmethod
    def contents(self) -> Contents:
        """The topics, their offsets and the committed ones; raises StateError when the log is not open."""

    @abstractmethod
    def refresh(self) -> None: ...

    @abstractmethod
    def listen(self, news: asyncio.Event) -> None:
        """Set this event whenever something was appended, or the log failed."""

    @abstractmethod
    def unlisten(self, news: asyncio.Event) -> None: ...

    @abstractmethod
    def read_now(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """Return up to `limit` durable records from `offset` on, without waiting for any."""

    def highwater(self, topic: str, partition: int) -> int:
        """The offset after the newest durable record."""
        return self.contents.part(topic, partition).next

    def earliest(self, topic: str, partition: int) -> int:
        """The offset of the oldest record that is left."""
        return self.contents.part(topic, partition).start

    def committed_now(self, group: str, topic: str, partition: int) -> int | None:
        """The offset that a consumer group committed, None when it has none."""
        return self.contents.committed.get(group, {}).get(TopicPartition(topic, partition))

    def has_topic(self, topic: str) -> bool:
        return topic in self.contents.topics

    def partition_count(self, topic: str) -> int:
        return len(self.contents.topic(topic).parts)

    def reader(self, offsets: Mapping[TopicPartition, int]) -> EmbeddedReader:
        return EmbeddedReader(self, offsets)

    async def partitions(self, topic: str) -> int:
        self.refresh()
        return self.partition_count(topic)

    async def beginning_offsets(self, topic: str) -> dict[int, int]:
        self.refresh()
        return {p: part.start for p, part in enumerate(self.contents.topic(topic).parts)}

    async def end_offsets(self, topic: str) -> dict[int, int]:
        self.refresh()
        return {p: part.next for p, part in enumerate(self.contents.topic(topic).parts)}

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        self.refresh()
        offsets = self.contents.committed.get(group, {})
        return {at.partition: offset for at, offset in offsets.items() if at.topic == topic}

    async def describe(self, topics: Iterable[str]) -> dict[str, TopicSpec]:
        self.refresh()
        known = self.contents.topics
        return {name: known[name].spec for name in topics if name in known}

    def partition_for(self, key: bytes, partitions: int) -> int:
        return partition_of(key, partitions)


class ReadOnlyLog(ReadingSide):
    """Another process's log, or one that nobody holds; takes no lock, and refuses to be written to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._contents = Contents(path)
        self._seen_version = -1

    async def start(self) -> None:
        """Open the file.

        Raises
        ------
        ConfigError
            If there is none.
        StateError
            If it is no log.
        """
        if not self._path.is_file():
            raise ConfigError(f"There is no log at {self._path}.")
        try:
            self._db = connect_read_only(self._path)
            self.refresh()
        except sqlite3.Error as error:
            await self.stop()
            raise unreadable(self._path, error) from error

    async def stop(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db = None

    @property
    def contents(self) -> Contents:
        return self._contents

    def refresh(self) -> None:
        db = self._opened()
        (version,) = db.execute("PRAGMA data_version").fetchone()  # changes with each commit of another
        if version != self._seen_version:
            self._contents, self._seen_version = load(db, self._path), version

    def read_now(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        part = self._contents.part(topic, partition)
        if offset >= part.next:
            return []
        return read_records(self._opened(), TopicPartition(topic, partition), part, offset, part.next, limit)

    def listen(self, news: asyncio.Event) -> None:
        """Nobody tells of another process's appends: readers look again by themselves."""

    def unlisten(self, news: asyncio.Event) -> None:
        """See `listen`."""

    async def append(self, record: NewRecord) -> Position:
        self._refuse()

    async def append_many(self, records: Sequence[NewRecord]) -> list[Position]:
        self._refuse()

    async def commit(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        self._refuse()

    async def create(self, specs: Iterable[TopicSpec]) -> None:
        self._refuse()

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            raise ConfigError(f"The log {self._path} is not open.")
        return self._db

    def _refuse(self) -> NoReturn:
        raise ConfigError(f"The log {self._path} is open for reading only: write through the process that holds it.")
