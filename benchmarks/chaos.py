"""Faults under load, each row with a seed: `make chaos ROW=kill CYCLES=20 SEED=7`.

Runs a row in rounds of a few cycles, each in a shop of its own, and checks after each round that states, counts, dead
letters and lists equal the reference fold. Each round appends one JSON line to `build/chaos/log.jsonl`; a round whose
line says that it went well is not run again, so a stopped run goes on where it was.
"""

import argparse
import asyncio
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.chaos_rows import ON_A_CLUSTER, ON_DEMAND, ROWS
from benchmarks.chaos_shop import open_shop
from streams.until_stopped import first_of

LOG = Path("build/chaos/log.jsonl")
IN_ONE_SHOP = {"poison": 100_000, "duplicates": 200}
"""Cycles that share a shop; 10 where a row is not named."""


async def run_round(row: str, cycles: int, seed: str) -> dict[str, Any]:
    """One round in a shop of its own; what was counted, or how it failed."""
    step, _ = ROWS[row]
    started = time.monotonic()
    result: dict[str, Any] = {"row": row, "seed": seed, "cycles": cycles, "at": time.strftime("%FT%TZ", time.gmtime())}
    try:
        async with open_shop(f"{row} {seed}", on_cluster=row in ON_A_CLUSTER) as shop:
            await step(shop, cycles)
            result["counts"] = await shop.check()
        result["result"] = "passed"
    except (AssertionError, BaseExceptionGroup) as error:
        first = first_of(error) if isinstance(error, BaseExceptionGroup) else error
        result["result"] = "failed"
        result["error"] = f"{type(first).__name__}: {first}"[:2000]
    result["seconds"] = round(time.monotonic() - started, 1)
    return result


def passed(log: Path) -> set[tuple[str, str, int]]:
    """Rounds that went well, by row, seed and cycles."""
    if not log.exists():
        return set()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return {(line["row"], line["seed"], line["cycles"]) for line in lines if line["result"] == "passed"}


def rounds(row: str, cycles: int, seed: int) -> list[tuple[str, int]]:
    """Seeds and numbers of cycles of the rounds that make up a run."""
    size = IN_ONE_SHOP.get(row, 10)
    return [(f"{seed}-{start // size}", min(size, cycles - start)) for start in range(0, cycles, size)]


def main() -> int:
    """Run one row or all of them; the number of rounds that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", choices=[*ROWS, "all"], default="all")
    parser.add_argument("--cycles", type=int, default=0, help="0 for as many as every change is tested with, or a few")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of each try while the broker is away
    LOG.parent.mkdir(parents=True, exist_ok=True)
    done, failed = passed(LOG), 0
    for row in ROWS if given.row == "all" else [given.row]:
        for seed, cycles in rounds(row, given.cycles or ROWS[row][1] or ON_DEMAND, given.seed):
            if (row, seed, cycles) in done:
                continue
            result = asyncio.run(run_round(row, cycles, seed))
            failed += result["result"] != "passed"
            with LOG.open("a") as log:
                log.write(json.dumps(result) + "\n")
            print(json.dumps(result), flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
