"""What a process says about itself: one JSON line an event, or a readable one on a terminal."""

import contextlib
import hashlib
import logging
import os
import sys
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

from recsys.errors import LogFailedError
from streams.settings import Settings

LONGEST_FIELD = 2000
"""Characters; a trace fits, a message body that slipped into a log line does not."""
QUIET = ("aiokafka", "kafka", "faust", "mode", "aiohttp.access", "uvicorn.access", "asyncio", "faiss.loader")
"""Libraries that tell too much below a warning; faust would even show keys and values of messages."""
CLIENTS = ("aiokafka", "kafka")
SILENCE_S = 30.0
MOST_SAID = 1_000
"""Kinds of lines remembered."""
PERSON = ("user_id", "actor")
KEY_FILE = "log.key"


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Send everything that is logged to `stream` (standard error by default), from `FRESHET_LOG_LEVEL` up.

    A user is named by `extra={"user_id": …}` and appears under a pseudonym, which is the same in all processes
    that share the data folder and cannot be turned back without the key that lies there.
    """
    stream = stream or sys.stderr
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    after: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        Pseudonyms(_pseudonym_key(settings.data_dir)),
        _bounded,
    ]
    if stream.isatty():
        after.append(structlog.dev.ConsoleRenderer(colors=True, exception_formatter=structlog.dev.plain_traceback))
    else:
        after.append(structlog.processors.JSONRenderer(ensure_ascii=False))
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=after))
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    handler.addFilter(SaidLately())
    handler.addFilter(led_to_by_no_full_disk)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    structlog.configure(
        processors=[*before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def led_to_by_no_full_disk(record: logging.LogRecord) -> bool:
    """Leave out the traces of each part that ends as the embedded log cannot be written: one sentence says it."""
    return record.exc_info is None or not _is_led_to_by(record.exc_info[1], LogFailedError)


def _is_led_to_by(error: BaseException | None, kind: type[Exception]) -> bool:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        if isinstance(one, kind):
            return True
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
    return False


class SaidLately(logging.Filter):
    """Lets a client say the same once in `SILENCE_S`: it tries a broker that is away a hundred times a second."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._said_s: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to let a line through; ours always."""
        if not record.name.startswith(CLIENTS):
            return True
        key, now_s = (record.name, str(record.msg)), self._now()
        if now_s - self._said_s.get(key, -SILENCE_S) < SILENCE_S:
            return False
        if len(self._said_s) >= MOST_SAID:
            self._said_s.clear()
        self._said_s[key] = now_s
        return True


class Pseudonyms:
    """Replaces the ids of persons by a keyed hash."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def pseudonym(self, user_id: str) -> str:
        """Twelve characters that stand for a user."""
        return hashlib.blake2b(user_id.encode(errors="replace"), key=self._key, digest_size=6).hexdigest()

    def __call__(self, _: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name in PERSON:
            if isinstance(event.get(name), str):
                event[name] = self.pseudonym(event[name])
        return event


def _bounded(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Cut long fields; what a message says about itself may come from outside."""
    for name, value in event.items():
        if isinstance(value, str) and len(value) > LONGEST_FIELD and name != "exception":
            event[name] = value[:LONGEST_FIELD] + "…"
    return event


def _pseudonym_key(data_dir: Path) -> bytes:
    """The key in the data folder, made on first use; one of this process alone where the folder takes none."""
    path = data_dir / KEY_FILE
    with contextlib.suppress(OSError):
        data_dir.mkdir(parents=True, exist_ok=True)
        own = path.with_name(f"{KEY_FILE}.{os.getpid()}")
        if not path.exists():
            own.touch(mode=0o600)
            own.write_bytes(os.urandom(32))
            with contextlib.suppress(FileExistsError):
                os.link(own, path)  # the first process wins, and none ever reads half a key
            own.unlink()
        key = path.read_bytes()
        if len(key) == 32:
            return key
    return os.urandom(32)
