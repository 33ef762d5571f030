"""Whether the broker and Redis answer: a process that cannot reach one of them is up, and not ready."""

import asyncio
from collections.abc import Awaitable, Callable

from recsys.errors import UnavailableError
from streams import topics
from streams.log.base import Log
from streams.settings import Settings
from streams.until_stopped import running

ASK_EVERY_S = 2.0
"""What a balancer hears is this old at most; each process asks the broker and Redis for almost nothing."""
SILENT_AFTER_S = 3.0
"""Who has not answered by then is not there, for whoever asks meanwhile."""


class Reach:
    """Asks the broker and Redis again and again; until it has heard otherwise, both are there.

    Parameters
    ----------
    ask_redis : raises UnavailableError unless Redis does what is asked of it: `ping`, or `check_writable` for a writer
    """

    def __init__(self, settings: Settings, log: Log, ask_redis: Callable[[], Awaitable[None]]) -> None:
        self._topic = settings.topic_prefix + topics.MODELS
        self._log, self._ask_redis = log, ask_redis
        self._silent: set[str] = set()

    @property
    def is_there(self) -> bool:
        """Whether both answered when they were last asked."""
        return not self._silent

    async def run(self) -> None:
        """Ask until cancelled."""
        asking_log = self._keep_asking("log", lambda: self._log.end_offsets(self._topic))
        async with running(asking_log, self._keep_asking("redis", self._ask_redis)):
            await asyncio.Event().wait()

    async def _keep_asking(self, whom: str, ask: Callable[[], Awaitable[object]]) -> None:
        while True:
            doubt = asyncio.get_running_loop().call_later(SILENT_AFTER_S, self._silent.add, whom)
            try:
                await ask()
            except UnavailableError:
                self._silent.add(whom)
            else:
                self._silent.discard(whom)
            finally:
                doubt.cancel()
            await asyncio.sleep(ASK_EVERY_S)
