"""The newest records of an embedded log, kept in memory so that those who follow it need not read the file."""

from collections import deque

from streams.log.base import Record, TopicPartition

RECORD_OVERHEAD_BYTES = 300
"""What one record takes in memory besides its key and value."""


class TailCache:
    """Holds an unbroken run of the newest records of each partition, `limit_bytes` over all of them."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._runs: dict[TopicPartition, deque[Record]] = {}
        self._oldest_first: deque[TopicPartition] = deque()
        self.size_bytes = 0

    def add(self, record: Record) -> None:
        """Take a record that follows the newest one of its partition; the oldest of all make room."""
        at = TopicPartition(record.topic, record.partition)
        self._runs.setdefault(at, deque()).append(record)
        self._oldest_first.append(at)
        self.size_bytes += _size(record)
        while self.size_bytes > self._limit:
            self._evict(self._oldest_first.popleft())

    def read(self, at: TopicPartition, offset: int, limit: int) -> list[Record] | None:
        """Return up to `limit` records from `offset` on, None when the run starts later than that."""
        run = self._runs.get(at)
        if not run or offset < run[0].offset:
            return None
        first = offset - run[0].offset
        return [run[i] for i in range(first, min(first + limit, len(run)))]

    def forget(self, at: TopicPartition) -> None:
        """Drop a partition's run, because records were removed from its middle."""
        self.size_bytes -= sum(map(_size, self._runs.pop(at, ())))

    def _evict(self, at: TopicPartition) -> None:
        run = self._runs.get(at)
        if run:  # empty when the partition was forgotten: its marks stay in the order
            self.size_bytes -= _size(run.popleft())


def _size(record: Record) -> int:
    headers = sum(len(name) + len(value) for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers + RECORD_OVERHEAD_BYTES
