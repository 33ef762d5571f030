"""Redis made whole from the log: lists and users' states as they stand in their topics, cards and hidden items.

What is written can only be newer than what stands there or the same, so it may be done beside workers that go on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import msgspec

from recsys.candidates import Views
from recsys.errors import StateError
from recsys.history import UserState, encode_state
from recsys.refresh import RecommendPolicy, make_list, rank_for_users
from recsys.search import similar
from recsys.versions import Version
from streams import topics
from streams.agents.content import card_of
from streams.log.base import Log, Record
from streams.log.ranges import chunks
from streams.retry import until_available
from streams.settings import Settings
from streams.shared_views import SharedViews
from streams.stores.redis import ListWrite, RedisStore
from streams.wire.lists import decode_list, encode_list
from streams.wire.times import rfc3339

AT_ONCE = 100
"""Users or items written without a pause: clicks wait for some 10 ms."""
SIMILAR = 20
"""Items in each `freshet:similar:{item_id}`."""
TRENDING = 200
"""Items in `freshet:trending`."""
SETTLED_S = 2.0
"""After this, what an embed worker had written when we began has reached our view of the catalogue."""

T = TypeVar("T")
Advance = Callable[[int], None]
Mend = Callable[[Sequence[str]], Awaitable[None]]
"""Makes the lists of some users anew, because those on the topic name what is hidden by now."""


@dataclass(frozen=True)
class Rebuild:
    """Writes to one Redis what one log says.

    Parameters
    ----------
    share : of this process's time that may go into it, in (0, 1]
    waits : whether to wait for a log or a Redis that is away; else UnavailableError is raised
    """

    settings: Settings
    log: Log
    store: RedisStore
    views: SharedViews
    share: float = 1.0
    waits: bool = True

    async def lists(
        self,
        partition: int,
        states: Mapping[str, UserState],
        mend: Mend,
        advance: Advance = lambda n: None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Write the states of a partition's users, and their lists as they stand on `recommendations`.

        Parameters
        ----------
        states : of the partition's users by now; may change meanwhile
        is_wanted : asked now and then; once it says no, the rest is left
        """
        topic = self.settings.topic_prefix + topics.RECOMMENDATIONS
        end = (await self._do(partial(self.log.end_offsets, topic)))[partition]
        newest: dict[str, int] = {}
        async for records in chunks(self.log, topic, partition, 0, end):
            newest |= {_user_of(record): record.offset for record in records}
        stale: list[str] = []
        async for records in chunks(self.log, topic, partition, 0, end):
            kept = [record for record in records if newest[_user_of(record)] == record.offset]
            for some in _parts(kept, AT_ONCE):
                if not is_wanted():
                    return
                await self._put(self._list_writes(some, states, stale))
                advance(len(some))
        for users in _parts([user_id for user_id in states if user_id not in newest], AT_ONCE):
            if not is_wanted():
                return
            await self._put([_state_write(user_id, states[user_id]) for user_id in users if user_id in states])
            advance(len(users))
        for users in _parts(stale, AT_ONCE):
            if is_wanted():
                await mend(users)

    def _list_writes(
        self, records: Sequence[Record], states: Mapping[str, UserState], stale: list[str]
    ) -> list[ListWrite]:
        hidden = self._hidden
        writes = []
        for record in records:
            user_id = _user_of(record)
            state = states.get(user_id)
            if state is None or record.value is None:
                continue
            try:
                made = decode_list(record.value)
            except StateError:
                stale.append(user_id)
                made = None
            if made is not None and any(hidden(item.item_id) for item in made.items):
                stale.append(user_id)
            elif made is not None:
                writes.append(ListWrite(user_id, made.version, record.value, encode_state(state)))
            writes.append(_state_write(user_id, state))
        return writes

    def _hidden(self, item_id: str) -> bool:
        items = self.views.items
        return not items.visible[items.row(item_id)]

    async def _put(self, writes: Sequence[ListWrite]) -> None:
        started = time.monotonic()
        await self._do(partial(self.store.put_lists, writes))
        await self._pause(started)

    async def _do(self, step: Callable[[], Awaitable[T]]) -> T:
        return await (until_available(step) if self.waits else step())

    async def _pause(self, started: float) -> None:
        await asyncio.sleep((time.monotonic() - started) * (1 - self.share) / self.share)

    async def shared(self, advance: Advance = lambda n: None) -> None:
        """Write the hidden set and the cards; then once more what embed workers have changed meanwhile.

        Deleted products are hidden for as long as their tombstones stand in `products`.
        """
        catalogue = self.views.catalogue
        written = {item_id: self._offset(item_id) for item_id in [*catalogue, *await self._deleted()]}
        await self._show(list(written), advance)
        await asyncio.sleep(SETTLED_S)
        await self._show([item_id for item_id, offset in written.items() if self._offset(item_id) != offset])

    async def _deleted(self) -> set[str]:
        """Products whose newest message deletes them."""
        topic, deleted = self.settings.topic_prefix + topics.PRODUCTS, set[str]()
        for partition, end in (await self._do(partial(self.log.end_offsets, topic))).items():
            async for records in chunks(self.log, topic, partition, 0, end):
                for record in records:
                    item_id = (record.key or b"").decode(errors="replace")
                    (deleted.add if record.value is None else deleted.discard)(item_id)
        return {item_id for item_id in deleted if item_id and item_id not in self.views.catalogue}

    def _offset(self, item_id: str) -> int:
        fields = self.views.catalogue.fields(item_id)
        return -1 if fields is None else fields.source_offset

    async def _show(self, item_ids: Sequence[str], advance: Advance = lambda n: None) -> None:
        catalogue, store = self.views.catalogue, self.store
        for some in _parts(item_ids, AT_ONCE):
            started = time.monotonic()
            products = {item_id: catalogue.get(item_id) for item_id in some}
            there = {item_id: product for item_id, product in products.items() if product is not None}
            shown = {item_id for item_id, product in there.items() if product.available}
            cards = {item_id: card_of(product) for item_id, product in there.items()}
            await self._do(partial(store.set_hidden, add=products.keys() - shown, remove=shown))
            await self._do(partial(store.put_cards, cards))
            await self._do(partial(store.delete_cards, products.keys() - there.keys()))
            advance(len(some))
            await self._pause(started)

    async def trending(self) -> None:
        """Replace the popular items."""
        scores = trending_scores(self.views)
        if scores:
            await self._do(partial(self.store.set_trending, scores))

    async def similar(self, item_ids: Sequence[str], advance: Advance = lambda n: None) -> None:
        """Write the similar items of some items: a scan of the catalogue for each."""
        for some in _parts(item_ids, 10):
            started = time.monotonic()
            found = await asyncio.to_thread(similar_items, self.views, some)
            await self._do(partial(self.store.put_similar, found))
            advance(len(some))
            await self._pause(started)


def trending_scores(views: SharedViews) -> dict[str, float]:
    """The popular items that are visible, with what `freshet:trending` says of them."""
    rows, popularity = views.trends.top(TRENDING)
    ids, visible = views.items.ids, views.items.visible
    return {ids[row]: score for row, score in zip(rows.tolist(), popularity.tolist(), strict=True) if visible[row]}


def similar_items(views: SharedViews, item_ids: Sequence[str]) -> dict[str, bytes]:
    """`freshet:similar:{item_id}` for those items that are visible; O(catalogue) each."""
    catalogue = views.catalogue
    wanted = [item_id for item_id in item_ids if catalogue.is_visible(item_id)]
    return {item_id: msgspec.json.encode(similar(catalogue, item_id, SIMILAR)) for item_id in wanted}


def lists_made_anew(
    user_ids: Sequence[str],
    partition: int,
    states: Mapping[str, UserState],
    views: Views,
    policy: RecommendPolicy,
    now_ms: int,
) -> list[ListWrite]:
    """Lists of the present views at their states' own versions: any that an owner makes later wins over them."""
    known = {user_id: states[user_id] for user_id in user_ids}
    ranked = rank_for_users(known, views, policy, n=policy.top_k)
    writes = []
    for (user_id, state), best in zip(known.items(), ranked, strict=True):
        made = make_list(user_id, state, best, views, partition=partition, generated_at=rfc3339(now_ms))
        writes.append(ListWrite(user_id, made.version, encode_list(made), encode_state(state)))
    return writes


def _user_of(record: Record) -> str:
    return (record.key or b"").decode()


def _state_write(user_id: str, state: UserState) -> ListWrite:
    return ListWrite(user_id, str(Version(state.epoch, state.offset, state.revision)), None, encode_state(state))


def _parts(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (values[start : start + size] for start in range(0, len(values), size))
