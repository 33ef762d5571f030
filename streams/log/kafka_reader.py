"""Reading partitions of a Kafka from given offsets."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as AiokafkaPartition

from recsys.errors import UnavailableError
from streams.log.base import Record, TopicPartition
from streams.log.kafka_bootstrap import begin_anew_when_lost
from streams.log.kafka_errors import FOREIGN, as_ours

BEGINNING, END = -1, -2
FETCH_BYTES = 16 * 1024 * 1024
"""Of one answer of a broker; a replay is bound by it, and so is memory."""
CLOSE_S = 1.0
PARTITION_BYTES = 2 * 1024 * 1024


class KafkaReader:
    """`base.Reader` over an aiokafka consumer without a group, connected in the background."""

    def __init__(
        self,
        options: Mapping[str, Any],
        offsets: Mapping[TopicPartition, int],
        check_topics: Callable[[set[str]], Awaitable[None]],
        patience_s: float,
    ) -> None:
        self._options, self._check_topics, self._patience_s = options, check_topics, patience_s
        self._positions = dict(offsets)
        self._consumer: AIOKafkaConsumer | None = None
        self._opening = asyncio.ensure_future(self._open())
        self._heard_at = time.monotonic()

    async def _open(self) -> AIOKafkaConsumer:
        await self._check_topics({at.topic for at in self._positions})
        consumer = self._consumer = AIOKafkaConsumer(
            **self._options,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=PARTITION_BYTES,
        )
        begin_anew_when_lost(consumer._client)
        await consumer.start()
        partitions = {at: AiokafkaPartition(*at) for at in self._positions}
        begins = await _offsets(consumer.beginning_offsets, self._positions, BEGINNING)
        ends = await _offsets(consumer.end_offsets, self._positions, END)
        self._positions |= begins | ends
        # Seek before the consumer's own tasks run: they would reset the position to where the policy says.
        consumer.assign(list(partitions.values()))
        for at, partition in partitions.items():
            consumer.seek(partition, self._positions[at])
        return consumer

    async def poll(self, timeout_s: float, max_records: int = 1000) -> list[Record]:
        """See `base.Reader.poll`."""
        try:
            async with asyncio.timeout(self._patience_s):
                consumer = await asyncio.shield(self._opening)
            answer = await consumer.getmany(timeout_ms=max(0, int(timeout_s * 1000)), max_records=max_records)
            for at in self._positions:
                self._positions[at] = await consumer.position(AiokafkaPartition(*at))
            if answer:
                self._heard_at = time.monotonic()
            elif time.monotonic() - self._heard_at > self._patience_s:
                await self._check_broker(consumer)
        except FOREIGN as error:
            raise as_ours(error, f"reading {self._names()}") from error
        return [
            Record(
                each.topic,
                each.partition,
                each.offset,
                each.timestamp,
                each.key,
                each.value,
                tuple(each.headers),
            )
            for records in answer.values()
            for each in records
        ]

    async def _check_broker(self, consumer: AIOKafkaConsumer) -> None:
        """Tell silence because nothing is written from silence because nobody is there."""
        async with asyncio.timeout(self._patience_s):
            await consumer.end_offsets([AiokafkaPartition(*at) for at in self._positions])
        self._heard_at = time.monotonic()

    def _names(self) -> str:
        return ", ".join(sorted({at.topic for at in self._positions}))

    def position(self, partition: TopicPartition) -> int:
        """See `base.Reader.position`; -1 or -2 as given until the first poll has found out."""
        return self._positions[partition]

    async def close(self) -> None:
        """Close the connections; a broker that does not answer is waited for no longer than `CLOSE_S`."""
        try:
            # Cancelled while it connects, the client would leave its first connection open.
            await asyncio.wait({self._opening}, timeout=CLOSE_S)
        finally:
            self._opening.cancel()
        with contextlib.suppress(asyncio.CancelledError, UnavailableError, *FOREIGN):
            await self._opening
        if self._consumer is not None:
            await self._consumer.stop()


async def _offsets(
    ask: Callable[[list[AiokafkaPartition]], Awaitable[dict[AiokafkaPartition, int]]],
    positions: Mapping[TopicPartition, int],
    wanted: int,
) -> dict[TopicPartition, int]:
    partitions = [AiokafkaPartition(*at) for at, offset in positions.items() if offset == wanted]
    if not partitions:
        return {}
    return {TopicPartition(at.topic, at.partition): offset for at, offset in (await ask(partitions)).items()}
