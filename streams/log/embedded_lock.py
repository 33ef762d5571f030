"""The lock that lets one process at a time hold an embedded log, and tells the others who it is."""

import contextlib
import fcntl
import os
import time
import weakref
from pathlib import Path
from typing import ClassVar

import msgspec

from recsys.errors import ConfigError

_CONTENT_BYTES = 1024
"""The content is padded to this length and written at once, so that a reader never sees half of it."""
_ATTEMPTS = 20
_ATTEMPT_S = 0.01
"""`read_lock` of another process holds the lock for an instant: 0.2 s in all outlast it."""


class LockInfo(msgspec.Struct, frozen=True):
    """Who holds a log: process id, since when (epoch ms), and where its HTTP API answers, once it does."""

    pid: int
    since: int
    host: str | None = None
    port: int | None = None


def lock_path(path: Path) -> Path:
    """The lock file that belongs to a log's file."""
    return path.with_name(path.name + ".lock")


class FileLock:
    """An exclusive `flock`, held from construction to `close` or to the end of the process, however it ends.

    The system ties the lock to the open file, which a forked child would share: the lock would outlive a killed
    parent for as long as the child lives. So a child that Python forks closes it at once, and programs that are
    started never inherit it. Only a fork made by foreign C code still could.
    """

    _held: ClassVar["weakref.WeakSet[FileLock]"] = weakref.WeakSet()

    def __init__(self, path: Path, now_ms: int) -> None:
        """Take the lock.

        Raises
        ------
        ConfigError
            If another process holds it; the text says which, and what to do.
        """
        self._info = LockInfo(os.getpid(), now_ms)
        self._fd = os.open(lock_path(path), os.O_RDWR | os.O_CREAT, 0o600)
        if not _locked(self._fd, fcntl.LOCK_EX, _ATTEMPTS):
            holder = _content(self._fd)
            os.close(self._fd)
            raise ConfigError(
                f"The log {path} is in use by {_named(holder)}, and one process at a time can hold an embedded log: "
                f"stop that one, or set FRESHET_BROKER=kafka://host:9092 to run several."
            )
        self._write(self._info)
        FileLock._held.add(self)

    def announce(self, host: str, port: int) -> None:
        """Write down where this process answers HTTP."""
        self._write(LockInfo(self._info.pid, self._info.since, host, port))

    def close(self) -> None:
        """Let go; the file stays, for removing it would let two processes hold two locks of one name."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
        FileLock._held.discard(self)

    def _write(self, info: LockInfo) -> None:
        os.pwrite(self._fd, msgspec.json.encode(info).ljust(_CONTENT_BYTES), 0)

    @classmethod
    def close_in_child(cls) -> None:
        for lock in list(cls._held):
            with contextlib.suppress(OSError):
                lock.close()


os.register_at_fork(after_in_child=FileLock.close_in_child)


def read_lock(path: Path) -> LockInfo | None:
    """Return who holds the log with this file (`log.db`), None when nobody does; ConfigError for no such folder."""
    try:
        fd = os.open(lock_path(path), os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"The folder of the log {path} cannot be used: {error.strerror}.") from error
    try:
        return None if _locked(fd, fcntl.LOCK_SH, attempts=1) else _content(fd)
    finally:
        os.close(fd)


def _locked(fd: int, kind: int, attempts: int) -> bool:
    for attempt in range(attempts):
        if attempt:
            time.sleep(_ATTEMPT_S)
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return True
    return False


def _content(fd: int) -> LockInfo | None:
    try:
        return msgspec.json.decode(os.pread(fd, _CONTENT_BYTES, 0), type=LockInfo)
    except msgspec.DecodeError:
        return None


def _named(holder: LockInfo | None) -> str:
    if holder is None:
        return "another process"
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(holder.since / 1000))
    return f"process {holder.pid} since {since}"
