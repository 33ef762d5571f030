"""Lists on their way to Redis, for as long as their partitions are this process's own."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from streams.stores.redis import ListWrite


class ListStore(Protocol):
    """Where readers find lists: `streams.stores.redis.RedisStore`."""

    async def put_lists(self, writes: Sequence[ListWrite]) -> int: ...


class ListWrites:
    """Writes lists, and no longer waits for the answer once the partitions are taken away.

    Nobody could take them over while a frozen Redis is waited for. Who owns them then writes the same or newer, and
    Redis leaves out what arrives late.
    """

    def __init__(self, store: ListStore) -> None:
        self._store = store
        self._gone: asyncio.Future[None] | None = None
        self._left: set[asyncio.Future[int]] = set()

    def gone(self) -> "asyncio.Future[None]":
        """Done when the partitions of this moment are taken away."""
        if self._gone is None:
            self._gone = asyncio.get_running_loop().create_future()
        return self._gone

    def let_go(self) -> None:
        """Take note that the partitions are taken away."""
        gone, self._gone = self._gone, None
        if gone is not None:
            gone.set_result(None)

    def put(self, writes: Sequence[ListWrite]) -> Coroutine[Any, Any, None]:
        """Wait until Redis has them, or until the partitions of this moment are gone; raises UnavailableError."""
        return self._put(writes, self.gone())

    async def _put(self, writes: Sequence[ListWrite], gone: "asyncio.Future[None]") -> None:
        putting = asyncio.ensure_future(self._store.put_lists(writes))
        either: set[asyncio.Future[Any]] = {putting, gone}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            putting.cancel()
            raise
        if putting.done():
            putting.result()
        else:
            self._left.add(putting)
            putting.add_done_callback(self._forget)

    def _forget(self, putting: "asyncio.Future[int]") -> None:
        self._left.discard(putting)
        if not putting.cancelled():
            putting.exception()  # seen: nobody waits for it any more
