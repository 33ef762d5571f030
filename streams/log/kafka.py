"""The log over Apache Kafka: aiokafka for records, kafka-python for topics and groups."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from aiokafka import AIOKafkaProducer
from kafka import TopicPartition as KafkaPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.structs import OffsetAndMetadata

from recsys.errors import ConfigError, EventError, StateError
from streams.clock import wall_clock_ms
from streams.log.base import NewRecord, Position, TopicPartition, TopicSpec
from streams.log.kafka_bootstrap import begin_anew_when_lost
from streams.log.kafka_connection import KafkaAdmin, connection_options, log_in
from streams.log.kafka_errors import FOREIGN, as_ours
from streams.log.kafka_fence import Fence
from streams.log.kafka_reader import KafkaReader
from streams.log.lease import Lease
from streams.log.partitioner import partition_of
from streams.settings import Settings

MAX_RECORD_BYTES = 1024 * 1024
"""Key, value and headers of one record; the contract's limit for a message."""
MAX_MESSAGE_BYTES = MAX_RECORD_BYTES + 64 * 1024
"""Topic setting: a record of the largest size and what Kafka wraps round it."""
BATCH_BYTES = 900_000
"""One request for each partition and batch; aiokafka's 16 KiB would make it one for five users' states."""
PATIENCE_S = 20.0
"""A leader is elected and a killed broker is back within this; after it the caller hears `UnavailableError`."""
REPLICAS = 3


@dataclass
class _Batch:
    """Records of one partition that go out together; `places` are their indices in the caller's sequence."""

    at: TopicPartition
    builder: Any
    sent_ms: int
    places: list[int] = field(default_factory=list)

    def take(self, place: int, record: NewRecord) -> bool:
        """Add a record, or say that the batch is full."""
        taken = self.builder.append(
            timestamp=self.sent_ms, key=record.key, value=record.value, headers=list(record.headers)
        )
        if taken is not None:
            self.places.append(place)
        return taken is not None


class KafkaLog:
    """`base.Log` over Kafka; every record is on all in-sync replicas before `append` returns.

    Parameters
    ----------
    settings
        Where Kafka is and how to talk to it.
    patience_s
        Seconds without an answer after which a call raises UnavailableError. An append that gave up may still arrive.
    lease
        Records are appended only while it is held; an append that outlives its term raises OwnershipLostError or
        another StateError, and so do all that follow.
    """

    def __init__(self, settings: Settings, patience_s: float = PATIENCE_S, lease: Lease | None = None) -> None:
        self._options = connection_options(settings)
        self._patience_s = patience_s
        self._admin = KafkaAdmin(self._options, patience_s)
        self._producer: AIOKafkaProducer | None = None
        self._lease = lease
        self._fence: Fence | None = None
        self._partitions: dict[str, int] = {}
        self._readers: list[KafkaReader] = []
        # aiokafka waits between two batches of a partition; without the lock another call could slip in between.
        self._order = asyncio.Lock()

    async def start(self) -> None:
        """Connect.

        Raises
        ------
        UnavailableError
            If no broker answers.
        ConfigError
            If it refuses the user or the certificate.
        """
        await log_in(self._options, self._patience_s)
        producer = AIOKafkaProducer(
            **self._options,
            enable_idempotence=True,
            acks="all",
            max_batch_size=BATCH_BYTES,
            max_request_size=2 * MAX_RECORD_BYTES,
        )
        begin_anew_when_lost(producer.client)
        self._producer = producer
        async with self._patiently("connecting"):
            await producer.start()
        if self._lease is not None:
            self._fence = Fence(self._lease, producer)

    async def stop(self) -> None:
        """Send what is enqueued and close all connections, those of open readers too."""
        for reader in self._readers:
            await reader.close()
        self._readers.clear()
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()
        await self._admin.close()

    async def append(self, record: NewRecord) -> Position:
        """See `base.Log.append`."""
        _refuse_too_large(record)
        producer, term = self._started(), self._term()
        async with self._patiently(f"appending to {record.topic}"):
            async with self._order:
                partition = await self._partition_of(record)
                self._begin(term)
                sent = await producer.send(
                    record.topic, record.value, record.key, partition, headers=list(record.headers)
                )
            done = await sent
        return Position(done.topic, done.partition, done.offset, done.timestamp)

    async def append_many(self, records: Sequence[NewRecord]) -> list[Position]:
        """See `base.Log.append_many`."""
        for record in records:
            _refuse_too_large(record)
        producer, term = self._started(), self._term()
        positions: list[Position | None] = [None] * len(records)
        async with self._patiently("appending"):
            async with self._order:
                batches = await self._batches(records)
                self._begin(term)
                sent = [
                    await producer.send_batch(each.builder, each.at.topic, partition=each.at.partition)
                    for each in batches
                ]
            for batch, done in zip(batches, await asyncio.gather(*sent), strict=True):
                stamped_ms = batch.sent_ms if done.timestamp == -1 else done.timestamp
                for i, place in enumerate(batch.places):
                    positions[place] = Position(*batch.at, done.offset + i, stamped_ms)
        return [position for position in positions if position is not None]

    async def _batches(self, records: Sequence[NewRecord]) -> list[_Batch]:
        """Pack the records: the first batch of each partition, then the second of each, and so on."""
        now_ms = wall_clock_ms()
        packed: defaultdict[TopicPartition, list[_Batch]] = defaultdict(list)
        for place, record in enumerate(records):
            at = TopicPartition(record.topic, await self._partition_of(record))
            batches = packed[at]
            if not batches or not batches[-1].take(place, record):
                batches.append(_Batch(at, self._started().create_batch(), now_ms))
                batches[-1].take(place, record)
        for batches in packed.values():
            batches[-1].builder.close()
        return [batch for group in zip_longest(*packed.values()) for batch in group if batch is not None]

    async def _partition_of(self, record: NewRecord) -> int:
        """Which partition a record goes to; suspends at the first use of a topic only."""
        known = self._partitions.get(record.topic) or await self.partitions(record.topic)
        if record.partition is None:
            return partition_of(record.key or b"", known)
        if not 0 <= record.partition < known:
            raise ConfigError(f"Topic {record.topic} has {known} partitions, there is no partition {record.partition}.")
        return record.partition

    def reader(self, offsets: Mapping[TopicPartition, int]) -> KafkaReader:
        """See `base.Log.reader`; -1 and -2 are resolved in the background, the first poll waits for it."""
        reader = KafkaReader(self._options, offsets, self._check_topics, self._patience_s)
        self._readers.append(reader)
        return reader

    async def _check_topics(self, topics: set[str]) -> None:
        for topic in topics:
            await self.partitions(topic)

    async def partitions(self, topic: str) -> int:
        """See `base.Log.partitions`; asked once, since Freshet never lets a topic grow."""
        if topic not in self._partitions:
            found = await self._admin.ask(
                f"looking for topic {topic}", lambda client: client.describe_topics([topic])[0]["partitions"]
            )
            if not found:
                raise ConfigError(f"There is no topic {topic}: create it with `freshet topics`.")
            self._partitions[topic] = len(found)
        return self._partitions[topic]

    async def beginning_offsets(self, topic: str) -> dict[int, int]:
        """See `base.Log.beginning_offsets`."""
        return await self._list_offsets(topic, OffsetSpec.EARLIEST)

    async def end_offsets(self, topic: str) -> dict[int, int]:
        """See `base.Log.end_offsets`."""
        return await self._list_offsets(topic, OffsetSpec.LATEST)

    async def _list_offsets(self, topic: str, spec: OffsetSpec) -> dict[int, int]:
        wanted = {KafkaPartition(topic, p): spec for p in range(await self.partitions(topic))}
        found = await self._admin.ask(
            f"asking for offsets of {topic}", lambda client: client.list_partition_offsets(wanted)
        )
        return {at.partition: answer.offset for at, answer in sorted(found.items())}

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        """See `base.Log.committed`."""
        found = await self._admin.ask(
            f"asking for the offsets of group {group}", lambda client: client.list_group_offsets({group: None})
        )
        return {at.partition: answer.offset for at, answer in sorted(found[group].items()) if at.topic == topic}

    async def commit(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """See `base.Log.commit`; StateError while the group has members, who alone may commit then."""
        wanted = {KafkaPartition(*at): OffsetAndMetadata(offset, "", -1) for at, offset in offsets.items()}
        doing = f"committing offsets of group {group}"
        answers = await self._admin.ask(doing, lambda client: client.alter_group_offsets(group, wanted))
        for at, error in answers.items():
            if error.errno:
                raise as_ours(error(), f"{doing} at {at.topic}/{at.partition}")

    async def describe(self, topics: Iterable[str]) -> dict[str, TopicSpec]:
        """See `base.Log.describe`; `config` holds the settings that differ from the broker's defaults."""
        names = list(topics)
        if not names:
            return {}
        found = await self._admin.ask("describing topics", lambda client: client.describe_topics(names))
        counts = {each["name"]: len(each["partitions"]) for each in found if each["partitions"]}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name, None) for name in counts]
        if not resources:
            return {}
        described = await self._admin.ask(
            "describing topics", lambda client: client.describe_configs(resources, config_filter="all")["topic"]
        )
        return {name: _spec(name, counts[name], described[name]) for name in counts}

    async def create(self, specs: Iterable[TopicSpec]) -> None:
        """See `base.Log.create`; three replicas, two of them in sync, where there are three brokers."""
        wanted = {spec.name: spec for spec in specs}
        missing = wanted.keys() - (await self.describe(wanted)).keys()
        if not missing:
            return
        cluster = await self._admin.ask("connecting", lambda client: client.describe_cluster())
        replicas = min(REPLICAS, len(cluster["brokers"]))
        topics = {name: _creation(wanted[name], replicas) for name in sorted(missing)}
        answer = await self._admin.ask(
            f"creating {', '.join(topics)}",
            lambda client: client.create_topics(topics, raise_errors=False),
        )
        for each in answer["topics"]:
            # Another process may have been faster.
            if each["error_code"] not in {0, 36}:
                raise ConfigError(f"Kafka did not create topic {each['name']}: {each['error_message']}")
        await self._admin.ask("creating topics", lambda client: client.wait_for_topics(list(topics)))

    def partition_for(self, key: bytes, partitions: int) -> int:
        """See `base.Log.partition_for`."""
        return partition_of(key, partitions)

    def _term(self) -> int:
        return 0 if self._fence is None else self._fence.term

    def _begin(self, term: int) -> None:
        if self._fence is not None:
            self._fence.begin(term)

    def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise StateError("This log is not started, or stopped already.")
        return self._producer

    @asynccontextmanager
    async def _patiently(self, doing: str) -> AsyncIterator[None]:
        """Give up after `patience_s`, and turn the client's errors into ours."""
        try:
            async with asyncio.timeout(self._patience_s):
                yield
        except FOREIGN as error:
            raise as_ours(error, doing) from error


def _refuse_too_large(record: NewRecord) -> None:
    size = len(record.key or b"") + len(record.value or b"") + sum(len(k) + len(v) for k, v in record.headers)
    if size > MAX_RECORD_BYTES:
        raise EventError(
            "too-large",
            f"A record for {record.topic} with key {record.key!r:.80} has {size} bytes, at most {MAX_RECORD_BYTES} go.",
        )


def _creation(spec: TopicSpec, replicas: int) -> dict[str, Any]:
    configs = {"cleanup.policy": spec.cleanup, "max.message.bytes": str(MAX_MESSAGE_BYTES)}
    if spec.cleanup != "compact":
        configs["retention.ms"] = str(spec.retention_ms)
    if replicas == REPLICAS:
        configs |= {"min.insync.replicas": "2", "unclean.leader.election.enable": "false"}
    return {
        "num_partitions": spec.partitions,
        "replication_factor": replicas,
        "configs": configs | dict(spec.config),
    }


def _spec(name: str, partitions: int, configs: Mapping[str, Mapping[str, Any]]) -> TopicSpec:
    changed = {key: each["value"] for key, each in configs.items() if each["config_source"] == "DYNAMIC_TOPIC_CONFIG"}
    cleanup, retention = configs["cleanup.policy"]["value"], configs["retention.ms"]["value"]
    ours = {"cleanup.policy", "retention.ms"}
    return TopicSpec(
        name,
        partitions,
        ",".join(sorted(cleanup.split(","))),
        int(retention) if "delete" in cleanup else -1,
        {key: value for key, value in changed.items() if key not in ours},
    )
