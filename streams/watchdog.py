"""Ends a process that gets nowhere: whatever has gone wrong inside, a new start goes on from what is committed.

A broker or a Redis that is away is no such fault: then there is nothing to do but wait.
"""

import asyncio
import faulthandler
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from recsys.errors import UnavailableError
from streams.log.base import Log
from streams.supervise import LOST_OWNERSHIP

PATIENCE_S = 60.0
RECOVERY_S = 600.0
"""A partition may take this long to be read back: some ten million records."""
LOOK_S = 2.0
"""How often it is looked: two requests to the broker."""
logger = logging.getLogger(__name__)


@dataclass
class Watched:
    """One consumer group's work on one topic, as this process has a part in it.

    Parameters
    ----------
    owned : which partitions are this process's own by now, ready or not
    ready : which of them it has read back
    """

    group: str
    topic: str
    owned: Callable[[], Collection[int]]
    ready: Callable[[], Collection[int]]
    _committed: Mapping[int, int] = field(default_factory=dict)
    _since_s: dict[int, float] = field(default_factory=dict)

    def look(self, committed: Mapping[int, int], ends: Mapping[int, int], now_s: float) -> dict[int, float]:
        """For how long each partition has stood still with events waiting."""
        waiting = {p for p in self.owned() if ends.get(p, 0) > committed.get(p, 0)}
        stood_still = {p for p in waiting if committed.get(p, 0) == self._committed.get(p, -1)}
        self._since_s = {p: self._since_s.get(p, now_s) if p in stood_still else now_s for p in waiting}
        self._committed = {p: committed.get(p, 0) for p in waiting}
        return {p: now_s - since_s for p, since_s in self._since_s.items()}

    def pardon(self) -> None:
        """Count anew from the next look on."""
        self._since_s.clear()


class Watchdog:
    """Asks how far a worker's groups have come, and ends the process when one stands still.

    Parameters
    ----------
    is_excused : whether the broker or Redis is away
    end : ends the process at once with an exit code; nothing that hangs can be trusted to stop in order
    """

    def __init__(
        self,
        log: Log,
        is_excused: Callable[[], bool],
        patience_s: float = PATIENCE_S,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self.watched: list[Watched] = []
        self._log, self._is_excused, self._patience_s, self._end = log, is_excused, patience_s, end

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            for watched in self.watched:
                await self._look(watched)

    async def _look(self, watched: Watched) -> None:
        try:
            committed = await self._log.committed(watched.group, watched.topic)
            ends = await self._log.end_offsets(watched.topic)
        except UnavailableError:
            watched.pardon()
            return
        if self._is_excused():
            watched.pardon()
            return
        ready = watched.ready()
        for partition, still_s in watched.look(committed, ends, asyncio.get_running_loop().time()).items():
            if still_s > (self._patience_s if partition in ready else max(RECOVERY_S, self._patience_s)):
                logger.critical(
                    "%s has done nothing about %s [%d] for %.0f s, at offset %d of %d: the process ends.",
                    *(watched.group, watched.topic, partition, still_s),
                    *(committed.get(partition, 0), ends[partition]),
                )
                faulthandler.dump_traceback(all_threads=True)
                self._end(LOST_OWNERSHIP)


@asynccontextmanager
async def loop_watched(patience_s: float = PATIENCE_S, end: Callable[[int], object] = os._exit) -> AsyncIterator[None]:
    """End the process when its event loop does nothing for so long; time in which the process is stopped is no time."""
    beats = 0
    has_ended = threading.Event()

    def watch() -> None:
        seen, looks = -1, 0
        while not has_ended.wait(patience_s / 60):
            looks = looks + 1 if beats == seen else 0
            seen = beats
            if looks >= 60:
                logger.critical(
                    "The event loop has done nothing for %.0f s: this process ends, to start anew.", patience_s
                )
                faulthandler.dump_traceback(all_threads=True)
                end(LOST_OWNERSHIP)
                return

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(patience_s / 120)

    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    thread.start()
    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        has_ended.set()
        beating.cancel()
