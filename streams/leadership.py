"""Which of several trainers works: whoever holds the one partition of the topic `trainer`."""

import asyncio
import contextlib
from typing import Self

from streams.log.base import Log
from streams.retry import until_available
from streams.settings import Settings
from streams.topics import TRAINER

SESSION_TIMEOUT_S = 10.0
"""The next trainer takes over this long after the first has died; a leader that hears nothing steps down sooner."""


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
        self._exit = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Join the trainers; a broker that does not answer is waited for.

        Raises
        ------
        ConfigError
            If there is no topic `trainer`.
        """
        if self._settings.is_embedded:
            self.is_leader.set()
            return self
        from streams.log.kafka_seat import KafkaSeat  # the embedded log needs no Kafka client

        prefix = self._settings.topic_prefix
        await until_available(lambda: self._log.partitions(prefix + TRAINER))

        async def join() -> KafkaSeat:
            group = f"{prefix}freshet-trainer"
            seat = KafkaSeat(self._settings, group, prefix + TRAINER, self._session_s, self.is_leader)
            await seat.join()
            return seat

        seat = await until_available(join)
        self._exit.push_async_callback(seat.leave)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.is_leader.clear()
        await self._exit.aclose()

    async def wait_until_leader(self) -> None:
        """Return as soon as this process leads."""
        await self.is_leader.wait()
