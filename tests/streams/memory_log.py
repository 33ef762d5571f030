"""A log in memory, for tests that try thousands of crashes: no disk, no waiting, and appends that break off."""

from collections import defaultdict

from streams.log.base import Position, Record, TopicPartition
from streams.log.partitioner import partition_of


class BrokenOff(Exception):
    """The process has died while it appended."""


class MemoryLog:
    """What the agents ask of a log; `survive` is how many more records are appended before the process dies."""

    def __init__(self, partitions):
        self._n = partitions
        self.records = defaultdict(list)
        self.survive = None
        self.offsets = {}
        self.kept_from = {}
        """The oldest offset that a topic's partitions still have."""

    async def append_many(self, records):
        positions = []
        for record in records:
            if self.survive is not None:
                if self.survive == 0:
                    raise BrokenOff
                self.survive -= 1
            positions.append(self._append(record))
        return positions

    def _append(self, new, timestamp_ms=0):
        partition = new.partition if new.partition is not None else self.partition_for(new.key, self._n)
        kept = self.records[new.topic, partition]
        kept.append(Record(new.topic, partition, len(kept), timestamp_ms, new.key, new.value, new.headers))
        return Position(new.topic, partition, len(kept) - 1, timestamp_ms)

    def put(self, new, timestamp_ms):
        """What a shop appends: it never dies."""
        return self._append(new, timestamp_ms)

    def all(self, topic):
        """All records of a topic, partition after partition."""
        return [record for partition in range(self._n) for record in self.records[topic, partition]]

    async def beginning_offsets(self, topic):
        return dict.fromkeys(range(self._n), self.kept_from.get(topic, 0))

    async def end_offsets(self, topic):
        return {partition: len(self.records[topic, partition]) for partition in range(self._n)}

    async def committed(self, group, topic):
        return self.offsets

    def partition_for(self, key, partitions):
        return partition_of(key, partitions)

    def reader(self, offsets):
        return _Reader(self.records, dict(offsets))


class _Reader:
    def __init__(self, records, offsets):
        self._records, self._offsets = records, offsets

    async def poll(self, timeout_s, max_records=1000):
        found = []
        for tp, offset in self._offsets.items():
            new = self._records[tp][offset : offset + max_records]
            self._offsets[tp] = offset + len(new)
            found += new
        return found

    def position(self, tp: TopicPartition):
        return self._offsets[tp]

    async def close(self):
        pass
