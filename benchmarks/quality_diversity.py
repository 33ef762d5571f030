"""What list rules cost and bring: `python -m benchmarks.quality_diversity [LOG ITEMS] [--last N]`.

A replay as that of `freshet evaluate --items`, of the newest N events. At each choice lists are made under several
rules from the same state and views: how many hold what was chosen, how much alike their first ten items are, and how
many kinds (whole category paths) are among these.
"""

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import threadpoolctl

from benchmarks.quality_lists import DATA
from gateway.cli.evaluate import freshet, read_clicks
from gateway.cli.evaluated_items import read_items
from recsys.evaluation.figures import Bootstrap, column
from recsys.evaluation.order import Protocol, arrange
from recsys.history import UserState
from recsys.list_rules import ListRules
from recsys.refresh import rank_for
from recsys.signatures import similarity
from streams.event_files import ColumnNames
from streams.settings import read_settings

NAMES = ColumnNames("user", "item", "ts", "basket", "type", "value")
RULES = {
    "none": ListRules(),
    **{f"diversity {strength}": ListRules(diversity=strength) for strength in (0.02, 0.05, 0.1, 0.2, 0.3)},
    "near duplicates .95": ListRules(near_duplicates=0.95),
    "near duplicates .8": ListRules(near_duplicates=0.8),
    "2 of a category": ListRules(most_per_category=2),
}
SHOWN = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    films = DATA / "ml-latest-small"
    parser.add_argument("log", nargs="?", type=Path, default=films / "events.csv.xz")
    parser.add_argument("items", nargs="?", type=Path, default=films / "items.csv.xz")
    parser.add_argument("--last", type=int, default=40_000, help="newest events of the log")
    given = parser.parse_args()
    with threadpoolctl.threadpool_limits(1):
        measure(given.log, given.items, given.last)


def measure(file: Path, items: Path, last: int) -> None:
    """Print the table."""
    settings = read_settings(diversity=0.1)  # so that what items are like is kept
    clicks, _ = read_clicks(file, NAMES, None)
    log = arrange(sorted(clicks, key=lambda click: click.ts_ms)[-last:], Protocol())
    catalogue = read_items(items, settings)
    ours = freshet(settings, Protocol(), list(catalogue), catalogue, log.n_history)
    learner, users, has_begun = ours.learner, list[str](), False
    policies = {name: replace(learner.policy, rules=rules) for name, rules in RULES.items()}
    ranks: dict[str, list[float | None]] = defaultdict(list)
    alike: dict[str, list[float]] = defaultdict(list)
    kinds: dict[str, list[int]] = defaultdict(list)
    for (click,) in log.groups:
        if learner.n_events >= log.n_history:
            if not has_begun:
                ours.begin()
                has_begun = True
            learner.look()
            state = learner.states.get(click.user_id) or UserState()
            users.append(click.user_id)
            for name, policy in policies.items():
                top = [item.item_id for item in rank_for(state, learner.views, policy, n=settings.top_k).items]
                ranks[name].append(float(top.index(click.item_id) + 1) if click.item_id in top else None)
                bits = learner.traits.signatures.of(learner.items.rows(top[:SHOWN]))[1]
                pairs = [similarity(one, other) for at, one in enumerate(bits) for other in bits[:at]]
                alike[name].append(float(np.mean(pairs)) if pairs else 0.0)
                kinds[name].append(len({catalogue.get(item_id).category for item_id in top[:SHOWN]}))
        ours.expect(click.user_id, [click.item_id])
        ours.learn(click, 0)
    bootstrap, base = Bootstrap(users), column(ranks["none"], "HR@10")
    print(f"{file.parent.name}, newest {last:,} events, {len(users):,} predicted\n")
    print("| rules | HR@10 | NDCG@10 | HR@10, change (95 %, by users) | likeness of the first ten | categories |")
    print("| --- | ---: | ---: | --- | ---: | ---: |")
    for name, of_rules in ranks.items():
        hits, gain = column(of_rules, "HR@10"), column(of_rules, "NDCG@10").mean()
        low, high = (100 * bound / base.mean() for bound in bootstrap.interval(hits - base))
        change = f"{100 * (hits - base).mean() / base.mean():+.1f} % ({low:+.1f} to {high:+.1f})"
        varied = f"{np.mean(alike[name]):.3f} | {np.mean(kinds[name]):.1f}"
        print(f"| {name} | {hits.mean():.4f} | {gain:.4f} | {change} | {varied} |")


if __name__ == "__main__":
    main()
