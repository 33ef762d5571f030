"""What a worker needs: memory for each product and each user, and the time from its start until it is ready.

python -m benchmarks.footprint [--products 20000 100000]
"""

import argparse
import asyncio
import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.click_children import Child, Usage, run_ours
from benchmarks.click_path import fill
from benchmarks.drawn_shop import NOW_MS, DrawnShop, user_id
from benchmarks.services import Services, services
from recsys.events import ACTION_CODE, Action
from recsys.history import Interaction, UserState, decode_state, encode_state, short_hash
from streams import topics
from streams.log.open import open_log

USERS = 20_000
HISTORIES = (15, 50, 200)
SNAPSHOT_WITHIN_S = 120.0


@dataclass(frozen=True)
class Start:
    """One start of a worker."""

    seconds: float
    rss_mib: float


def rss_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def user_bytes(history: int) -> tuple[float, int]:
    """Bytes of memory that a worker holds for a user of so many interactions, and bytes of the stored state."""
    click = ACTION_CODE[Action.CLICK]
    deeds = [Interaction(f"p-{number:07d}", click, NOW_MS + number, 1.0, number) for number in range(history)]
    events = {short_hash(f"e-{number}"): NOW_MS + number for number in range(history)}
    packed = encode_state(UserState(history=deeds, events=events, seen={}, queries=[], watermark_ms=NOW_MS))
    before = rss_bytes()
    states = {user_id(number): decode_state(packed) for number in range(USERS)}
    return (rss_bytes() - before) / len(states), len(packed)


async def starts(services: Services, n_products: int) -> tuple[Start, Start]:
    """A cold start, from the topics alone, and a warm one, from the snapshot that the first one left."""
    settings = services.settings(f"start{n_products}.")
    shop = DrawnShop(n_products, 1_000)
    log = open_log(settings)
    await log.start()
    await log.create(topics.all_topics(settings))
    await fill(log, settings, shop)
    await log.stop()
    cold = Child(run_ours, settings)
    cold_usage: Usage = await asyncio.to_thread(cold.answer)
    await asyncio.to_thread(_wait_for_snapshot, settings.data_dir / "snapshots")
    await asyncio.to_thread(cold.stop)
    warm = Child(run_ours, settings)
    warm_usage: Usage = await asyncio.to_thread(warm.answer)
    await asyncio.to_thread(warm.stop)
    return (
        Start(cold_usage.at_s - cold.started_s, cold_usage.rss_mib),
        Start(warm_usage.at_s - warm.started_s, warm_usage.rss_mib),
    )


def _wait_for_snapshot(folder: Path) -> None:
    end_s = time.monotonic() + SNAPSHOT_WITHIN_S
    while not any(folder.glob("*")) and time.monotonic() < end_s:
        time.sleep(0.2)
    time.sleep(2.0)  # it is being written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--products", type=int, nargs="+", default=[20_000, 100_000])
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print("\n| interactions of a user | bytes in a worker | bytes stored |\n| ---: | ---: | ---: |")
    for history in HISTORIES:
        held, stored = user_bytes(history)
        print(f"| {history} | {held:,.0f} | {stored:,} |")
    found: dict[int, Start] = {}
    print("\n| products | start to ready, cold | warm | resident, cold | warm |\n| ---: | ---: | ---: | ---: | ---: |")
    with services() as running:
        for n in options.products:
            cold, warm = asyncio.run(starts(running, n))
            found[n] = cold
            cells = f"{cold.seconds:.1f} s | {warm.seconds:.1f} s | {cold.rss_mib:,.0f} MiB | {warm.rss_mib:,.0f} MiB"
            print(f"| {n:,} | {cells} |")
    fewest, most = min(found), max(found)
    if most > fewest:
        grown = (found[most].rss_mib - found[fewest].rss_mib) * 2**20 / (most - fewest)
        print(f"\n{grown:,.0f} bytes of memory a product: fields, words, a text vector of 384 numbers, 64 factors.")
    print(f"{os.cpu_count()} cores, load average at the end {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
