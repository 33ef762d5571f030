"""A Freshet as its operator runs it: each part a process of its own, on a real Kafka and a real Redis.

What goes in and comes out is seen as a shop sees it: through Kafka's own client, Redis and HTTP.
"""

import asyncio
import inspect
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis.asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition

from streams.log.base import Record
from streams.log.kafka_bootstrap import begin_anew_when_lost
from streams.settings import Settings
from streams.topics import all_topics
from tests.services.process import Service, free_ports

ROOT = Path(__file__).parents[2]
START_S = 90.0
"""Networks are loaded meanwhile, on a machine that has other things to do."""
STOP_S = 20.0
"""Promised: SIGTERM ends a process within this."""


async def until(condition: Callable[[], Any], what: str, deadline_s: float = 60.0, every_s: float = 0.05) -> Any:
    """Wait for a condition, plain or asynchronous, to be true; return what it returned."""
    end = time.monotonic() + deadline_s
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, f"waited {deadline_s:g} s in vain until {what}"
        await asyncio.sleep(every_s)


class Part:
    """One `freshet` process with its log in a file."""

    def __init__(self, name: str, args: list[str], env: Mapping[str, str], folder: Path, port: int) -> None:
        self.name, self.port = name, port
        settings = [f"{key}={value}" for key, value in {**env, "PYTHONPATH": str(ROOT)}.items()]
        command = ["env", *settings, sys.executable, "-m", "gateway.cli.main", *args]
        self.service = Service(command, folder, f"{name}.log")

    def start(self) -> None:
        """Start it, whatever it then waits for."""
        self.service.start(lambda: True, 0)

    @property
    def pid(self) -> int:
        return self.service.pid

    @property
    def child_pid(self) -> int | None:
        """The process that a supervisor watches over; None between two lives."""
        try:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        except OSError:
            return None
        return int(children[0]) if children else None

    @property
    def is_running(self) -> bool:
        return self.service.exit_code is None

    def log(self) -> str:
        return self.service.log.read_text(errors="replace") if self.service.log.exists() else ""

    async def answer(self, path: str) -> tuple[int, Any]:
        """Status and JSON of a GET; status 0 when nothing answers."""
        return await asyncio.to_thread(_get, f"http://127.0.0.1:{self.port}{path}")

    async def is_ready(self) -> bool:
        if not self.is_running:
            raise AssertionError(f"{self.name} has ended:\n{self.service.log_tail()}")
        return (await self.answer("/readyz"))[0] == 200

    async def wait_ready(self, deadline_s: float = START_S) -> None:
        try:
            await until(self.is_ready, f"{self.name} is ready", deadline_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.service.log_tail()}") from None

    async def stop(self) -> int:
        """Tell it to stop as an operator does; its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        try:
            return await asyncio.to_thread(self.service.wait, STOP_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not stop:\n{self.service.log_tail()}") from None


def _get(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, json.loads(response.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read() or b"null")
    except OSError:
        return 0, None


class Deployment:
    """The settings of one shop, and the processes that run it."""

    def __init__(self, folder: Path, broker: str, redis_url: str, prefix: str, **settings: str) -> None:
        self.folder, self.broker, self.redis_url, self.prefix = folder, broker, redis_url, prefix
        self.parts: list[Part] = []
        self.variables = {
            "FRESHET_BROKER": ";".join(f"kafka://{address}" for address in broker.split(",")),
            "FRESHET_REDIS": redis_url,
            "FRESHET_TOPIC_PREFIX": prefix,
            "FRESHET_PARTITIONS": "4",
            "FRESHET_IMAGE_ENCODER": "none",
            "COLUMNS": "400",
            **settings,
        }

    def part(self, *args: str, name: str = "", **settings: str) -> Part:
        """A part that is not started yet: `worker`, `trainer` or `gateway` with its options, and a data folder."""
        name = name or f"{args[0]}-{len(self.parts)}"
        (port,) = free_ports(1)
        variables = {**self.variables, "FRESHET_DATA_DIR": str(self.folder / name), **settings}
        variables["FRESHET_PORT" if args[0] == "gateway" else "FRESHET_STATUS_PORT"] = str(port)
        part = Part(name, list(args), variables, self.folder, port)
        self.parts.append(part)
        return part

    def start(self, *args: str, name: str = "", **settings: str) -> Part:
        part = self.part(*args, name=name, **settings)
        part.start()
        return part

    async def command(self, *args: str, input_folder: Path | None = None) -> "Outcome":
        """Run a `freshet` command to its end."""
        variables = {**self.variables, "FRESHET_DATA_DIR": str(self.folder / "command")}
        env = {key: value for key, value in os.environ.items() if not key.startswith("FRESHET_")}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli.main", *args),
            cwd=input_folder or self.folder,
            env={**env, **variables, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return Outcome(process.returncode or 0, out.decode(), err.decode())

    @property
    def settings(self) -> Settings:
        """What the processes read from their environment, as far as a test asks for it."""
        partitions = int(self.variables["FRESHET_PARTITIONS"])
        return Settings(topic_prefix=self.prefix, partitions=partitions, image_encoder="none")

    def kill_all(self) -> None:
        """End what a failed test has left, by its own pids; a supervised child dies with its parent."""
        for part in self.parts:
            part.service.kill()

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[AIOKafkaProducer]:
        """Kafka's own client, as a shop would use it."""
        # A message over 1 MiB is one of the bad ones: the broker takes a little more than the contract does.
        producer = AIOKafkaProducer(bootstrap_servers=self.broker, acks="all", max_request_size=1_200_000)
        begin_anew_when_lost(producer.client)
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[redis.asyncio.Redis]:
        client = redis.asyncio.Redis.from_url(self.redis_url)
        try:
            yield client
        finally:
            await client.aclose()

    async def records(self, topic: str) -> list[Record]:
        """Everything that stands in a topic (named without the prefix), each partition in order."""
        async with self._consumer(topic) as (consumer, partitions):
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            found: list[Record] = []
            while any([await consumer.position(at) < end for at, end in ends.items()]):
                for batch in (await consumer.getmany(timeout_ms=500)).values():
                    found += [
                        Record(m.topic, m.partition, m.offset, m.timestamp, m.key, m.value, tuple(m.headers))
                        for m in batch
                    ]
            return found

    async def end_offsets(self, topic: str) -> dict[int, int]:
        """The offset after the newest record of each partition of a topic."""
        async with self._consumer(topic) as (consumer, partitions):
            return {at.partition: end for at, end in (await consumer.end_offsets(partitions)).items()}

    @asynccontextmanager
    async def _consumer(self, topic: str) -> AsyncIterator[tuple[AIOKafkaConsumer, list[KafkaPartition]]]:
        name = self.prefix + topic
        counts = {spec.name: spec.partitions for spec in all_topics(self.settings)}
        partitions = [KafkaPartition(name, number) for number in range(counts[name])]
        consumer = AIOKafkaConsumer(bootstrap_servers=self.broker, enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign(partitions)
            yield consumer, partitions
        finally:
            await consumer.stop()


class Outcome:
    """How a command ended and what it said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
