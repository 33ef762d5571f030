"""Faust on Kafka: Faust's own aiokafka transport, made safe (`faust_safe`) and fast (`faust_delivery`)."""

from typing import Any, ClassVar

from faust.transport.drivers import aiokafka as driver

from streams.log.faust_delivery import DirectDeliveryMixin
from streams.log.faust_safe import SafeConsumerMixin, SafeProducerMixin


class Consumer(SafeConsumerMixin, DirectDeliveryMixin, driver.Consumer):  # type: ignore[misc]
    """Commits only what is done, delivers without a task for each message."""


class Producer(SafeProducerMixin, driver.Producer):  # type: ignore[misc]
    """Idempotent, and acknowledged by all in-sync replicas."""

    def _settings_extra(self) -> dict[str, Any]:
        return {**super()._settings_extra(), "acks": "all", "enable_idempotence": True}


class Transport(driver.Transport):  # type: ignore[misc]
    """What `make_app` gives an app whose broker is Kafka."""

    Consumer: ClassVar[type[Consumer]] = Consumer
    Producer: ClassVar[type[Producer]] = Producer
