"""Faust on Kafka: Faust's own aiokafka transport, made safe (`faust_safe`) and fast (`faust_delivery`)."""

from typing import Any, ClassVar

from faust.transport.drivers import aiokafka as driver

from streams import failpoints
from streams.log.faust_delivery import DirectDeliveryMixin
from streams.log.faust_safe import SafeConsumerMixin, SafeProducerMixin
from streams.log.kafka_bootstrap import begin_anew_when_lost
from streams.log.lease import Lease

FETCH_MAX_WAIT_MS = 50
"""How long the broker may hold a fetch back. The client has one at a time in flight: while it waits for partitions that
are read to their end, the others stand still, 1.5 s with the driver's own setting. Halved, an idle worker asks twice as
often (a fetch costs 0.3 ms)."""


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Fetches without letting one partition wait for another; has the app's lease follow its membership."""

    async def on_start(self) -> None:
        await super().on_start()
        lease: Lease | None = getattr(self.consumer.app, "freshet_lease", None)
        if lease is not None and self._consumer is not None:
            lease.watch(self._consumer._coordinator)

    async def _commit(self, offsets: Any) -> bool:
        is_committed: bool = await super()._commit(offsets)
        failpoints.reached(failpoints.AFTER_COMMIT)
        return is_committed

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        begin_anew_when_lost(consumer._client)
        return consumer


class Consumer(SafeConsumerMixin, DirectDeliveryMixin, driver.Consumer):  # type: ignore[misc]
    """Commits only what is done, delivers without a task for each message."""

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class Producer(SafeProducerMixin, driver.Producer):  # type: ignore[misc]
    """Idempotent, and acknowledged by all in-sync replicas."""

    def _settings_extra(self) -> dict[str, Any]:
        return {**super()._settings_extra(), "acks": "all", "enable_idempotence": True}


class Transport(driver.Transport):  # type: ignore[misc]
    """What `make_app` gives an app whose broker is Kafka."""

    Consumer: ClassVar[type[Consumer]] = Consumer
    Producer: ClassVar[type[Producer]] = Producer
