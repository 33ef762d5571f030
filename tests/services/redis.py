"""A real redis-server, as the distribution has it, in a folder of its own."""

import shutil
from pathlib import Path

from tests.services.process import Service, answers, free_ports


def what_is_missing() -> str:
    """Name the part that is not installed, empty when all is here."""
    return "" if shutil.which("redis-server") else "redis-server (apt-get install redis-server)"


class RedisServer:
    """Redis on 127.0.0.1 with an append-only file, so that `kill` and `start` keep what was written."""

    def __init__(self, folder: Path) -> None:
        (self.port,) = free_ports(1)
        options = {"port": self.port, "bind": "127.0.0.1", "dir": folder, "appendonly": "yes", "save": ""}
        command = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        self.service = Service(["redis-server", *command], folder, "redis.log")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, or start again on the same data."""
        self.service.start(lambda: answers(self.port), deadline_s=20)

    def stop(self) -> None:
        self.service.stop()

    def kill(self) -> None:
        self.service.kill()
