"""Kafka and Redis of a measurement's own, started and stopped with it; those of the tests."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streams.settings import Settings
from tests.services import kafka, redis


@dataclass(frozen=True)
class Services:
    """Where they listen, and a folder that goes with them."""

    broker: str
    """`host:port`"""
    redis_url: str
    folder: Path

    def settings(self, prefix: str) -> Settings:
        """The settings of one shop on these services, apart from others by its prefix."""
        return Settings(
            broker=f"kafka://{self.broker}", redis=self.redis_url, topic_prefix=prefix, data_dir=self.folder / prefix
        )


@contextlib.contextmanager
def services() -> Iterator[Services]:
    """A broker of one node and a redis-server on free ports."""
    if reason := kafka.what_is_missing() or redis.what_is_missing():
        raise SystemExit(f"This measurement needs {reason}.")
    kafka.download()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        for part in ("kafka", "redis"):
            (folder / part).mkdir()
        broker = kafka.Broker(folder / "kafka", kafka.SERVER_JAVA)
        broker.format()
        stack.callback(broker.stop)
        broker.start()
        server = redis.RedisServer(folder / "redis")
        stack.callback(server.stop)
        server.start()
        yield Services(broker.address, server.url, folder)
