"""What every log does: the embedded one and Kafka inherit these tests.

A test class derives from `LogContract` and gives three fixtures and, where needed, one method:

- `settings`: the `Settings` with which `open_log` (here and in a child process) finds the log;
- `log`: a started log, stopped after the test;
- `reopen`: an async callable that stops that log (if it still runs) and returns a new, started one over the same data,
  stopped after the test as well;
- `compact(log, topic)`: make the log compact this topic now.
"""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from itertools import count, pairwise
from pathlib import Path
from typing import ClassVar

import pytest

from recsys.errors import ConfigError, EventError
from streams.log.base import Log, NewRecord, Position, Reader, Record, TopicPartition, TopicSpec
from streams.log.open import open_log
from streams.settings import Settings, read_settings

REPOSITORY = Path(__file__).parents[2]
MIB = 1024 * 1024
DEADLINE_S = 30.0

# From Kafka's own UtilsTest.testMurmur2.
KAFKA_HASHES = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}

Reopen = Callable[[], Awaitable[Log]]


async def read_records(reader: Reader, n: int) -> list[Record]:
    """Poll until there are `n` records, or fail after the deadline."""
    records: list[Record] = []
    deadline = time.monotonic() + DEADLINE_S
    while len(records) < n:
        records += await reader.poll(0.2)
        assert time.monotonic() < deadline, f"only {len(records)} of {n} records came"
    return records


async def read_all(log: Log, topic: str) -> list[Record]:
    """Everything that a topic holds now, from the beginning to the present end, in order within each partition."""
    ends = {TopicPartition(topic, p): end for p, end in (await log.end_offsets(topic)).items()}
    reader = log.reader(dict.fromkeys(ends, -1))
    records: list[Record] = []
    deadline = time.monotonic() + DEADLINE_S
    begins = await log.beginning_offsets(topic)
    while any(reader.position(at) < end for at, end in ends.items() if begins[at.partition] < end):
        records += await reader.poll(0.2)
        assert time.monotonic() < deadline, "the end was never reached"
    await reader.close()
    return records


def numbered(topic: str, numbers: Iterable[int], partition: int | None = 0) -> list[NewRecord]:
    return [NewRecord(topic, b"key-%d" % i, b"%d" % i, partition) for i in numbers]


def numbers_of(records: Iterable[Record]) -> list[int]:
    return [int(record.value or b"-1") for record in records]


class LogContract:
    """Behaviours that both logs have in common."""

    compaction: ClassVar[dict[str, str]] = {}
    """Topic settings that make this log compact soon."""

    async def compact(self, log: Log, topic: str) -> None:
        raise NotImplementedError

    @pytest.fixture
    def topic(self) -> str:
        return f"contract-{secrets.token_hex(6)}"

    # --- append and read

    async def test_records_of_a_partition_are_read_in_the_order_appended(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 1)])
        for record in numbered(topic, range(20)):
            await log.append(record)

        assert numbers_of(await read_all(log, topic)) == list(range(20))

    async def test_offsets_count_up_from_zero_in_each_partition(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 2)])
        left = [await log.append(record) for record in numbered(topic, range(3), partition=0)]
        right = [await log.append(record) for record in numbered(topic, range(2), partition=1)]

        assert [position[:3] for position in left] == [(topic, 0, 0), (topic, 0, 1), (topic, 0, 2)]
        assert [position[:3] for position in right] == [(topic, 1, 0), (topic, 1, 1)]

    async def test_an_acknowledged_position_is_where_the_record_is_read(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 3)])
        positions = await log.append_many(numbered(topic, range(30), partition=None))
        by_place = {(record.partition, record.offset): record for record in await read_all(log, topic)}

        for i, position in enumerate(positions):
            record = by_place[position.partition, position.offset]
            assert (record.key, record.value) == (b"key-%d" % i, b"%d" % i)
            assert record.topic == topic

    async def test_append_many_keeps_the_order_and_two_calls_do_not_interleave(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 1)])
        first, second = await asyncio.gather(
            log.append_many(numbered(topic, range(500))), log.append_many(numbered(topic, range(500, 1000)))
        )

        offsets = [position.offset for position in [*first, *second]]
        assert offsets == list(range(1000))
        assert numbers_of(await read_all(log, topic)) == list(range(1000))

    async def test_append_many_of_nothing_is_nothing(self, log: Log) -> None:
        assert await log.append_many([]) == []

    async def test_keys_values_and_headers_come_back_as_they_were(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 1)])
        sent = [
            NewRecord(topic, b"k", b"v", 0, (("trace", b"\x00\xff"), ("trace", b"again"), ("ünïcode", b""))),
            NewRecord(topic, b"k", None, 0),
            NewRecord(topic, None, b"v", 0),
            NewRecord(topic, b"", b"", 0),
            NewRecord(topic, bytes(range(256)), b"\x00" * 10_000, 0),
        ]
        await log.append_many(sent)

        read = await read_all(log, topic)
        assert [(r.key, r.value, r.headers) for r in read] == [(s.key, s.value, s.headers) for s in sent]

    async def test_a_record_is_stamped_with_about_the_time_it_was_appended(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 1, config={"message.timestamp.type": "LogAppendTime"})])
        before_ms = time.time() * 1000
        position = await log.append(NewRecord(topic, b"k", b"v", 0))

        (record,) = await read_all(log, topic)
        assert record.timestamp_ms == position.timestamp_ms
        assert before_ms - 2_000 <= record.timestamp_ms <= time.time() * 1000 + 2_000

    async def test_a_message_over_one_mebibyte_is_refused_and_the_log_goes_on(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 1)])
        with pytest.raises(EventError) as refused:
            await log.append(NewRecord(topic, b"k", b"x" * (MIB + 1), 0))
        large = await log.append(NewRecord(topic, b"k", b"x" * 1_000_000, 0))

        assert refused.value.reason == "too-large"
        assert large.offset == 0
        assert [len(record.value or b"") for record in await read_all(log, topic)] == [1_000_000]

    async def test_one_too_large_record_keeps_its_whole_batch_out(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 1)])
        with pytest.raises(EventError):
            await log.append_many([*numbered(topic, range(3)), NewRecord(topic, b"k", b"x" * (MIB + 1), 0)])

        assert (await log.end_offsets(topic)) == {0: 0}

    # --- partitions

    def test_a_key_hashes_as_in_kafkas_own_tests(self, log: Log) -> None:
        for key, murmur2 in KAFKA_HASHES.items():
            for partitions in (1, 8, 1009):
                assert log.partition_for(key, partitions) == (murmur2 & 0x7FFFFFFF) % partitions

    async def test_a_record_without_a_partition_goes_where_its_key_hashes(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 8)])
        positions = await log.append_many([NewRecord(topic, key, b"v") for key in KAFKA_HASHES])

        expected = [log.partition_for(key, 8) for key in KAFKA_HASHES]
        assert [position.partition for position in positions] == expected

    # --- readers

    async def test_a_reader_starts_at_any_offset(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 1)])
        await log.append_many(numbered(topic, range(10)))
        reader = log.reader({TopicPartition(topic, 0): 7})
        records = await read_records(reader, 3)

        assert [(record.offset, record.value) for record in records] == [(7, b"7"), (8, b"8"), (9, b"9")]
        assert reader.position(TopicPartition(topic, 0)) == 10
        await reader.close()

    async def test_a_reader_from_the_end_sees_only_what_comes_after(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 1)])
        await log.append_many(numbered(topic, range(5)))
        reader = log.reader({TopicPartition(topic, 0): -2})
        assert await reader.poll(1.0) == []
        assert reader.position(TopicPartition(topic, 0)) == 5
        await log.append_many(numbered(topic, range(5, 7)))

        assert numbers_of(await read_records(reader, 2)) == [5, 6]
        await reader.close()

    async def test_a_waiting_reader_is_woken_by_an_append(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 1)])
        reader = log.reader({TopicPartition(topic, 0): -1})
        waiting = asyncio.create_task(reader.poll(20.0))
        await asyncio.sleep(0)
        started = time.monotonic()
        await log.append(NewRecord(topic, b"k", b"1", 0))

        assert numbers_of(await waiting) == [1]
        assert time.monotonic() - started < 10.0
        await reader.close()

    async def test_poll_gives_at_most_what_was_asked_for_and_skips_nothing(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 2)])
        await log.append_many(numbered(topic, range(50), partition=0) + numbered(topic, range(50), partition=1))
        at = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
        reader = log.reader(dict.fromkeys(at, -1))
        read: dict[int, list[int]] = {0: [], 1: []}
        deadline = time.monotonic() + DEADLINE_S
        while len(read[0]) + len(read[1]) < 100:
            records = await reader.poll(0.2, max_records=7)
            assert len(records) <= 7
            for record in records:
                read[record.partition].append(record.offset)
            assert [reader.position(each) for each in at] == [len(read[0]), len(read[1])]
            assert time.monotonic() < deadline

        assert read == {0: list(range(50)), 1: list(range(50))}
        await reader.close()

    async def test_an_empty_poll_ends_after_its_timeout(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 1)])
        reader = log.reader({TopicPartition(topic, 0): -1})
        await reader.poll(1.0)
        started = time.monotonic()

        assert await reader.poll(0.1) == []
        assert time.monotonic() - started < 5.0
        await reader.close()

    # --- offsets

    async def test_beginning_and_end_offsets_of_each_partition(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 3)])
        await log.append_many(numbered(topic, range(4), partition=0) + numbered(topic, range(2), partition=2))

        assert await log.beginning_offsets(topic) == {0: 0, 1: 0, 2: 0}
        assert await log.end_offsets(topic) == {0: 4, 1: 0, 2: 2}

    async def test_a_committed_offset_is_kept_for_its_group_alone(self, log: Log, reopen: Reopen, topic: str) -> None:
        await log.create([TopicSpec(topic, 3)])
        await log.append_many(numbered(topic, range(4), partition=0) + numbered(topic, range(4), partition=2))
        await log.commit(f"{topic}-a", {TopicPartition(topic, 0): 3, TopicPartition(topic, 2): 1})
        await log.commit(f"{topic}-a", {TopicPartition(topic, 2): 2})
        again = await reopen()

        assert await again.committed(f"{topic}-a", topic) == {0: 3, 2: 2}
        assert await again.committed(f"{topic}-b", topic) == {}

    # --- topics

    async def test_describe_tells_topics_as_they_were_created(self, log: Log, reopen: Reopen, topic: str) -> None:
        specs = [
            TopicSpec(f"{topic}-a", 1, "compact"),
            TopicSpec(f"{topic}-b", 4, "delete", 86_400_000),
            TopicSpec(f"{topic}-c", 2, "compact,delete", 3_600_000),
        ]
        await log.create(specs)
        again = await reopen()
        described = await again.describe([spec.name for spec in specs] + [f"{topic}-none"])

        assert sorted(described) == [spec.name for spec in specs]
        for spec in specs:
            found = described[spec.name]
            assert (found.name, found.partitions) == (spec.name, spec.partitions)
            assert sorted(found.cleanup.split(",")) == sorted(spec.cleanup.split(","))
            assert "delete" not in spec.cleanup or found.retention_ms == spec.retention_ms
            assert await again.partitions(spec.name) == spec.partitions

    async def test_creating_a_topic_that_exists_leaves_it_alone(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 2, "compact")])
        await log.append_many(numbered(topic, range(3)))
        await log.create([TopicSpec(topic, 5, "delete", 1_000), TopicSpec(f"{topic}-new", 1)])

        described = await log.describe([topic, f"{topic}-new"])
        assert (described[topic].partitions, described[topic].cleanup) == (2, "compact")
        assert described[f"{topic}-new"].partitions == 1
        assert await log.end_offsets(topic) == {0: 3, 1: 0}

    async def test_an_unknown_topic_is_a_mistake_in_the_configuration(self, log: Log, topic: str) -> None:
        with pytest.raises(ConfigError, match=topic):
            await log.append(NewRecord(topic, b"k", b"v"))
        with pytest.raises(ConfigError, match=topic):
            await log.append_many([NewRecord(topic, b"k", b"v")])
        with pytest.raises(ConfigError, match=topic):
            await log.partitions(topic)
        with pytest.raises(ConfigError, match=topic):
            await log.beginning_offsets(topic)
        with pytest.raises(ConfigError, match=topic):
            await log.end_offsets(topic)

    # --- compaction

    async def test_compaction_keeps_the_newest_of_each_key_where_it_stood(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 1, "compact", config=self.compaction)])
        sent: list[tuple[bytes, bytes | None]] = [(b"a", b"1"), (b"b", b"1"), (b"gone", b"1"), (b"a", b"2")]
        sent += [(b"gone", None), (b"a", b"3"), (b"b", b"2"), (b"last", b"1")]
        await log.append_many([NewRecord(topic, key, value, 0) for key, value in sent])
        await self.compact(log, topic)

        ours = {key for key, _ in sent}
        left = [record for record in await read_all(log, topic) if record.key in ours and record.value is not None]
        assert [(r.offset, r.key, r.value) for r in left] == [(5, b"a", b"3"), (6, b"b", b"2"), (7, b"last", b"1")]

    async def test_offsets_go_on_after_compaction_and_a_reader_steps_over_the_gaps(
        self, log: Log, reopen: Reopen, topic: str
    ) -> None:
        await log.create([TopicSpec(topic, 1, "compact", config=self.compaction)])
        await log.append_many([NewRecord(topic, b"same", b"%d" % i, 0) for i in range(10)])
        await self.compact(log, topic)
        end = (await log.end_offsets(topic))[0]
        again = await reopen()
        position = await again.append(NewRecord(topic, b"other", b"99", 0))

        reader = again.reader({TopicPartition(topic, 0): 3})
        records: list[Record] = []
        while not records or records[-1].offset < position.offset:
            records += await read_records(reader, 1)
        offsets = [record.offset for record in records]
        assert position.offset == end
        assert all(a < b for a, b in pairwise(offsets))
        assert {record.offset for record in records if record.key == b"same"} == {9}
        assert reader.position(TopicPartition(topic, 0)) == end + 1
        await reader.close()

    # --- a killed writer

    async def test_acknowledged_records_survive_a_kill_of_their_writer(
        self, log: Log, reopen: Reopen, settings: Settings, topic: str
    ) -> None:
        await log.create([TopicSpec(topic, 2)])
        await log.stop()
        acknowledged = await asyncio.to_thread(write_until_killed, settings, topic, 300)
        again = await reopen()

        kept = {(record.partition, record.offset): record.value for record in await read_all(again, topic)}
        assert len(acknowledged) >= 300
        assert {place: kept.get(place) for place in acknowledged} == acknowledged
        ends = await again.end_offsets(topic)
        assert sorted(kept) == [(p, offset) for p in (0, 1) for offset in range(ends[p])]


def write_until_killed(settings: Settings, topic: str, n: int) -> dict[tuple[int, int], bytes]:
    """Let a child process append, kill -9 it after `n` acknowledgements; (partition, offset) -> value it was told."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FRESHET_")}
    environment |= {"FRESHET_BROKER": settings.broker, "FRESHET_DATA_DIR": str(settings.data_dir)}
    command = [sys.executable, "-m", "tests.contracts.log_contract", topic]
    acknowledged: dict[tuple[int, int], bytes] = {}
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.endswith(b"\n"):
                partition, offset, value = line.split()
                acknowledged[int(partition), int(offset)] = value
            if len(acknowledged) == n:
                child.send_signal(signal.SIGKILL)
    return acknowledged


async def write_for_ever(topic: str) -> None:
    """The child: append in small batches and print each acknowledgement as soon as it is there."""
    log = open_log(read_settings())
    await log.start()
    for i in count(step=10):
        batch = numbered(topic, range(i, i + 10), partition=None)
        positions: list[Position] = await log.append_many(batch)
        lines = [
            f"{at.partition} {at.offset} {(new.value or b'').decode()}\n"
            for at, new in zip(positions, batch, strict=True)
        ]
        sys.stdout.write("".join(lines))
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(write_for_ever(sys.argv[1]))
