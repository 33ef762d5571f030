"""The log over a real Kafka does what every log does; and what only Kafka can."""

import asyncio
import gc
import inspect
import secrets
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

import aiokafka.errors
import kafka.errors
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.structs import BrokerMetadata

from recsys.errors import ConfigError, EventError, RecsysError, StateError, UnavailableError
from streams import topics
from streams.apps import make_app
from streams.clock import wall_clock_ms
from streams.log import kafka_errors
from streams.log.base import Log, NewRecord, TopicPartition, TopicSpec
from streams.log.kafka import MAX_RECORD_BYTES, KafkaLog
from streams.log.kafka_bootstrap import begin_anew_when_lost
from streams.log.kafka_errors import as_ours
from streams.log.kafka_seat import KafkaSeat
from streams.settings import Settings
from tests.contracts.log_contract import DEADLINE_S, LogContract, read_all
from tests.services.kafka import PASSWORD, USERNAME, Broker
from tests.services.process import free_ports


@pytest.fixture
def settings(kafka: str) -> Settings:
    return Settings(broker=f"kafka://{kafka}")


@pytest.fixture
async def log(settings: Settings) -> AsyncIterator[Log]:
    log = KafkaLog(settings)
    await log.start()
    yield log
    await log.stop()


@pytest.mark.kafka
class TestKafkaLog(LogContract):
    compaction: ClassVar[dict[str, str]] = {
        "segment.ms": "50",
        "min.cleanable.dirty.ratio": "0.0",
        "delete.retention.ms": "0",
    }

    @pytest.fixture
    async def reopen(self, log: Log, settings: Settings) -> AsyncIterator[Callable[[], Awaitable[Log]]]:
        opened: list[Log] = []

        async def again() -> Log:
            await log.stop()
            opened.append(KafkaLog(settings))
            await opened[-1].start()
            return opened[-1]

        yield again
        for each in opened:
            await each.stop()

    async def compact(self, log: Log, topic: str) -> None:
        """Let Kafka's cleaner run: it takes segments that a later record has closed."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            # A segment closes when a record comes later than `segment.ms` after its first.
            await asyncio.sleep(0.1)
            await log.append(NewRecord(topic, b"filler-%s" % secrets.token_bytes(4), b"0", 0))
            keys = Counter(record.key for record in await read_all(log, topic))
            if max(keys.values()) == 1:
                return
            assert time.monotonic() < deadline, "Kafka did not compact"


@pytest.mark.kafka
class TestOnlyKafka:
    async def test_a_reader_that_is_closed_while_it_connects_leaves_no_connection_open(
        self, log: Log, topic: str
    ) -> None:
        """The client's own cancelled start does."""
        await log.create([TopicSpec(topic, 1)])
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            for half_ms in range(40):
                reader = log.reader({TopicPartition(topic, 0): 0})
                await asyncio.sleep(half_ms / 2000)
                await reader.close()
            del reader
            gc.collect()
        assert [warning for warning in found if warning.category is ResourceWarning] == []

    @pytest.mark.parametrize(
        "begins_anew",
        [pytest.param(False, marks=pytest.mark.xfail(raises=AssertionError, strict=True), id="stock"), True],
    )
    async def test_a_client_whose_known_nodes_are_all_gone_asks_at_its_first_addresses(
        self, kafka: str, begins_anew: bool
    ) -> None:
        """Two of three nodes were down when it last asked, and the third is now."""
        producer = AIOKafkaProducer(bootstrap_servers=kafka)
        if begins_anew:
            begin_anew_when_lost(producer.client)
        await producer.start()
        (closed,) = free_ports(1)
        producer.client.cluster._brokers = {9: BrokerMetadata(9, "127.0.0.1", closed, None)}
        await producer.client.force_metadata_update()
        known = {broker.port for broker in producer.client.cluster.brokers()}
        await producer.stop()
        assert known == {int(kafka.rpartition(":")[2])}

    async def test_every_client_of_ours_begins_anew(
        self, log: KafkaLog, topic: str, settings: Settings, tmp_path: Path
    ) -> None:
        await log.create([TopicSpec(topic, 1)])
        reader = log.reader({TopicPartition(topic, 0): 0})
        await reader.poll(0.0)
        seat = KafkaSeat(settings, "g", topic, 6.0, asyncio.Event())
        app = make_app(settings.model_copy(update={"data_dir": tmp_path}), "test")
        worker = app.consumer._thread._create_worker_consumer(app.transport)
        clients = [log._producer.client, reader._consumer._client, seat._consumer._client, worker._client]  # type: ignore[union-attr]
        names = {client._metadata_update.__name__ for client in clients}
        app.consumer._thread.thread_loop.close()
        for consumer in (seat._consumer, worker):
            await consumer.stop()
        await reader.close()
        assert names == {"update_or_bootstrap"}

    async def test_a_worker_whose_clock_is_fast_writes_all_the_same(
        self, settings: Settings, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Kafka takes no record that a client has stamped more than an hour ahead."""
        monkeypatch.setattr("streams.log.kafka.wall_clock_ms", lambda: wall_clock_ms() + 2 * 3_600_000)
        settings = settings.model_copy(update={"topic_prefix": topic_prefix, "partitions": 1})
        log = KafkaLog(settings)
        await log.start()
        await log.create(topics.all_topics(settings))
        before_ms = wall_clock_ms()
        for spec in topics.all_topics(settings):
            (position,) = await log.append_many([NewRecord(spec.name, b"k", b"v", 0)])
            assert before_ms - 60_000 < position.timestamp_ms < before_ms + 60_000
        await log.stop()

    @pytest.fixture
    def topic(self, topic_prefix: str) -> str:
        return f"{topic_prefix}topic"

    async def test_a_record_of_just_the_limit_is_taken(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 1)])
        await log.append_many([NewRecord(topic, b"k", b"x" * (MAX_RECORD_BYTES - 1), 0)])

        assert await log.end_offsets(topic) == {0: 1}

    async def test_batches_larger_than_one_request_keep_their_order(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 2)])
        records = [NewRecord(topic, b"k", b"%06d" % i + b"x" * 30_000, i % 2) for i in range(120)]
        positions = await log.append_many(records)

        assert [position.offset for position in positions] == [i // 2 for i in range(120)]
        read = [(record.value or b"")[:6] for record in await read_all(log, topic) if record.partition == 0]
        assert read == [b"%06d" % i for i in range(0, 120, 2)]

    async def test_once_a_topic_is_known_all_is_enqueued_before_the_first_suspension(
        self, log: KafkaLog, topic: str
    ) -> None:
        await log.create([TopicSpec(topic, 2)])
        await log.append_many([NewRecord(topic, b"k", b"v", partition) for partition in (0, 1)])
        appending = log.append_many([NewRecord(topic, b"k", b"v", partition) for partition in (0, 1)])
        appending.send(None)

        assert log._producer is not None
        waiting = log._producer._message_accumulator._batches
        assert sorted(at.partition for at in waiting if at.topic == topic) == [0, 1]
        appending.close()

    async def test_a_partition_that_is_not_there_is_a_mistake_in_the_configuration(self, log: Log, topic: str) -> None:
        await log.create([TopicSpec(topic, 2)])
        with pytest.raises(ConfigError, match="no partition 2"):
            await log.append(NewRecord(topic, b"k", b"v", 2))

    async def test_offsets_of_a_group_with_members_are_not_ours_to_commit(
        self, log: Log, kafka: str, topic: str
    ) -> None:
        await log.create([TopicSpec(topic, 1)])
        member = aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=kafka, group_id=topic)
        await member.start()
        try:
            with pytest.raises(StateError, match=topic):
                await log.commit(topic, {TopicPartition(topic, 0): 0})
        finally:
            await member.stop()


class TestSecurity:
    def secure(self, broker: Broker, **changes: Any) -> Settings:
        options = {"kafka_username": USERNAME, "kafka_password": PASSWORD, "kafka_ca": broker.ca} | changes
        return Settings(broker=f"kafka://{broker.secure_address}", kafka_security="sasl_ssl", **options)

    async def test_append_and_read_over_tls_with_scram(self, kafka_broker: Broker, topic_prefix: str) -> None:
        log = KafkaLog(self.secure(kafka_broker))
        await log.start()
        await log.create([TopicSpec(f"{topic_prefix}s", 1)])
        await log.append(NewRecord(f"{topic_prefix}s", b"k", b"v"))

        assert [record.value for record in await read_all(log, f"{topic_prefix}s")] == [b"v"]
        await log.stop()

    async def test_a_wrong_password_is_a_mistake_in_the_configuration(self, kafka_broker: Broker) -> None:
        log = KafkaLog(self.secure(kafka_broker, kafka_password="wrong"), patience_s=5)
        with pytest.raises(ConfigError, match=r"(?i)authentication"):
            await log.start()
        await log.stop()

    async def test_an_untrusted_certificate_is_refused(self, kafka_broker: Broker) -> None:
        log = KafkaLog(self.secure(kafka_broker, kafka_ca=None), patience_s=3)
        with pytest.raises(ConfigError, match=r"(?i)certificate"):
            await log.start()
        await log.stop()

    def test_a_missing_port_is_named(self) -> None:
        with pytest.raises(ConfigError, match="kafka://host:9092"):
            KafkaLog(Settings(broker="kafka://broker"))

    def test_a_missing_password_is_named(self) -> None:
        with pytest.raises(ConfigError, match="FRESHET_KAFKA_PASSWORD"):
            KafkaLog(Settings(broker="kafka://localhost:1", kafka_security="sasl_ssl", kafka_username="ann"))

    def test_an_unreadable_certificate_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="FRESHET_KAFKA_CA"):
            KafkaLog(Settings(broker="kafka://localhost:1", kafka_security="ssl", kafka_ca=tmp_path / "none.pem"))


class TestErrors:
    async def test_a_broker_that_is_not_there_is_unavailable(self) -> None:
        log = KafkaLog(Settings(broker="kafka://127.0.0.1:9"), patience_s=0.5)
        with pytest.raises(UnavailableError, match="connecting"):
            await log.start()
        await log.stop()

    def test_every_error_of_both_clients_becomes_one_of_ours(self) -> None:
        for error in _errors_of(aiokafka.errors) + _errors_of(kafka.errors):
            ours = as_ours(_an(error), "appending to clicks")
            assert isinstance(ours, RecsysError), error
            assert "appending to clicks" in str(ours)

    def test_what_the_clients_call_retriable_is_unavailable(self) -> None:
        for error in _errors_of(aiokafka.errors) + _errors_of(kafka.errors):
            if getattr(error, "retriable", False):
                assert isinstance(as_ours(_an(error), ""), UnavailableError), error

    def test_no_table_names_an_error_that_neither_client_has(self) -> None:
        known = {each.__name__.removesuffix("Error") for each in _errors_of(aiokafka.errors) + _errors_of(kafka.errors)}
        tables = (
            kafka_errors.TOO_LARGE,
            kafka_errors.MALFORMED,
            kafka_errors.WRONG_SETTING,
            kafka_errors.OUTSIDE_IS_DOWN,
        )
        assert set().union(*tables) - known == set()

    @pytest.mark.parametrize(
        ("error", "ours"),
        [
            (aiokafka.errors.MessageSizeTooLargeError(), EventError),
            (aiokafka.errors.TopicAuthorizationFailedError(), ConfigError),
            (aiokafka.errors.OutOfOrderSequenceNumber(), StateError),
            (aiokafka.errors.NotLeaderForPartitionError(), UnavailableError),
            (aiokafka.errors.KafkaTimeoutError(), UnavailableError),
            (kafka.errors.SaslAuthenticationFailedError(), ConfigError),
            (kafka.errors.UnknownMemberIdError(), StateError),
            (ConnectionResetError(), UnavailableError),
            (TimeoutError(), UnavailableError),
        ],
    )
    def test_each_kind_of_error_asks_for_its_own_answer(self, error: Exception, ours: type[RecsysError]) -> None:
        assert type(as_ours(error, "")) is ours


def _errors_of(module: Any) -> list[type[Exception]]:
    classes = (each for _, each in inspect.getmembers(module, inspect.isclass))
    ours = [each for each in classes if issubclass(each, Exception) and each.__module__ == module.__name__]
    return [each for each in ours if each is not aiokafka.errors.BrokerResponseError]  # abstract: has no number


def _an(error: type[Exception]) -> Exception:
    try:
        return error()
    except TypeError:
        return error("x")
