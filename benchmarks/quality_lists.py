"""How good the lists are on real logs: `python -m benchmarks.quality_lists [--seeds N] [--methods NAMES] [ROW …]`.

Each row is a run of `freshet evaluate` (docs/quality.md says what is measured) on a log of `shared/data`, with all
baselines beside Freshet. The shuffled row is the mean of N runs, 5 by default; all rows take some hours on two cores,
most of it the baselines': `--methods popularity --seeds 1` takes 15 minutes.
"""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parents[2] / "shared" / "data"
ROWS = {
    "retail-shuffled": ("online-retail", ["--shuffle", "{seed}"]),
    "retail-basket": ("online-retail", ["--basket"]),
    "retail-repeat-basket": ("online-retail", ["--repeat", "--basket"]),
    "films": ("ml-latest-small", []),
}
METRICS = ("HR@10", "NDCG@10", "HR@100")


def measured(log: str, options: list[str], methods: str) -> dict[str, Any]:
    """The report of one evaluation."""
    command = [sys.executable, "-m", "gateway.cli.main", "evaluate", str(DATA / log / "events.csv.xz"), *options]
    run = subprocess.run([*command, "--methods", methods, "--json", "-"], stdout=subprocess.PIPE, check=True)
    report: dict[str, Any] = json.loads(run.stdout)
    return report


def show(name: str, reports: list[dict[str, Any]]) -> None:
    """One row as a table: means over its runs, and what Freshet's figure is beside the best baseline's."""
    figures: dict[str, list[list[float]]] = defaultdict(list)
    for report in reports:
        for method, of_method in report["figures"].items():
            figures[method].append([of_method[metric] for metric in METRICS])
    means = {method: np.mean(runs, axis=0) for method, runs in figures.items()}
    print(f"\n{name} ({reports[0]['events']:,} events, runs: {len(reports)})\n")
    print(f"| method | {' | '.join(METRICS)} |\n| --- | {' | '.join('---:' for _ in METRICS)} |")
    for method, values in means.items():
        print(f"| {method} | {' | '.join(f'{value:.4f}' for value in values)} |")
    others = [values for method, values in means.items() if method != "freshet"]
    if others:
        ratios = means["freshet"] / np.max(others, axis=0)
        print(f"| freshet / best of the others | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")
    us = np.mean([report["speed"]["freshet"]["us_per_list"] for report in reports])
    print(f"\n{us:.0f} µs of wall time a list.", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", default="all")
    given = parser.parse_args()
    if unknown := set(given.rows) - set(ROWS):
        parser.error(f"there is no row {unknown.pop()}; there are {', '.join(ROWS)}")
    for name in given.rows or ROWS:
        log, options = ROWS[name]
        seeds = range(given.seeds) if any("{seed}" in option for option in options) else range(1)
        show(
            name,
            [measured(log, [option.format(seed=seed) for option in options], given.methods) for seed in seeds],
        )


if __name__ == "__main__":
    main()
