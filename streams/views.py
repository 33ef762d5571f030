"""Compacted topics followed to their end and kept live: the catalogue, the factors and the trends of every process."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping

from recsys.errors import StateError, UnavailableError
from streams.log.base import Log, Record, TopicPartition

POLL_S = 1.0
RETRY_S = 1.0
WITHOUT_A_PAUSE = 32
"""Records applied while clicks and requests wait: a product's words and filters take 0.2 ms."""
logger = logging.getLogger(__name__)


class Follower:
    """Feeds every record of a topic to one function, in order within each partition, from given offsets on.

    Parameters
    ----------
    apply : called on the event loop with each record; a StateError from it is logged and the record left out, as one
        damaged record of ours must not keep a process from starting
    offsets : next offset to read by partition, from a snapshot; the beginning where absent
    """

    def __init__(
        self, log: Log, topic: str, apply: Callable[[Record], None], offsets: Mapping[int, int] | None = None
    ) -> None:
        self.topic = topic
        self.offsets: dict[int, int] = dict(offsets or {})
        self.ends: dict[int, int] = {}
        self.is_connected = False
        self._log = log
        self._apply = apply
        self._caught_up = asyncio.Event()

    @property
    def is_caught_up(self) -> bool:
        """Whether everything has been applied that stood in the topic when this process began."""
        return self._caught_up.is_set()

    async def wait_caught_up(self) -> None:
        await self._caught_up.wait()

    async def run(self) -> None:
        """Follow until cancelled; an unreachable broker is waited for."""
        while True:
            try:
                await self._follow()
            except UnavailableError as error:
                self.is_connected = False
                logger.warning("Following %s: %s Trying again.", self.topic, error)
                await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        if not self.ends:
            self.ends = await self._log.end_offsets(self.topic)
        for partition, offset in (await self._log.beginning_offsets(self.topic)).items():
            self.offsets[partition] = max(self.offsets.get(partition, 0), offset)
        reader = self._log.reader({TopicPartition(self.topic, p): offset for p, offset in self.offsets.items()})
        try:
            self._check_caught_up()
            while True:
                records = await reader.poll(POLL_S)
                self.is_connected = True
                for count, record in enumerate(records, start=1):
                    self._apply_one(record)
                    self.offsets[record.partition] = record.offset + 1
                    if count % WITHOUT_A_PAUSE == 0:
                        await asyncio.sleep(0)
                if not self.is_caught_up:
                    # Compaction and transactions leave gaps: the reader's own position passes them.
                    for partition in self.offsets:
                        position = reader.position(TopicPartition(self.topic, partition))
                        self.offsets[partition] = max(self.offsets[partition], position)
                    self._check_caught_up()
                await asyncio.sleep(0)
        finally:
            with contextlib.suppress(UnavailableError):
                await reader.close()

    def _apply_one(self, record: Record) -> None:
        try:
            self._apply(record)
        except StateError as error:
            logger.error("%s [%d] at %d: %s Left out.", record.topic, record.partition, record.offset, error)

    def _check_caught_up(self) -> None:
        if all(self.offsets.get(partition, 0) >= end for partition, end in self.ends.items()):
            self._caught_up.set()
