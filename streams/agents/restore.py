"""Redis fills itself: what a worker owns of it is written anew when it has lost what it had.

A mark in Redis itself names, for each part of the view, the server's life (`run_id`) in which that part was complete.
A server that was emptied has no marks; one that was started anew, from an old file or a lagging replica, has another
life's. Either way the part's owner writes it again, beside its clicks and in a quarter of its time.
"""

import logging
from collections.abc import Mapping
from functools import partial

from streams.agents.partition import ClickPartition
from streams.agents.publish import Publisher
from streams.agents.recommend import ClickProcessor
from streams.log.base import Log
from streams.rebuild import Rebuild
from streams.retry import until_available
from streams.settings import Settings
from streams.shared_views import SharedViews
from streams.stores.redis import RedisStore
from streams.wholeness import mark_of

SHARE = 0.25
"""Of a worker's time while it restores: 100,000 users take some 20 s, and clicks wait for 10 ms at most."""
SHARED = "shared"
"""The mark of cards, hidden and similar items."""
logger = logging.getLogger(__name__)


class Restorer:
    """Writes anew what Redis has lost of this worker's part; call `step` every few seconds."""

    def __init__(
        self,
        settings: Settings,
        log: Log,
        store: RedisStore,
        views: SharedViews,
        processor: ClickProcessor,
        publisher: Publisher,
    ) -> None:
        self._store, self._views = store, views
        self._processor, self._publisher = processor, publisher
        self._rebuild = Rebuild(settings, log, store, views, SHARE)

    async def step(self) -> None:
        """Restore whatever lacks its mark; returns when all of it is there."""
        life = await until_available(self._store.run_id)
        whole = await until_available(self._store.get_whole)
        if self._publisher.is_owner and whole.get(SHARED) != life:
            await self._restore_shared(life)
        for owned in list(self._processor.partitions.values()):
            if whole.get(mark_of(owned.partition)) != life:
                await self._restore_lists(owned, life)

    async def _restore_shared(self, life: str) -> None:
        await self._mark({SHARED: f"{life} not yet"})
        await self._rebuild.shared()
        self._views.want_similar()
        await self._mark_complete(SHARED, life)

    async def _restore_lists(self, owned: ClickPartition, life: str) -> None:
        mark = mark_of(owned.partition)
        await self._mark({mark: f"{life} not yet"})
        logger.info("Writing the lists of partition %d to Redis anew: %d users.", owned.partition, len(owned.states))

        def is_ours() -> bool:
            return self._processor.partitions.get(owned.partition) is owned

        await self._rebuild.lists(
            owned.partition, owned.states, lambda users: self._publisher.relist(users, owned), is_wanted=is_ours
        )
        if is_ours():
            await self._mark_complete(mark, life)

    async def _mark_complete(self, mark: str, life: str) -> None:
        """Unless Redis was emptied meanwhile: the next step then begins anew."""
        whole = await until_available(self._store.get_whole)
        if whole.get(mark) == f"{life} not yet":
            await self._mark({mark: life})

    async def _mark(self, marks: Mapping[str, str]) -> None:
        await until_available(partial(self._store.set_whole, marks))
