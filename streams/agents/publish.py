"""What one worker publishes for all: popular and similar items, and lists that hidden items must leave."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial

import msgspec

from streams.agents.partition import ClickPartition
from streams.agents.recommend import ClickProcessor
from streams.agents.refreshes import Refreshes
from streams.agents.relist import relist, users_with
from streams.policy import recommend_policy
from streams.rebuild import similar_items, trending_scores
from streams.retry import until_available
from streams.settings import Settings
from streams.shared_views import SharedViews
from streams.stores.redis import RedisStore

SIMILAR_SHARE = 0.1
"""Share of one core's time that goes into similar items: at 100,000 products all are done in some hours."""
SIMILAR_AT_ONCE = 10
SIMILAR_LOOKED_THROUGH = 100
"""Lists of similar items read and looked through without a pause: 0.1 MB, a millisecond."""
RELIST_AT_ONCE = 256


class Publisher:
    """Writes what is shared by all users; only the owner of partition 0 of `clicks` does, so that there is one writer.

    Lists are each owner's own business: `relist_hidden` is for every worker.
    """

    def __init__(
        self,
        settings: Settings,
        store: RedisStore,
        views: SharedViews,
        processor: ClickProcessor,
        now_ms: Callable[[], int],
    ) -> None:
        self._settings, self._store, self._views, self._processor = settings, store, views, processor
        self._policy = recommend_policy(settings)
        self._now_ms = now_ms
        self._n_visible = 0
        self._gone: set[str] = set()
        """Items hidden or deleted since similar items were looked through."""

    @property
    def is_owner(self) -> bool:
        return 0 in self._processor.partitions

    async def publish_trending(self) -> None:
        """Replace the popular items in Redis."""
        scores = trending_scores(self._views)
        if self.is_owner and scores:
            await until_available(partial(self._store.set_trending, scores))

    async def publish_similar(self) -> None:
        """Publish similar items of products with new vectors, forever, in a small share of the time."""
        while True:
            waiting = self._views.take_without_similar(SIMILAR_AT_ONCE) if self.is_owner else []
            if not waiting:
                await asyncio.sleep(1.0)
                continue
            started = time.monotonic()
            found = await asyncio.to_thread(similar_items, self._views, waiting)
            await until_available(partial(self._store.put_similar, found))
            await asyncio.sleep((time.monotonic() - started) * (1 - SIMILAR_SHARE) / SIMILAR_SHARE)

    async def relist_hidden(self) -> None:
        """Make those lists anew that name what was hidden or deleted since the last call."""
        hidden = self._views.take_hidden()
        self._gone |= hidden
        if not hidden:
            return
        for owned in list(self._processor.partitions.values()):
            user_ids = await until_available(partial(users_with, hidden, owned, self._store))
            if self._processor.partitions.get(owned.partition) is not owned or not user_ids:
                continue
            await self.relist(user_ids, owned)

    async def drop_hidden_similar(self) -> None:
        """Take what was hidden or deleted since the last call out of all similar items in Redis."""
        gone, self._gone = self._gone, set()
        if not gone or not self.is_owner:
            return
        names = [msgspec.json.encode(item_id) for item_id in gone]
        item_ids = list(self._views.catalogue)
        for start in range(0, len(item_ids), SIMILAR_LOOKED_THROUGH):
            some = item_ids[start : start + SIMILAR_LOOKED_THROUGH]
            packed = await until_available(partial(self._store.get_similars, some))
            naming = {
                item_id: _without(gone, similar)
                for item_id, similar in zip(some, packed, strict=True)
                if similar is not None and any(name in similar for name in names)
            }
            if naming:
                await until_available(partial(self._store.put_similar, naming))

    async def relist_short(self) -> None:
        """Make those lists anew that were not full, when there are more products than at the last call."""
        n_visible = int(self._views.items.visible.sum())
        has_grown, self._n_visible = n_visible > self._n_visible, n_visible
        if not has_grown:
            return
        for owned in list(self._processor.partitions.values()):
            short = sorted(owned.short)
            for start in range(0, len(short), RELIST_AT_ONCE):
                if self._processor.partitions.get(owned.partition) is owned:
                    await self.relist(short[start : start + RELIST_AT_ONCE], owned)

    async def relist(self, user_ids: Sequence[str], owned: ClickPartition) -> None:
        """Make the lists of some users of a partition anew, and publish them."""

        def make(user_ids: list[str]) -> Refreshes:
            return relist(user_ids, owned, self._views.now(), self._policy, self._settings, self._now_ms)

        await self._processor.publish_anew(user_ids, make)


def _without(gone: Collection[str], similar: bytes) -> bytes:
    """A JSON list of similar items without some of them."""
    return msgspec.json.encode([hit for hit in msgspec.json.decode(similar) if hit["item_id"] not in gone])
