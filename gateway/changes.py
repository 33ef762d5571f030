"""Whose list has just changed: one subscription to Redis, handed on to every open stream."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from recsys.errors import UnavailableError
from streams.stores.redis import RedisStore

RETRY_S = 1.0
logger = logging.getLogger(__name__)


class ListChanges:
    """Wakes the streams of a user whose list has changed."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def subscribe(self, user_id: str) -> Iterator[asyncio.Event]:
        """An event that is set at each change of this user's list."""
        event = asyncio.Event()
        self._waiting[user_id].add(event)
        try:
            yield event
        finally:
            self._waiting[user_id].discard(event)
            if not self._waiting[user_id]:
                del self._waiting[user_id]

    async def run(self) -> None:
        """Listen until cancelled; after a lost connection every stream looks again, as changes may have been missed."""
        while True:
            try:
                async for user_id in self._store.listen_lists(self._wake_all):
                    for event in self._waiting.get(user_id, ()):
                        event.set()
            except UnavailableError as error:
                logger.warning("%s Listening again in a moment.", error)
            await asyncio.sleep(RETRY_S)

    def _wake_all(self) -> None:
        for events in self._waiting.values():
            for event in events:
                event.set()
