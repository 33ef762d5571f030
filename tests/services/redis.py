"""A real redis-server, as the distribution has it, in a folder of its own."""

import shutil
import socket
from pathlib import Path

from tests.services.process import Service, free_ports


def what_is_missing() -> str:
    """Name the part that is not installed, empty when all is here."""
    return "" if shutil.which("redis-server") else "redis-server (apt-get install redis-server)"


class RedisServer:
    """Redis on 127.0.0.1 with an append-only file, so that `kill` and `start` keep what was written."""

    def __init__(self, folder: Path) -> None:
        (self.port,) = free_ports(1)
        # Without fsync a write is always in the file before its answer; with it, it may wait for the disk, and a kill
        # of the process (not of the machine, which no test tries) would lose it.
        kept = {"appendonly": "yes", "appendfsync": "no", "save": ""}
        options = {"port": self.port, "bind": "127.0.0.1", "dir": folder, **kept}
        command = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        self.service = Service(["redis-server", *command], folder, "redis.log")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, or start again on the same data."""
        self.service.start(self._is_loaded, deadline_s=60)

    def stop(self) -> None:
        self.service.stop()

    def kill(self) -> None:
        self.service.kill()

    def _is_loaded(self) -> bool:
        """Whether it answers commands: it accepts connections while it still reads its file."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"+PONG\r\n"
        except OSError:
            return False
