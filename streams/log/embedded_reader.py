"""Readers of the embedded log: the same for the process that holds it and for those that only look."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import Protocol

from streams.log.base import Record, TopicPartition


class Source(Protocol):
    """What a reader reads from."""

    def refresh(self) -> None:
        """Learn of what was appended by others; raises StateError when the log has failed."""
        ...

    def earliest(self, topic: str, partition: int) -> int: ...

    def highwater(self, topic: str, partition: int) -> int: ...

    def read_now(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]: ...

    def listen(self, news: asyncio.Event) -> None: ...

    def unlisten(self, news: asyncio.Event) -> None: ...

    @property
    def look_again_s(self) -> float:
        """How long to wait for news before looking whether there are some."""
        ...


class EmbeddedReader:
    """Takes turns among its partitions, so that a busy one does not starve the others."""

    def __init__(self, source: Source, offsets: Mapping[TopicPartition, int]) -> None:
        self._source = source
        self._news = asyncio.Event()
        source.refresh()
        named = {-1: source.earliest, -2: source.highwater}
        self._positions = {at: named[offset](*at) if offset in named else offset for at, offset in offsets.items()}
        self._turns = deque(self._positions)
        source.listen(self._news)

    async def poll(self, timeout_s: float, max_records: int = 1000) -> list[Record]:
        deadline = time.monotonic() + timeout_s
        await asyncio.sleep(0)  # a reader of a long backlog lets others run
        while True:
            self._news.clear()
            records = self._take(max_records)
            left = deadline - time.monotonic()
            if records or left <= 0:
                return records
            await self._wait(min(left, self._source.look_again_s))

    def position(self, partition: TopicPartition) -> int:
        return self._positions[partition]

    async def close(self) -> None:
        self._source.unlisten(self._news)

    def _take(self, max_records: int) -> list[Record]:
        self._source.refresh()
        taken: list[Record] = []
        for at in list(self._turns):
            if len(taken) >= max_records:
                break
            records = self._source.read_now(*at, self._positions[at], max_records - len(taken))
            if records:
                self._positions[at] = records[-1].offset + 1
                taken += records
        self._turns.rotate(-1)
        return taken

    async def _wait(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return
