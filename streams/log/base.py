"""The log, as both Kafka and the embedded file keep it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

Headers = tuple[tuple[str, bytes], ...]


class TopicPartition(NamedTuple):
    """One ordered sequence of records."""

    topic: str
    partition: int


class Position(NamedTuple):
    """Where an acknowledged record stands; `timestamp_ms` is the broker's clock."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int


class Record(NamedTuple):
    """One record as it was read."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class NewRecord(NamedTuple):
    """One record to append; without a partition the key decides, as Kafka's default partitioner does."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Headers = ()


@dataclass(frozen=True)
class TopicSpec:
    """What a topic should look like.

    `cleanup` is `delete`, `compact` or `compact,delete`; `retention_ms` -1 keeps for ever; `config` holds further
    Kafka topic settings, which the embedded log ignores.
    """

    name: str
    partitions: int
    cleanup: str = "delete"
    retention_ms: int = -1
    config: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_compacted(self) -> bool:
        return "compact" in self.cleanup


class Reader(Protocol):
    """Reads given partitions from given offsets, without a consumer group."""

    async def poll(self, timeout_s: float, max_records: int = 1000) -> list[Record]:
        """Return what is there, in order within each partition; wait up to `timeout_s` for the first record.

        Raises UnavailableError when the broker does not answer for longer than the client's patience.
        """
        ...

    def position(self, partition: TopicPartition) -> int:
        """The offset that the next poll of this partition starts from (gaps of compaction are skipped)."""
        ...

    async def close(self) -> None: ...


class Log(Protocol):
    """Topics of records: append with acknowledgement, read from any offset, compact by key."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def append(self, record: NewRecord) -> Position:
        """Append one record and return once it is durable.

        Raises EventError (`too-large`) when the record is over the log's limit, UnavailableError when the
        broker does not answer, ConfigError when the topic does not exist.
        """
        ...

    async def append_many(self, records: Sequence[NewRecord]) -> list[Position]:
        """Append in the given order (within a partition) and return once all are durable.

        Enqueues everything before it first suspends, so two calls from one task never interleave in a partition.
        """
        ...

    def reader(self, offsets: Mapping[TopicPartition, int]) -> Reader:
        """Read these partitions from these offsets; -1 means the beginning, -2 the present end."""
        ...

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has; ConfigError when there is no such topic."""
        ...

    async def beginning_offsets(self, topic: str) -> dict[int, int]: ...

    async def end_offsets(self, topic: str) -> dict[int, int]:
        """The offset after the newest record, for each partition."""
        ...

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        """The committed offset of a consumer group, for each partition that has one."""
        ...

    async def commit(self, group: str, offsets: Mapping[TopicPartition, int]) -> None: ...

    async def describe(self, topics: Iterable[str]) -> dict[str, TopicSpec]:
        """The topics among these that exist, as they are."""
        ...

    async def create(self, specs: Iterable[TopicSpec]) -> None:
        """Create topics that do not exist yet; an existing one is left alone."""
        ...

    def partition_for(self, key: bytes, partitions: int) -> int:
        """Which partition a key goes to: murmur2, as Kafka's default partitioner."""
        ...
