"""What bad messages cost good ones: click -> list latency at a steady rate, alone and beside as many bad messages.

python -m benchmarks.poison [--products 2000] [--seconds 20] [--rate 200] [--rounds 2]
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import platform
from collections.abc import AsyncIterator

import numpy as np

from benchmarks.chaos_shop import POISON
from benchmarks.click_children import Child, run_ours
from benchmarks.click_path import USERS, WARM_UP, Clicks, fill, listen
from benchmarks.drawn_shop import DrawnShop
from benchmarks.services import Services, services
from streams import topics
from streams.log.base import Log, NewRecord
from streams.log.open import open_log
from streams.settings import Settings

KINDS = ("alone", "beside bad ones")


@contextlib.asynccontextmanager
async def spoilt(log: Log, settings: Settings, rate: int) -> AsyncIterator[None]:
    """Bad messages come in while the block lasts, so many a second, to all partitions."""

    async def spoil() -> None:
        loop = asyncio.get_running_loop()
        begin_s = loop.time()
        for number, value in enumerate(itertools.cycle(POISON)):
            await asyncio.sleep(max(0.0, begin_s + number / rate - loop.time()))
            sending.add(task := loop.create_task(log.append(NewRecord(topic, b"%d" % number, value))))
            task.add_done_callback(sending.discard)

    topic = settings.topic_prefix + topics.CLICKS
    sending: set[asyncio.Task[object]] = set()
    spoiling = asyncio.create_task(spoil())
    try:
        yield
    finally:
        spoiling.cancel()
        await asyncio.gather(spoiling, *sending, return_exceptions=True)


async def measure(running: Services, n_products: int, seconds: float, rate: int, rounds: int) -> dict[str, list[float]]:
    """Latencies in milliseconds, the two kinds in turn."""
    settings = running.settings("poison.")
    shop = DrawnShop(n_products, USERS)
    log = open_log(settings)
    await log.start()
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    try:
        await log.create(topics.all_topics(settings))
        await fill(log, settings, shop)
        clicks = Clicks(shop, log, settings, rate)
        child = Child(run_ours, settings)
        child.answer()
        await clicks.send(WARM_UP)
        await asyncio.to_thread(child.ask, "until", clicks.n_sent)
        await asyncio.to_thread(child.ask, "idle")
        for _ in range(rounds):
            found["alone"] += await listen(settings, clicks, seconds)
            async with spoilt(log, settings, rate):
                found["beside bad ones"] += await listen(settings, clicks, seconds)
        child.stop()
    finally:
        await log.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--products", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=int, default=200, help="good clicks a second, and bad ones")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with services() as running:
        found = asyncio.run(measure(running, options.products, options.seconds, options.rate, options.rounds))
    print(f"\n| good clicks, {options.rate} a second | lists seen | p50 ms | p99 ms |\n| --- | --- | --- | --- |")
    for kind, latencies_ms in found.items():
        p50, p99 = np.percentile(latencies_ms, (50, 99))
        print(f"| {kind} | {len(latencies_ms):,} | {p50:.1f} | {p99:.1f} |")
    alone, beside = (float(np.percentile(found[kind], 99)) for kind in KINDS)
    print(f"\nBad messages multiply the p99 of good ones by {beside / alone:.2f}.")
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{os.cpu_count()} cores ({platform.machine()}), load average at the end {load}.")


if __name__ == "__main__":
    main()
