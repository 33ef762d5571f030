"""The click path on real Kafka and Redis: click -> list latency at a steady rate, and throughput on a backlog.

Beside it, in the same run and on the same clicks, the plainest Faust agent there is: stock transport, `async for`,
`json.loads`, nothing else. Its latency ends where its body begins; ours where a reader hears that the list stands.

    python -m benchmarks.click_path [--products 20000 100000] [--seconds 60] [--backlog 30000] [--rate 500]
"""

import argparse
import asyncio
import contextlib
import os
import platform
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.click_children import Child, Usage, run_ours, run_plain
from benchmarks.click_steps import Steps
from benchmarks.drawn_shop import DrawnShop, click_value, user_id
from benchmarks.services import Services, services
from streams import topics
from streams.agents.restore import SHARED
from streams.log.base import Log, NewRecord
from streams.log.open import open_log
from streams.settings import Settings
from streams.stores.redis import RedisStore
from streams.wire.factors import MANIFEST_KEY

USERS = 2_000
WARM_UP = 20_000
"""Clicks before anything is measured: 10 for each user."""
SKIPPED = 0.1
"""The first tenth of a latency run is left out."""
AT_ONCE = 2_000
RESTORED_WITHIN_S = 600.0
LOOK_S = 0.5


@dataclass(frozen=True)
class Backlog:
    """How a process got through a backlog."""

    events_per_s: float
    cpu_us: float
    loop_us: float
    batch: float

    @classmethod
    def between(cls, start: Usage, released_s: float, end: Usage) -> "Backlog":
        n = end.n_events - start.n_events
        return cls(
            n / (end.at_s - released_s),
            1e6 * (end.cpu_s - start.cpu_s) / n,
            1e6 * (end.loop_s - start.loop_s) / n,
            n / max(1, end.n_batches - start.n_batches),
        )


@dataclass(frozen=True)
class Latency:
    """Milliseconds."""

    p50: float
    p99: float
    n: int

    @classmethod
    def of(cls, latencies_ms: Sequence[float]) -> "Latency":
        kept = np.array(latencies_ms[int(SKIPPED * len(latencies_ms)) :])
        return cls(float(np.percentile(kept, 50)), float(np.percentile(kept, 99)), len(kept))


@dataclass(frozen=True)
class Measured:
    """One shop's figures."""

    n_products: int
    rate: int
    latency: Latency
    plain_latency: Latency
    backlog: Backlog
    plain_backlog: Backlog
    users_per_event: float
    steps: Steps
    ready_s: float


class Clicks:
    """Where clicks come from: a log, and a shop whose users click, `rate` times a second where steadily."""

    def __init__(self, shop: DrawnShop, log: Log, settings: Settings, rate: int) -> None:
        self.n_sent = 0
        self.rate = rate
        self._shop, self._log = shop, log
        self._topic = settings.topic_prefix + topics.CLICKS

    async def send(self, n: int) -> None:
        """Append n clicks of drawn users, as fast as the log takes them."""
        users = self._shop.random_users(n)
        drawn = list(zip(users.tolist(), self._shop.click_items(users), strict=True))
        for start in range(0, n, AT_ONCE):
            await self._log.append_many([self._record(*click) for click in drawn[start : start + AT_ONCE]])

    async def send_steadily(self, seconds: float, on_sent: Callable[[str, int], None]) -> None:
        """Append clicks one by one at the rate; `on_sent` gets each one's user and time stamp, nanoseconds."""
        n = int(self.rate * seconds)
        users = self._shop.click_users(n)
        drawn = list(zip(users.tolist(), self._shop.click_items(users), strict=True))
        loop, sending = asyncio.get_running_loop(), set()
        begin_s = loop.time()
        for number, (user, item_id) in enumerate(drawn):
            if (wait_s := begin_s + number / self.rate - loop.time()) > 0:
                await asyncio.sleep(wait_s)
            sent_ns = time.time_ns()
            on_sent(user_id(user), sent_ns)
            task = loop.create_task(self._log.append(self._record(user, item_id, sent_ns)))
            sending.add(task)
            task.add_done_callback(sending.discard)
        await asyncio.gather(*sending)

    def _record(self, user: int, item_id: str, sent_ns: int | None = None) -> NewRecord:
        name = user_id(user)
        self.n_sent += 1
        value = click_value(f"e-{self.n_sent:09d}", name, item_id, sent_ns or time.time_ns())
        return NewRecord(self._topic, name.encode(), value)


async def measure(services: Services, n_products: int, seconds: float, n_backlog: int, rate: int) -> Measured:
    """Both processes one after the other, each on a backlog and at a steady rate."""
    settings = services.settings(f"shop{n_products}.")
    shop = DrawnShop(n_products, USERS)
    log = open_log(settings)
    await log.start()
    try:
        await log.create(topics.all_topics(settings))
        await fill(log, settings, shop)
        clicks = Clicks(shop, log, settings, rate)
        plain_backlog, plain_latency = await _measure_plain(settings, clicks, seconds, n_backlog)
        return await _measure_ours(settings, clicks, seconds, n_backlog, n_products, plain_backlog, plain_latency)
    finally:
        await log.stop()


async def fill(log: Log, settings: Settings, shop: DrawnShop) -> None:
    """Publish the shop's catalogue and model."""
    waiting: list[NewRecord] = []
    for record in shop.catalog_records(settings):
        waiting.append(record)
        if len(waiting) == AT_ONCE:
            await log.append_many(waiting)
            waiting.clear()
    await log.append_many(waiting)
    made = shop.generation()
    for key, value in made.chunks:
        await log.append(NewRecord(settings.topic_prefix + topics.ITEM_FACTORS, key, value, 0))
    await log.append(NewRecord(settings.topic_prefix + topics.MODELS, MANIFEST_KEY, made.manifest_value, 0))


async def _measure_plain(settings: Settings, clicks: Clicks, seconds: float, n: int) -> tuple[Backlog, Latency]:
    child = Child(run_plain, settings)
    child.answer()
    await clicks.send(1_000)
    child.ask("until", 1_000)
    backlog = await hold_still(child, clicks, n, clicks.n_sent + n)
    before = clicks.n_sent
    await clicks.send_steadily(seconds, lambda user, sent_ns: None)
    await asyncio.to_thread(child.ask, "until", clicks.n_sent)
    latencies_ms = child.ask("latencies")
    child.stop()
    return backlog, Latency.of(latencies_ms[before:])


async def _measure_ours(
    settings: Settings,
    clicks: Clicks,
    seconds: float,
    n: int,
    n_products: int,
    plain_backlog: Backlog,
    plain_latency: Latency,
) -> Measured:
    child = Child(run_ours, settings)
    ready: Usage = child.answer()
    await clicks.send(WARM_UP)
    await asyncio.to_thread(child.ask, "until", clicks.n_sent)
    await asyncio.to_thread(child.ask, "idle")
    await _until_redis_is_whole(settings)
    backlog = await hold_still(child, clicks, n, clicks.n_sent + n)
    await asyncio.to_thread(child.ask, "idle")
    latencies_ms = await listen(settings, clicks, seconds)
    steps = await asyncio.to_thread(child.stop)
    return Measured(
        n_products,
        clicks.rate,
        Latency.of(latencies_ms),
        plain_latency,
        backlog,
        plain_backlog,
        users_per_event(backlog.batch),
        steps,
        ready.at_s - child.started_s,
    )


async def _until_redis_is_whole(settings: Settings) -> None:
    """Wait until the worker has filled the Redis that it found empty: a shop's is full at most times."""
    store = RedisStore(settings.redis, settings.topic_prefix)
    life = await store.run_id()
    async with asyncio.timeout(RESTORED_WITHIN_S):
        while (await store.get_whole()).get(SHARED) != life:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)
    await store.close()


def users_per_event(batch: float) -> float:
    """Distinct users of a batch for each of its events, users being drawn evenly."""
    return float(USERS * (1 - (1 - 1 / USERS) ** batch) / batch)


async def hold_still(child: Child, clicks: Clicks, n: int, until: int) -> Backlog:
    """Have a process work off a backlog, and hold it still while that is appended, so that the two do not compete.

    Parameters
    ----------
    until : how many events the process will have taken since its start
    """
    start: Usage = child.ask("usage")
    with _stopped(child.pid):
        await clicks.send(n)
    released_s = time.monotonic()
    child.tell("until", until)
    return Backlog.between(start, released_s, await asyncio.to_thread(child.answer))


@contextlib.contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def listen(settings: Settings, clicks: Clicks, seconds: float) -> list[float]:
    """Milliseconds from each click to the message that its user's list was written, in the order of the clicks."""
    sent: dict[str, int] = {}
    latencies_ms: list[float] = []
    store = RedisStore(settings.redis, settings.topic_prefix)
    ready, n = asyncio.Event(), int(clicks.rate * seconds)

    async def hear() -> None:
        async for user in store.listen_lists(ready.set):
            sent_ns = sent.pop(user, None)
            if sent_ns is not None:
                latencies_ms.append((time.time_ns() - sent_ns) / 1e6)
                if len(latencies_ms) == n:
                    return

    listening = asyncio.create_task(hear())
    await ready.wait()
    await clicks.send_steadily(seconds, sent.__setitem__)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(listening, 30)
    await store.close()
    if len(latencies_ms) < n:
        print(f"{n - len(latencies_ms)} of {n} clicks were followed by the same user's next before a list was seen.")
    return latencies_ms


def report(found: Sequence[Measured]) -> None:
    print("\n| products | | p50 ms | p99 ms | plain p50 | plain p99 | ratio p50 | ratio p99 |")
    print("| ---: | --- |" + " ---: |" * 6)
    for each in found:
        print(_latency_row(each))
    print("\n| products | events/s | plain | ratio | CPU µs/event | its loop alone | plain | T, µs | aim | batch |")
    print("| ---: |" + " ---: |" * 9)
    for each in found:
        print(_backlog_row(each))
    print("\n| products | decode | fold | rank | encode | append | Redis | rest | list B | state B | history |")
    print("| ---: |" + " ---: |" * 10)
    for each in found:
        print(_share_row(each))


def _latency_row(measured: Measured) -> str:
    ours, plain = measured.latency, measured.plain_latency
    return (
        f"| {measured.n_products:,} | click → list at {measured.rate}/s "
        f"| {ours.p50:.1f} | {ours.p99:.1f} | {plain.p50:.1f} | "
        f"{plain.p99:.1f} | {ours.p50 / plain.p50:.1f} | {ours.p99 / plain.p99:.1f} |"
    )


def _backlog_row(measured: Measured) -> str:
    ours, plain, core = measured.backlog, measured.plain_backlog, measured.steps.core
    return (
        f"| {measured.n_products:,} | {ours.events_per_s:,.0f} | {plain.events_per_s:,.0f} | "
        f"{ours.events_per_s / plain.events_per_s:.2f} | {ours.cpu_us:.0f} | {ours.loop_us:.0f} | "
        f"{plain.cpu_us:.0f} | {core:.0f} | {1.25 * (36 + 0.8 * core):.0f} | {ours.batch:.0f} |"
    )


def _share_row(measured: Measured) -> str:
    steps, per_event = measured.steps, measured.users_per_event
    total = measured.backlog.cpu_us
    parts = [
        steps.decode,
        steps.fold,
        *(per_event * us for us in (steps.rank, steps.encode, steps.append, steps.redis)),
    ]
    cells = [f"{us:.0f} µs, {100 * us / total:.0f} %" for us in (*parts, total - sum(parts))]
    sizes = f"{steps.list_bytes:,.0f} | {steps.state_bytes:,.0f} | {steps.history:.0f}"
    return f"| {measured.n_products:,} | {' | '.join(cells)} | {sizes} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--products", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--backlog", type=int, default=30_000)
    parser.add_argument("--rate", type=int, default=500, help="clicks a second in the latency run")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with services() as running:
        found = [
            asyncio.run(measure(running, n, options.seconds, options.backlog, options.rate)) for n in options.products
        ]
    report(found)
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"\n{os.cpu_count()} cores ({platform.machine()}), load average at the end {load}.")


if __name__ == "__main__":
    main()
