"""One seat that several processes want: the one partition of a topic, which a consumer group gives to one of them."""

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import TopicPartition as AiokafkaPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

from streams.log.kafka_bootstrap import begin_anew_when_lost
from streams.log.kafka_connection import connection_options
from streams.log.kafka_errors import FOREIGN, as_ours
from streams.settings import Settings

PROVE_EVERY = 0.2
"""Of the session: how often the holder has the broker confirm that it still holds the seat."""
STEP_DOWN_AFTER = 0.7
"""Of the session without confirmation; below 1, so that the old holder stops before the new one starts."""


class KafkaSeat:
    """A membership in `group`; `is_held` is set while this process holds partition 0 of `topic`."""

    def __init__(self, settings: Settings, group: str, topic: str, session_s: float, is_held: asyncio.Event) -> None:
        self._is_held, self._session_s = is_held, session_s
        self._partition = AiokafkaPartition(topic, 0)
        session_ms = int(session_s * 1000)
        self._consumer = AIOKafkaConsumer(
            **connection_options(settings),
            group_id=group,
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 10,
            rebalance_timeout_ms=session_ms,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # The holder keeps the seat when another process joins.
            partition_assignment_strategy=[StickyPartitionAssignor],
        )
        begin_anew_when_lost(self._consumer._client)
        self._following: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """Become a member.

        Raises
        ------
        UnavailableError
            If the broker does not answer.
        """
        self._consumer.subscribe([self._partition.topic], listener=_Listener(self._is_held))
        try:
            await self._consumer.start()
        except FOREIGN as error:
            await self._consumer.stop()
            raise as_ours(error, f"joining at {self._partition.topic}") from error
        self._following = asyncio.create_task(self._follow(), name="kafka-seat")

    async def leave(self) -> None:
        """Give the seat up; the next member has it at once."""
        self._is_held.clear()
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following
        await self._consumer.stop()

    async def _follow(self) -> None:
        """Stay a member, and hold the seat only while the coordinator says so: it takes commits from members alone."""
        confirmed_at = 0.0
        while True:
            await self._consumer.getmany(timeout_ms=int(PROVE_EVERY * self._session_s * 1000))
            asked_at = time.monotonic()
            if self._partition in self._consumer.assignment() and await self._is_confirmed():
                confirmed_at = asked_at
                self._is_held.set()
            elif time.monotonic() - confirmed_at > STEP_DOWN_AFTER * self._session_s:
                self._is_held.clear()

    async def _is_confirmed(self) -> bool:
        try:
            async with asyncio.timeout(PROVE_EVERY * self._session_s):
                await self._consumer.commit({self._partition: 0})
        except (KafkaError, TimeoutError):
            return False
        return True


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Steps down as soon as the seat is taken away."""

    def __init__(self, is_held: asyncio.Event) -> None:
        self._is_held = is_held

    async def on_partitions_revoked(self, _: Iterable[Any]) -> None:
        self._is_held.clear()

    async def on_partitions_assigned(self, _: Iterable[Any]) -> None:
        """Nothing yet: the first confirmed commit says that the seat is ours."""
