"""Which of several trainers works: whoever holds the one partition of the topic `trainer`."""

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import TopicPartition as AiokafkaPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

from streams.apps import app_id
from streams.log.base import Log
from streams.log.kafka_connection import connection_options
from streams.log.kafka_errors import FOREIGN, as_ours
from streams.settings import Settings
from streams.topics import TRAINER

SESSION_TIMEOUT_S = 10.0
"""The next trainer takes over this long after the first has died; a leader that is not heard steps down sooner."""
PROVE_EVERY = 0.2
"""Of the session: how often a leader has the broker confirm that it still leads."""
STEP_DOWN_AFTER = 0.7
"""Of the session without confirmation; below 1, so that the old leader stops before the new one starts."""


class Leadership:
    """Tells whether this process is the active trainer: `async with Leadership(settings, log) as leadership`.

    On Kafka the members of a group share the topic's one partition, so there is one leader at most; a new one is found
    `session_timeout_s` after the last has died. On the embedded log there is one process, and it leads.

    Attributes
    ----------
    is_leader
        Set while this process leads; look at it before each step that others must not do too.
    """

    def __init__(self, settings: Settings, log: Log, *, session_timeout_s: float = SESSION_TIMEOUT_S) -> None:
        self.is_leader = asyncio.Event()
        self._settings, self._log, self._session_s = settings, log, session_timeout_s
        self._seat = AiokafkaPartition(settings.topic_prefix + TRAINER, 0)
        self._exit = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        if self._settings.is_embedded:
            self.is_leader.set()
            return self
        await self._log.partitions(self._seat.topic)
        consumer = self._consumer()
        consumer.subscribe([self._seat.topic], listener=_Listener(self.is_leader))
        try:
            await consumer.start()
        except FOREIGN as error:
            await consumer.stop()
            raise as_ours(error, "joining the trainers") from error
        self._exit.push_async_callback(consumer.stop)
        following = asyncio.create_task(self._follow(consumer), name="leadership")
        self._exit.push_async_callback(_cancel, following)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.is_leader.clear()
        await self._exit.aclose()

    async def wait_until_leader(self) -> None:
        """Return as soon as this process leads."""
        await self.is_leader.wait()

    def _consumer(self) -> AIOKafkaConsumer:
        session_ms = int(self._session_s * 1000)
        return AIOKafkaConsumer(
            **connection_options(self._settings),
            group_id=app_id(self._settings, "trainer"),
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 10,
            rebalance_timeout_ms=session_ms,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # The leader stays leader when another trainer joins.
            partition_assignment_strategy=[StickyPartitionAssignor],
        )

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        """Stay a member, and lead only while the group's coordinator says so: it takes commits from members alone."""
        confirmed_at = 0.0
        while True:
            await consumer.getmany(timeout_ms=int(PROVE_EVERY * self._session_s * 1000))
            asked_at = time.monotonic()
            if self._seat in consumer.assignment() and await self._is_confirmed(consumer):
                confirmed_at = asked_at
                self.is_leader.set()
            elif time.monotonic() - confirmed_at > STEP_DOWN_AFTER * self._session_s:
                self.is_leader.clear()

    async def _is_confirmed(self, consumer: AIOKafkaConsumer) -> bool:
        try:
            async with asyncio.timeout(PROVE_EVERY * self._session_s):
                await consumer.commit({self._seat: 0})
        except (KafkaError, TimeoutError):
            return False
        return True


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Steps down as soon as the seat is taken away."""

    def __init__(self, is_leader: asyncio.Event) -> None:
        self._is_leader = is_leader

    async def on_partitions_revoked(self, _: Iterable[Any]) -> None:
        self._is_leader.clear()

    async def on_partitions_assigned(self, _: Iterable[Any]) -> None:
        """The first confirmed commit says that we lead."""


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
