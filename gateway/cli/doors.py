"""How a command reaches the log: by itself, or through the Freshet that holds an embedded one."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from recsys.errors import ConfigError, UnavailableError
from streams.dead_letters import RESENT_HEADER
from streams.log.base import Log, NewRecord
from streams.wire.click import REPLAYED

if TYPE_CHECKING:
    from streams.settings import Settings


AT_ONCE = 500
"""Records in one append or request: below the API's 1,000, so that long products stay below 8 MiB more often."""
BODY_BYTES = 6 << 20
PASSED_ON = (REPLAYED[0], RESENT_HEADER)
"""Headers of a request that become headers of its records."""
PATIENCE_S = 60.0


class Refusal(NamedTuple):
    """A record that the door did not take: its place in the sequence (from 0), and why."""

    place: int
    text: str


class Door(Protocol):
    """Takes records for one topic."""

    async def put(self, topic: str, records: Sequence[NewRecord]) -> list[Refusal]:
        """Hand over records of a topic (its name without the prefix); returns once the log has them."""
        ...


class LogDoor:
    """The log itself."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def put(self, topic: str, records: Sequence[NewRecord]) -> list[Refusal]:
        """See `Door`."""
        for start in range(0, len(records), AT_ONCE):
            await self._log.append_many(records[start : start + AT_ONCE])
        return []


class HttpDoor:
    """The API of the Freshet that holds the log."""

    def __init__(self, session: Any) -> None:
        self._session = session

    async def put(self, topic: str, records: Sequence[NewRecord]) -> list[Refusal]:
        """See `Door`; a record without a value deletes what its key names."""
        refusals: list[Refusal] = []
        for indices in _requests(records):
            if records[indices[0]].value is None:
                await self._delete(topic, records[indices[0]])
            else:
                body = b"[" + b",".join(records[index].value or b"" for index in indices) + b"]"
                headers = dict(_marks(records[indices[0]]))
                answer = await self._ask("POST", f"/v1/{topic}", body, headers)
                refusals += [Refusal(indices[one["index"]], one["text"]) for one in answer.get("refused", ())]
        return refusals

    async def _delete(self, topic: str, record: NewRecord) -> None:
        from urllib.parse import quote

        await self._ask("DELETE", f"/v1/{topic}/{quote((record.key or b'').decode(), safe='')}", None)

    async def _ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        import aiohttp
        from yarl import URL

        try:
            url = URL(path, encoded=True)
            async with self._session.request(method, url, data=body, headers=headers) as response:
                answer: dict[str, Any] = await response.json(content_type=None)
                status = response.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise UnavailableError(f"The Freshet that holds the log does not answer: {error}") from error
        if status in (401, 403):
            raise ConfigError("The Freshet that holds the log wants a key: put shop:KEY into FRESHET_API_KEYS.")
        if status >= 300 and "refused" not in answer:
            raise UnavailableError(f"The Freshet that holds the log answered {status}: {answer.get('detail', answer)}")
        return answer


def is_held(settings: "Settings") -> bool:
    """Whether a Freshet that is running holds the embedded log."""
    if not settings.is_embedded:
        return False
    from streams.log.embedded_lock import read_lock
    from streams.log.open import log_path

    return read_lock(log_path(settings)) is not None


@asynccontextmanager
async def open_for_reading(settings: "Settings") -> AsyncIterator[Log]:
    """The log for reading alone, whoever holds it."""
    from streams.log.open import log_path, open_log

    log: Log
    if settings.is_embedded:
        from streams.log.embedded import EmbeddedLog

        log = EmbeddedLog.open_read_only(log_path(settings))
    else:
        log = open_log(settings)
    await log.start()
    try:
        yield log
    finally:
        await log.stop()


@asynccontextmanager
async def open_door(settings: "Settings") -> AsyncIterator[Door]:
    """A door into the log, its topics made; through the API where another process holds an embedded log.

    Raises
    ------
    ConfigError
        If that process answers no HTTP.
    """
    if is_held(settings):
        async with _api(settings) as door:
            yield door
        return
    from streams.log.open import open_log
    from streams.topics_check import ensure_topics

    log = open_log(settings)
    await log.start()
    try:
        await ensure_topics(log, settings)
        yield LogDoor(log)
    finally:
        await log.stop()


@asynccontextmanager
async def _api(settings: "Settings") -> AsyncIterator[HttpDoor]:
    import aiohttp

    from streams.log.embedded_lock import read_lock
    from streams.log.open import log_path

    holder = read_lock(log_path(settings))
    if holder is None or holder.port is None:
        raise ConfigError(
            f"The log {log_path(settings)} is held by a Freshet that answers no HTTP (yet): "
            f"wait until its gateway is up, or stop it."
        )
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", None: "127.0.0.1"}.get(holder.host, holder.host)  # noqa: S104
    base = f"http://[{host}]:{holder.port}" if host and ":" in host else f"http://{host}:{holder.port}"
    keys = {role: key for role, _, key in (pair.partition(":") for pair in settings.api_keys)}
    headers = {"Content-Type": "application/json"}
    if key := keys.get("shop") or keys.get("admin"):
        headers["X-API-Key"] = key
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(base, headers=headers, timeout=timeout) as session:
        yield HttpDoor(session)


def _marks(record: NewRecord) -> tuple[tuple[str, str], ...]:
    """The headers of a record that the API passes on."""
    return tuple((name, value.decode()) for name, value in record.headers if name in PASSED_ON)


def _requests(records: Sequence[NewRecord]) -> list[list[int]]:
    """Indices of records that go into one request together, in order; a deletion goes alone, marks are the same."""
    requests: list[list[int]] = []
    size = 0
    for index, record in enumerate(records):
        length = len(record.value or b"")
        is_alone = record.value is None or (index > 0 and records[index - 1].value is None)
        is_other = index > 0 and _marks(record) != _marks(records[index - 1])
        if not requests or is_alone or is_other or len(requests[-1]) >= AT_ONCE or size + length > BODY_BYTES:
            requests.append([])
            size = 0
        requests[-1].append(index)
        size += length
    return requests
