"""What the lease on writing costs: a worker with it and one without, in turn, on backlogs of the same shop.

    python -m benchmarks.fence [--products 20000] [--backlog 20000] [--rounds 3]

Without it, the worker appends through the producer that everything else of its process uses.
"""

import argparse
import asyncio
import os
import platform
import statistics
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.click_children import Child, run_ours
from benchmarks.click_path import USERS, WARM_UP, Backlog, Clicks, fill, hold_still
from benchmarks.drawn_shop import DrawnShop
from benchmarks.services import Services, services
from streams import topics
from streams.log.open import open_log
from streams.processes import Worker
from streams.settings import Settings


def run_without(settings: Settings, pipe: Connection) -> None:
    """A worker as ever, but for its lease."""

    async def unfenced(self: Any, lease: Any) -> Any:
        return self._parts.log

    Worker._open_log = unfenced  # type: ignore[method-assign]
    run_ours(settings, pipe)


async def measure(running: Services, n_products: int, n: int, rounds: int) -> dict[str, list[Backlog]]:
    """Both kinds of worker in turn, the one that begins changing from round to round."""
    settings = running.settings("fence.")
    shop = DrawnShop(n_products, USERS)
    log = open_log(settings)
    await log.start()
    kinds = {"with": run_ours, "without": run_without}
    found: dict[str, list[Backlog]] = {kind: [] for kind in kinds}
    try:
        await log.create(topics.all_topics(settings))
        await fill(log, settings, shop)
        clicks = Clicks(shop, log, settings, rate=0)
        for number in range(rounds):
            for kind in sorted(kinds, reverse=number % 2 == 1):
                child = Child(kinds[kind], settings)
                child.answer()
                before = clicks.n_sent
                await clicks.send(WARM_UP)
                await asyncio.to_thread(child.ask, "until", clicks.n_sent - before)
                await asyncio.to_thread(child.ask, "idle")
                found[kind].append(await hold_still(child, clicks, n, clicks.n_sent - before + n))
                child.stop()
    finally:
        await log.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--products", type=int, default=20_000)
    parser.add_argument("--backlog", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with services() as running:
        found = asyncio.run(measure(running, options.products, options.backlog, options.rounds))
    print(f"\n| {options.products:,} products | clicks a second, each round | median | CPU µs a click |")
    print("| --- | --- | --- | --- |")
    medians = {}
    for kind, backlogs in found.items():
        speeds = [backlog.events_per_s for backlog in backlogs]
        medians[kind] = statistics.median(speeds)
        cpu_us = statistics.median(backlog.cpu_us for backlog in backlogs)
        each = ", ".join(f"{one:,.0f}" for one in speeds)
        print(f"| {kind} the lease | {each} | {medians[kind]:,.0f} | {cpu_us:,.0f} |")
    print(f"\nThe lease takes {100 * (1 - medians['with'] / medians['without']):.1f} % of the throughput.")
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{os.cpu_count()} cores ({platform.machine()}), load average at the end {load}.")


if __name__ == "__main__":
    main()
