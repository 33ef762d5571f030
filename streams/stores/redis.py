"""Redis, the view that readers see: lists, private user states, similar items, trending, cards, hidden items.

All of it can be lost and is rebuilt from the topics, so nothing here is ever the only copy.
"""

import hashlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, NamedTuple, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import (
    ChildDeadlockedError,
    IncorrectPolicyType,
    NoScriptError,
    RedisClusterException,
    RedisError,
)

from recsys import versions
from recsys.errors import ConfigError, StateError, UnavailableError
from streams import failpoints

T = TypeVar("T")

TTL_S = 30 * 86_400
"""A user who has not been seen for this long leaves Redis; halved, it empties sooner and rebuilds more often."""

BATCH = 512
"""Users in one call of the script: it holds up every other client for about 3 ms."""

PIPELINED = 1000
"""Commands sent together without an answer in between: bounds what both sides hold in memory."""

PATIENCE_S = 5.0
"""How long one answer may take before Redis counts as down; a frozen server holds a batch up for this long at most."""

LIST_HEAD = b'{"version":"'
_VERSION_AT = slice(len(LIST_HEAD), len(LIST_HEAD) + versions.LENGTH)

_SCRIPT = files("streams.stores").joinpath("put_lists.lua").read_bytes()
_SHA = hashlib.sha1(_SCRIPT, usedforsecurity=False).hexdigest()

FOREIGN_ERRORS = (RedisError, RedisClusterException, ChildDeadlockedError, IncorrectPolicyType, OSError, TimeoutError)
"""Everything that redis-py and the socket below it raise when Redis does not do what it was asked."""


class ListWrite(NamedTuple):
    """What one batch changed for a user.

    `list_json` is the RecommendationList, its first member being this version, or None where an interaction
    (an impression, a search) changed the private state alone; `user` is what gateways need of the state.
    """

    user_id: str
    version: str
    list_json: bytes | None
    user: bytes


class ScriptUnknownError(UnavailableError):
    """The server was started anew since the script was sent, or never had it: send it again."""


@contextmanager
def redis_errors(doing: str) -> Iterator[None]:
    """Turn whatever redis-py raises into UnavailableError; the only place that does."""
    try:
        yield
    except NoScriptError as error:
        raise ScriptUnknownError(f"Redis does not know the script that should {doing}.") from error
    except FOREIGN_ERRORS as error:
        raise UnavailableError(f"Redis could not {doing}: {type(error).__name__}: {error}") from error


class RedisStore:
    """The keys of the contract, under a prefix."""

    def __init__(self, url: str, prefix: str = "") -> None:
        """Name a server (`redis://`, `rediss://`, `unix://`); nothing is opened until the first call.

        Raises ConfigError when the URL is none.
        """
        self._client = Redis.from_pool(_pool(url, retries=2, max_connections=32))
        # A listener must learn of a lost connection, since it missed what was published meanwhile: no silent retry.
        self._listeners = Redis(connection_pool=_pool(url, retries=0, max_connections=4))
        self._recs = prefix + "freshet:recs:"
        self._user = prefix + "freshet:user:"
        self._similar = prefix + "freshet:similar:"
        self._card = prefix + "freshet:item:"
        self._hidden = prefix + "freshet:hidden"
        self._trending = prefix + "freshet:trending"
        self._channel = prefix + "freshet:recs"
        self._whole = prefix + "freshet:whole"

    async def close(self) -> None:
        with redis_errors("close its connections"):
            await self._client.aclose()
            await self._client.connection_pool.disconnect()
            await self._listeners.connection_pool.disconnect()

    async def ping(self) -> None:
        """Raise UnavailableError unless the server answers."""
        await self._call("answer", "PING")

    async def check_writable(self) -> None:
        """Raise UnavailableError unless the server answers and takes writes: it may be full, or a replica."""
        # Writing nothing into a key that is not there leaves it so, and is refused like any other write.
        await self._call("take writes", "SETRANGE", self._whole + ":probe", 0, b"")

    async def run_id(self) -> str:
        """Names this life of this server: another one may have lost what was written."""
        reply = await self._call("name itself", "INFO", "server")
        return str(reply.get("run_id", ""))

    async def get_whole(self) -> dict[str, str]:
        """Which parts of the view are complete: their names, and what was said of each."""
        reply = await self._call("say what it has whole", "HGETALL", self._whole)
        return {name.decode(): value.decode() for name, value in reply.items()}

    async def set_whole(self, marks: Mapping[str, str]) -> None:
        """Say of some parts of the view how complete they are."""
        await self._call("note what it has whole", "HSET", self._whole, *itertools.chain.from_iterable(marks.items()))

    async def put_lists(self, writes: Sequence[ListWrite]) -> int:
        """Write what is newer than what stands there, and tell the channel of each list that changed.

        One round trip for up to 512 users; the same writes again change nothing. Several writes of one user
        are taken in order.

        Returns
        -------
        int
            For how many of the writes anything was written.

        Raises
        ------
        StateError
            If a version is not 30 characters, or a list does not begin with it.
        UnavailableError
            If Redis does not answer; some of the writes may have been made.
        """
        written = 0
        for start in range(0, len(writes), BATCH):
            keys: list[str] = []
            args: list[str | bytes] = [self._channel, str(TTL_S)]
            for user_id, version, list_json, user in writes[start : start + BATCH]:
                head = version.encode()
                if len(head) != versions.LENGTH or (list_json is not None and list_json[_VERSION_AT] != head):
                    raise StateError(f"A list's version is {version!r}, and its JSON does not begin with it.")
                keys += (self._recs + user_id, self._user + user_id)
                args += (user_id, list_json or b"", head + user)
            try:
                written += await self._call("take lists", "EVALSHA", _SHA, len(keys), *keys, *args)
            except ScriptUnknownError:
                written += await self._call("take lists", "EVAL", _SCRIPT, len(keys), *keys, *args)
            failpoints.reached(failpoints.IN_REDIS_WRITE)
        return written

    async def get_list(self, user_id: str) -> bytes | None:
        """The newest RecommendationList as JSON; None for a user who has none."""
        reply: bytes | None = await self._call("read a list", "GET", self._recs + user_id)
        return reply

    async def get_lists(self, user_ids: Sequence[str]) -> list[bytes | None]:
        """The lists of several users in one round trip, in their order; None where there is none."""
        if not user_ids:
            return []
        found: list[bytes | None] = await self._call("read lists", "MGET", *(self._recs + user for user in user_ids))
        return found

    async def get_user(self, user_id: str) -> tuple[str, bytes] | None:
        """The version and the content of a user's private state; None for a user who has none."""
        reply: bytes | None = await self._call("read a user's state", "GET", self._user + user_id)
        if reply is None:
            return None
        return reply[: versions.LENGTH].decode(), reply[versions.LENGTH :]

    async def get_users(self, user_ids: Sequence[str]) -> list[bytes | None]:
        """The private states of several users in one round trip, each after its version; None where there is none."""
        if not user_ids:
            return []
        keys = [self._user + user_id for user_id in user_ids]
        found: list[bytes | None] = await self._call("read users' states", "MGET", *keys)
        return found

    async def forget_user(self, user_id: str) -> None:
        """Remove a user's list and state."""
        await self._call("forget a user", "DEL", self._recs + user_id, self._user + user_id)

    async def set_hidden(self, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """Mark items as hidden or deleted, and others as shown again, at one moment."""
        commands = [("SADD", self._hidden, *ids) for ids in _batched(add)]
        commands += [("SREM", self._hidden, *ids) for ids in _batched(remove)]
        await self._send("hide items", commands, transaction=True)

    async def get_hidden(self) -> set[str]:
        """All items that are hidden or deleted."""
        return {member.decode() for member in await self._call("read hidden items", "SMEMBERS", self._hidden)}

    async def put_cards(self, cards: Mapping[str, Mapping[str, str]]) -> None:
        """Replace what the page shows of items; fields that are no longer there are gone."""
        for part in _batched(cards.items()):
            commands: list[tuple[Any, ...]] = []
            for item_id, card in part:
                commands.append(("DEL", self._card + item_id))
                if card:
                    commands.append(("HSET", self._card + item_id, *itertools.chain.from_iterable(card.items())))
            await self._send("take cards", commands, transaction=True)

    async def get_card(self, item_id: str) -> dict[str, str]:
        """What the page shows of an item; empty for an item that is not there."""
        reply = await self._call("read a card", "HGETALL", self._card + item_id)
        return {name.decode(): value.decode() for name, value in reply.items()}

    async def get_cards(self, item_ids: Sequence[str]) -> list[dict[str, str]]:
        """The cards of several items in one round trip, in their order; empty for one that is not there."""
        replies = await self._send("read cards", [("HGETALL", self._card + item_id) for item_id in item_ids])
        return [{name.decode(): value.decode() for name, value in reply.items()} for reply in replies]

    async def delete_cards(self, item_ids: Iterable[str]) -> None:
        """Remove the cards and the similar items of deleted items."""
        commands = [
            ("DEL", *(key + item_id for item_id in part for key in (self._card, self._similar)))
            for part in _batched(item_ids)
        ]
        await self._send("delete cards", commands)

    async def put_similar(self, similar: Mapping[str, bytes]) -> None:
        """Store for each item the JSON list of the items most like it."""
        for part in _batched(similar.items()):
            commands = [("SET", self._similar + item_id, value, "EX", TTL_S) for item_id, value in part]
            await self._send("take similar items", commands)

    async def get_similar(self, item_id: str) -> bytes | None:
        """The JSON list of the items most like this one; None where it is not known."""
        reply: bytes | None = await self._call("read similar items", "GET", self._similar + item_id)
        return reply

    async def get_similars(self, item_ids: Sequence[str]) -> list[bytes | None]:
        """`get_similar` of several items in one round trip, in their order."""
        if not item_ids:
            return []
        keys = (self._similar + item_id for item_id in item_ids)
        found: list[bytes | None] = await self._call("read similar items", "MGET", *keys)
        return found

    async def set_trending(self, scores: Mapping[str, float]) -> None:
        """Replace the items of recent interest at one moment: a reader sees the old set or the new one."""
        commands: list[tuple[Any, ...]] = [("DEL", self._trending)]
        for part in _batched(scores.items()):
            pairs = itertools.chain.from_iterable((repr(float(score)), item_id) for item_id, score in part)
            commands.append(("ZADD", self._trending, *pairs))
        await self._send("take trending items", commands, transaction=True)

    async def get_trending(self, n: int) -> list[tuple[str, float]]:
        """The `n` items of most recent interest with their scores, highest first."""
        if n <= 0:
            return []
        reply = await self._call("read trending items", "ZRANGE", self._trending, 0, n - 1, "REV", "WITHSCORES")
        return [(item_id.decode(), float(score)) for item_id, score in zip(reply[::2], reply[1::2], strict=True)]

    async def listen_lists(self, on_ready: Callable[[], None] | None = None) -> AsyncIterator[str]:
        """The id of each user whose list has just changed, from the moment `on_ready` is called.

        Raises UnavailableError when the connection is lost: what was published meanwhile is missed, so subscribe
        again and then read the lists that matter.
        """
        with redis_errors("send changes"):
            async with self._listeners.pubsub() as subscription:
                await subscription.subscribe(self._channel)
                is_asked = False
                while True:
                    message = await subscription.get_message(timeout=PATIENCE_S)
                    if message is None:
                        # Silence may be a peer that is gone, so we ask; no answer to that is an answer.
                        if is_asked:
                            raise TimeoutError("no sign of life")
                        await subscription.ping()
                        is_asked = True
                        continue
                    is_asked = False
                    if message["type"] == "subscribe" and on_ready is not None:
                        on_ready()
                    elif message["type"] == "message":
                        yield message["data"].decode()

    async def _call(self, doing: str, *command: str | bytes | int) -> Any:
        with redis_errors(doing):
            return await self._client.execute_command(*command)  # type: ignore[no-untyped-call]

    async def _send(self, doing: str, commands: Sequence[tuple[Any, ...]], transaction: bool = False) -> list[Any]:
        if not commands:
            return []
        with redis_errors(doing):
            async with self._client.pipeline(transaction=transaction) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                replies: list[Any] = await pipeline.execute()
                return replies


def _pool(url: str, *, retries: int, max_connections: int) -> BlockingConnectionPool:
    """Connections that wait their turn and give up in time.

    Protocol 2, because answers here are a number or bytes and its parser is the simplest; a try more than once
    hides a connection that died while it lay idle.
    """
    backoff = ExponentialBackoff(cap=0.5, base=0.05) if retries else NoBackoff()
    try:
        return BlockingConnectionPool.from_url(
            url,
            max_connections=max_connections,
            timeout=PATIENCE_S,
            protocol=2,
            socket_timeout=PATIENCE_S,
            socket_connect_timeout=PATIENCE_S,
            retry=Retry(backoff, retries),
        )
    except ValueError as error:
        raise ConfigError(f"FRESHET_REDIS is no address of a Redis server: {error}.") from error


def _batched(values: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(values)
    while part := list(itertools.islice(iterator, PIPELINED)):
        yield part
