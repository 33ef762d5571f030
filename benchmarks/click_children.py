"""The processes that `click_path` measures: our recommend worker, and the plainest agent there is."""

import asyncio
import json
import logging
import multiprocessing
import os
import resource
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import faust

from benchmarks.click_steps import measure_steps
from streams import topics
from streams.agents.recommend import ClickProcessor
from streams.policy import recommend_policy
from streams.processes import Worker, outside
from streams.settings import Settings
from streams.shared_views import SharedViews
from streams.until_stopped import running, use_quick_loops

LOOK_S = 0.002
SETTLE_S = 90.0
"""How long the neighbours of the items that were clicked may take before the measurement goes on without the rest."""


@dataclass(frozen=True)
class Usage:
    """What a process has done and used so far; CPU in seconds, `loop_s` of the event loop's thread alone."""

    at_s: float
    n_events: int
    n_batches: int
    cpu_s: float
    loop_s: float
    peak_mib: float
    rss_mib: float


def usage(n_events: int, n_batches: int) -> Usage:
    whole, loop = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_THREAD)
    with open("/proc/self/statm") as file:
        rss_mib = int(file.read().split()[1]) * resource.getpagesize() / 2**20
    return Usage(
        time.monotonic(),
        n_events,
        n_batches,
        whole.ru_utime + whole.ru_stime,
        loop.ru_utime + loop.ru_stime,
        whole.ru_maxrss / 1024,
        rss_mib,
    )


class Child:
    """A child process that says when it is ready and then answers: `usage`, `until` N events, `idle`, `latencies`."""

    def __init__(self, main: Any, *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self.started_s = time.monotonic()
        self.process = context.Process(target=main, args=(*arguments, theirs), daemon=True)
        self.process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def answer(self, within_s: float = 600.0) -> Any:
        if not self._ours.poll(within_s):
            raise TimeoutError(f"The child {self.pid} said nothing for {within_s:.0f} s.")
        return self._ours.recv()

    def ask(self, *question: Any) -> Any:
        self._ours.send(question)
        return self.answer()

    def tell(self, *question: Any) -> None:
        """Ask now, read the `answer` later."""
        self._ours.send(question)

    def stop(self) -> Any:
        """What it has to say at the end; it is gone afterwards."""
        try:
            return self.ask("stop")
        finally:
            self.process.join(30)
            if self.process.is_alive():
                os.kill(self.pid, 9)


async def _answer(counted: Any, pipe: Connection) -> None:
    """Answer until told to stop."""
    while True:
        question, *rest = await asyncio.to_thread(pipe.recv)
        if question == "stop":
            return
        asked_s = time.monotonic()
        while (question == "until" and counted.n_events < rest[0]) or (  # noqa: ASYNC110
            question == "idle" and not counted.is_idle and time.monotonic() < asked_s + SETTLE_S
        ):
            await asyncio.sleep(LOOK_S)
        pipe.send(counted.latencies_ms if question == "latencies" else usage(counted.n_events, counted.n_batches))


class OurWorker:
    """The recommend worker, as `freshet worker --role recommend` runs it."""

    def __init__(self, processor: ClickProcessor, views: SharedViews) -> None:
        self.processor, self.views = processor, views

    @property
    def n_events(self) -> int:
        return self.processor.counters.applied

    @property
    def n_batches(self) -> int:
        return self.processor.counters.batches

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to do in the background: neighbours computed, popularity sorted."""
        return not self.views.neighbours.pending


def run_ours(settings: Settings, pipe: Connection) -> None:
    logging.basicConfig(level=logging.WARNING)
    use_quick_loops()
    asyncio.run(_run_ours(settings, pipe))


async def _run_ours(settings: Settings, pipe: Connection) -> None:
    async with outside(settings) as parts:
        views = SharedViews(settings, parts.log, recommend_policy(settings))
        worker = Worker(parts, views, "recommend")
        async with running(views.run()):
            await worker.start()
            assert worker.processor is not None
            async with running(worker.run()):
                pipe.send(usage(0, 0))
                await _answer(OurWorker(worker.processor, views), pipe)
            # No click comes and no counts are published any more: the steps have the process to themselves.
            has_users = any(owned.states for owned in worker.processor.partitions.values())
            pipe.send(await measure_steps(worker.processor, parts) if has_users else None)
            await worker.stop()


class Plain:
    """An agent that decodes and nothing else."""

    def __init__(self) -> None:
        self.n_events = 0
        self.latencies_ms: list[float] = []
        self.is_idle = True

    @property
    def n_batches(self) -> int:
        return self.n_events


def run_plain(settings: Settings, pipe: Connection) -> None:
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(_run_plain(settings, pipe))


async def _run_plain(settings: Settings, pipe: Connection) -> None:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        settings.topic_prefix + "plain",
        broker=settings.broker,
        store="memory://",
        consumer_auto_offset_reset="earliest",
        topic_disable_leader=True,
        web_enabled=False,
        datadir=settings.data_dir / "plain",
    )
    clicks = app.topic(settings.topic_prefix + topics.CLICKS, value_type=bytes, value_serializer="raw")
    plain = Plain()

    @app.agent(clicks)  # type: ignore[untyped-decorator]
    async def decode(stream: Any) -> None:
        async for value in stream:
            click = json.loads(value)
            plain.n_events += 1
            plain.latencies_ms.append((time.time_ns() - click["sent_ns"]) / 1e6)

    app.finalize()
    await app.start()
    while not app.consumer.assignment():  # noqa: ASYNC110 - Faust has no event for it
        await asyncio.sleep(LOOK_S)
    pipe.send(usage(0, 0))
    await _answer(plain, pipe)
    await app.stop()
    pipe.send(None)
