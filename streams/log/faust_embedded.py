"""Faust on the embedded log: the same agents and tables, in one process and without a broker.

Chosen by the URL `embedded:///FOLDER/log.db` through the entry point group `faust.transports`. Every app of the
process shares the one log; each app is the only member of its consumer group, so it always owns every partition.

This file knows the inside of Faust 0.15.3; `tests/contracts/test_faust_embedded.py` fails when an upgrade changes it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from faust.assignor.client_assignment import ClientAssignment
from faust.transport import base
from faust.transport.consumer import Consumer as FaustConsumer
from faust.types import TP, ConsumerMessage, RecordMetadata
from faust.types.enums import ProcessingGuarantee
from mode.utils.times import want_seconds

from recsys.errors import ConfigError, RecsysError
from streams.log.base import NewRecord, Position, Record, TopicPartition, TopicSpec
from streams.log.embedded import EmbeddedLog
from streams.log.faust_delivery import DirectDeliveryMixin
from streams.log.faust_safe import SafeConsumerMixin, SafeProducerMixin

FETCH_RECORDS = 500
"""Records of one partition that are read at once; more only lengthens the wait of the other partitions."""
LOG_APPEND_TIME = 1
"""Kafka's name for time stamps that the log itself gives."""


def embedded_url(path: Path, *, sync: str = "FULL") -> str:
    """Return the broker URL for the log in this file (`log.db`)."""
    return f"embedded://{quote(str(path.resolve()))}?sync={sync}"


class _Consumer(FaustConsumer):  # type: ignore[misc]
    """Reads in the app's own loop; a rebalance is only what Faust expects when topics are added."""

    consumer_stopped_errors: ClassVar[tuple[type[BaseException], ...]] = ()

    def __init__(self, transport: "Transport", *args: Any, **options: Any) -> None:
        super().__init__(transport, *args, **options)
        self._log = transport.log
        self._assigned: set[TP] = set()
        self._positions: dict[TP, int] = {}
        self._news = asyncio.Event()

    async def on_start(self) -> None:
        self._log.open()
        self._log.listen(self._news)
        await super().on_start()

    async def on_stop(self) -> None:
        """Commit what is acked; after a failure of the log nothing can be, and the lock must still be released."""
        try:
            await super().on_stop()
        except RecsysError:
            if self._log.failure is None:
                raise
        finally:
            self._log.unlisten(self._news)
            await self._log.stop()

    # --- the group of one

    async def subscribe(self, topics: Iterable[str]) -> None:
        wanted = set(topics)
        await self._log.create(_declared(self.app, name) for name in wanted)
        assigned = {TP(name, p) for name in wanted for p in range(self._log.partition_count(name))}
        if assigned != self._assigned or not assigned:
            # Not awaited: it waits for the conductor, and the conductor waits for this call.
            self.add_future(self._rebalance(assigned))

    async def _rebalance(self, assigned: set[TP]) -> None:
        self.app.on_rebalance_start()
        if self._assigned:
            await self.on_partitions_revoked(set(self._assigned))
        self._buffered_partitions.clear()
        # Recovery and streams drop whatever carries another generation than that of the assignment.
        self.app.consumer_generation_id += 1
        self._tell_assignor(assigned)
        self._assigned = set(assigned)
        self._positions = {tp: self._first_uncommitted(tp) for tp in assigned}
        await self.on_partitions_assigned(set(assigned), self.app.consumer_generation_id)

    def _tell_assignor(self, assigned: set[TP]) -> None:
        """Set what the group protocol would have brought; recovery asks the assignor for its partitions."""
        partitions: dict[str, list[int]] = defaultdict(list)
        for tp in sorted(assigned):
            partitions[tp.topic].append(tp.partition)
        everything = {str(self.app.conf.canonical_url): dict(partitions)}
        assignor = self.app.assignor
        assignor._assignment = ClientAssignment(actives=dict(partitions), standbys={})
        assignor._active_tps, assignor._standby_tps = set(assigned), set()
        assignor._topic_groups = dict.fromkeys(partitions, 0)
        assignor.changelog_distribution = assignor.external_topic_distribution = everything

    def assignment(self) -> set[TP]:
        return set(self._assigned)

    # --- where to read

    def _first_uncommitted(self, tp: TP) -> int:
        committed = self._log.committed_now(self.app.conf.id, tp.topic, tp.partition)
        return self._log.earliest(*tp) if committed is None else committed

    async def seek_to_committed(self) -> Mapping[TP, int | None]:
        await self.seek_wait({tp: self._first_uncommitted(tp) for tp in self._assigned})
        return {tp: self._log.committed_now(self.app.conf.id, *tp) for tp in self._assigned}

    async def seek_to_beginning(self, *partitions: TP) -> None:
        await self.seek_wait({tp: self._log.earliest(*tp) for tp in partitions})

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        self._positions.update(partitions)
        self._news.set()

    async def _seek(self, partition: TP, offset: int) -> None:
        await self.seek_wait({TP(*partition): offset})

    async def position(self, tp: TP) -> int | None:
        return self._positions.get(tp)

    def highwater(self, tp: TP) -> int:
        return self._log.highwater(*tp)

    async def highwaters(self, *partitions: TP) -> dict[TP, int]:
        return {tp: self._log.highwater(*tp) for tp in partitions}

    async def earliest_offsets(self, *partitions: TP) -> dict[TP, int]:
        return {tp: self._log.earliest(*tp) for tp in partitions}

    def topic_partitions(self, topic: str) -> int | None:
        return self._log.partition_count(topic) if self._log.has_topic(topic) else None

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        if partition is not None or key is None:
            return partition
        return self._log.partition_for(key, self._log.partition_count(topic))

    # --- reading

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        super().resume_partitions(tps)
        self._news.set()

    def on_buffer_drop(self, tp: TP) -> None:
        super().on_buffer_drop(tp)
        self._news.set()

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> dict[TP, list[Record]]:
        self._news.clear()
        records = self._fetch(active_partitions)
        if records:
            return records
        try:
            async with asyncio.timeout(timeout):
                await self._news.wait()
        except TimeoutError:
            return {}
        # While it waited, a rebalance may have begun: what is read then would be dropped with its position moved on.
        return self._fetch(active_partitions) if self.flow_active else {}

    def _fetch(self, active_partitions: set[TP] | None) -> dict[TP, list[Record]]:
        self._log.refresh()
        fetched: dict[TP, list[Record]] = {}
        for tp in self._assigned if active_partitions is None else active_partitions:
            position = self._positions.get(tp)
            records = [] if position is None else self._log.read_now(tp.topic, tp.partition, position, FETCH_RECORDS)
            if records:
                self._positions[tp] = records[-1].offset + 1
                fetched[tp] = records
        return fetched

    def _to_message(self, tp: TP, record: Record) -> ConsumerMessage:
        key, value = record.key, record.value
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            record.offset,
            record.timestamp_ms / 1000.0,
            LOG_APPEND_TIME,
            list(record.headers),
            key,
            value,
            None,
            len(key or b""),
            len(value or b""),
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    # --- the rest

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        await self._log.commit(self.app.conf.id, {TopicPartition(*tp): offset for tp, offset in offsets.items()})
        return True

    async def create_topic(self, topic: str, partitions: int, replication: int, **options: Any) -> None:
        await self._log.create([_spec(topic, partitions, options)])

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    def close(self) -> None:
        """Nothing to close: the log is let go when the service stops."""


class _Producer(base.Producer):  # type: ignore[misc]
    """Appends to the log; the future of a record resolves once it is durable."""

    def __init__(self, transport: "Transport", **options: Any) -> None:
        _refuse_what_cannot_be(transport.app.conf)
        super().__init__(transport, **options)
        self._log = transport.log

    async def on_start(self) -> None:
        self._log.open()
        await super().on_start()

    async def on_stop(self) -> None:
        """Write what is left; whatever happens, the lock is released."""
        try:
            await self.flush()
            await super().on_stop()
        finally:
            await self._log.stop()

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> "asyncio.Future[RecordMetadata]":
        if not self._log.has_topic(topic):
            await self._log.create([_declared(self.app, topic)])
        pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
        return self._log.submit([NewRecord(topic, key, value, partition, tuple(pairs))], _metadata)

    async def send_and_wait(self, *args: Any, **options: Any) -> RecordMetadata:
        return await (await self.send(*args, **options))

    async def flush(self) -> None:
        await self._log.flush()

    async def create_topic(self, topic: str, partitions: int, replication: int, **options: Any) -> None:
        await self._log.create([_spec(topic, partitions, options)])

    def key_partition(self, topic: str, key: bytes) -> TP:
        return TP(topic, self._log.partition_for(key, self._log.partition_count(topic)))

    def supports_headers(self) -> bool:
        return True


class Consumer(SafeConsumerMixin, DirectDeliveryMixin, _Consumer):
    """Never commits past an event that is not acked, and delivers without a task for each."""


class Producer(SafeProducerMixin, _Producer):
    """Flushes until nothing is left."""

    async def flush(self) -> None:
        """Flush; an app that stops because the log failed gets to its end, as nothing can be committed any more."""
        try:
            await super().flush()
        except RecsysError:
            if not self.app.should_stop or self._log.failure is None:
                raise


class Conductor(base.Conductor):  # type: ignore[misc]
    """Routes records to channels, also to those that came after the subscription."""

    _resubscribe_sleep_lock_seconds = 0.05
    """Faust waits 45 s, to spare a Kafka group its rebalances; here one costs nothing."""

    def add(self, topic: Any) -> None:
        """Register a channel; one for a topic that is subscribed already would hear nothing before a rebalance."""
        is_new = topic not in self._topics
        super().add(topic)
        consumer = self.app._consumer
        if is_new and consumer is not None and not self._topic_contain_unsubscribed_topics(topic):
            if topic.acks:
                self._acking_topics.update(topic.topics)
            self._update_tp_index(consumer.assignment())
            self._update_callback_map()


class Transport(base.Transport):  # type: ignore[misc]
    """What `faust.App(broker="embedded:///…/log.db")` runs on; `?sync=NORMAL` trades power cuts for speed."""

    Conductor = Conductor
    Consumer = Consumer
    Producer = Producer
    default_port = 0
    driver_version = "embedded=1"

    @property
    def log(self) -> EmbeddedLog:
        """This process's log in the file that the URL names."""
        url = self.url[0]
        return EmbeddedLog.shared(Path(url.path), sync=url.query.get("sync", "FULL"))


def _refuse_what_cannot_be(conf: Any) -> None:
    if conf.producer_threaded:
        raise ConfigError("The embedded log belongs to one event loop: producer_threaded cannot be set.")
    if conf.processing_guarantee == ProcessingGuarantee.EXACTLY_ONCE:
        raise ConfigError("The embedded log has no transactions: processing_guarantee must be at_least_once.")


def _declared(app: Any, name: str) -> TopicSpec:
    """What an app says about a topic that does not exist yet; Faust itself tells only of its internal ones."""
    for topic in app.topics:
        if name in topic.topics and topic.partitions:
            return TopicSpec(name, topic.partitions)
    return TopicSpec(name, app.conf.topic_partitions)


def _spec(name: str, partitions: int, options: Mapping[str, Any]) -> TopicSpec:
    policies = [policy for policy, key in (("compact", "compacting"), ("delete", "deleting")) if options.get(key)]
    retention = options.get("retention")
    retention_ms = -1 if retention is None else int(want_seconds(retention) * 1000)
    return TopicSpec(name, partitions, ",".join(policies) or "delete", retention_ms)


def _metadata(positions: Sequence[Position]) -> RecordMetadata:
    topic, partition, offset, timestamp_ms = positions[0]
    return RecordMetadata(topic, partition, TP(topic, partition), offset, timestamp_ms / 1000.0, LOG_APPEND_TIME)
