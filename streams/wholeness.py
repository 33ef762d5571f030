"""Whether Redis has the lists that the log says, by the marks of those who fill it (`streams.agents.restore`)."""

import asyncio
import contextlib

from recsys.errors import UnavailableError
from streams import topics
from streams.log.base import Log
from streams.settings import Settings
from streams.stores.redis import RedisStore

LOOK_EVERY_S = 1.0
"""While something is missing; a balancer hears of its return that late at most."""


def mark_of(partition: int) -> str:
    """The mark of a partition's lists and states."""
    return f"lists:{partition}"


class Wholeness:
    """Looks again and again at what a Redis lacks; in one life of its server it becomes whole once.

    An embedded Redis comes back empty at each start, and a new shop's has nothing to be filled with.
    """

    def __init__(self, settings: Settings, log: Log, store: RedisStore) -> None:
        self._log, self._store = log, store
        self._user_state = settings.topic_prefix + topics.USER_STATE
        self._life = ""
        self._lacking: tuple[str, ...] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing; False until it has been looked."""
        return self._lacking == ()

    @property
    def lacking(self) -> tuple[str, ...]:
        """What is missing, for people."""
        return ("not looked at yet",) if self._lacking is None else self._lacking

    async def run(self) -> None:
        """Look until cancelled; while Redis or the broker is away, what was last seen holds."""
        while True:
            with contextlib.suppress(UnavailableError):
                await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Look once; raises UnavailableError while Redis or the broker does not answer."""
        life = await self._store.run_id()
        if life == self._life and self.is_whole:
            return
        marks = await self._store.get_whole()
        states = await self._log.end_offsets(self._user_state)
        lacking = (
            f"lists of partition {partition}"
            for partition, end in sorted(states.items())
            if end > 0 and marks.get(mark_of(partition)) != life
        )
        self._life, self._lacking = life, tuple(lacking)
