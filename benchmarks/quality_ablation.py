"""What each signal brings: `python -m benchmarks.quality_ablation [LOG] [--last N] [--basket] [--repeat]`.

A replay as that of `freshet evaluate`, of the newest N events. Beside the ranker as it is, others learn from the same
candidates at the same moments, each with the features of one signal zeroed from the start, so that all are compared
choice by choice in one pass. Candidates stay the same: what a signal brings by finding items is not in the table.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import threadpoolctl

from benchmarks.quality_lists import DATA
from gateway.cli.evaluate import freshet, read_clicks
from recsys.choices import Choices, choices
from recsys.evaluation.figures import Bootstrap, column
from recsys.evaluation.learner import LESSONS
from recsys.evaluation.order import Protocol, arrange
from recsys.history import UserState
from recsys.ranker import FEATURES, Floats, RankerWeights
from recsys.ranker_training import Lesson, RankerTraining, TrainingPolicy
from recsys.ranker_weights import LEARNED
from streams.event_files import ColumnNames
from streams.settings import read_settings

NAMES = ColumnNames("user", "item", "ts", "basket", "type", "value")
SIGNALS: dict[str, tuple[str, ...]] = {
    "popularity": ("popularity", "times touched"),
    "what goes together": ("together", "with the newest item", "with one item"),
    "the same within the session": ("in the session", "with one of the session"),
    "what comes next": ("after the newest",),
    "factors": ("factors",),
    "own items": ("own",),
}
"""Beginnings of the names of each signal's features."""
LONGEST = 100
"""Places of a list that are looked at."""
METRICS = ("HR@10", "NDCG@10", "HR@100")


@dataclass
class Arm:
    """A ranker that learns without some features."""

    name: str
    mask: Floats
    policy: TrainingPolicy = field(default_factory=TrainingPolicy)
    ranks: list[float | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.training = RankerTraining(RankerWeights(LEARNED.table * self.mask, self.name), self.policy)

    def predict(self, could: Choices, chosen: Sequence[int | None]) -> None:
        """Rank each chosen place; None for what is no candidate."""
        rows = [0, *could.context.tolist()]
        scores = (could.features * self.mask) @ self.training.table[rows].sum(axis=0)
        for place in chosen:
            rank = None if place is None else 1.0 + float(np.count_nonzero(scores > scores[place]))
            self.ranks.append(rank if rank is not None and rank <= LONGEST else None)

    def learn(self, could: Choices, chosen: Sequence[int]) -> None:
        places = np.array(chosen, dtype=np.intp)
        self.training.step(Lesson(could.features * self.mask, places, could.context))


def arms() -> list[Arm]:
    """The whole ranker first, then one without each signal, then one with the same weights for all users."""
    whole = np.ones(len(FEATURES))
    found = [Arm("all of it", whole)]
    for signal, beginnings in SIGNALS.items():
        mask = np.array([float(not name.startswith(beginnings)) for name, _ in FEATURES])
        found.append(Arm(f"without {signal}", mask))
    same = replace(TrainingPolicy(), own_rate=0.0)
    return [*found, Arm("without weights by length of history and session", whole, same)]


def measured(file: Path, last: int, protocol: Protocol) -> tuple[list[str], list[Arm]]:
    """Whose choices were foretold, and the arms with a rank for each."""
    clicks, _ = read_clicks(file, NAMES, None)
    log = arrange(sorted(clicks, key=lambda click: click.ts_ms)[-last:], protocol)
    ours = freshet(read_settings(), protocol, [], n_history=log.n_events)
    learner, compared, users = ours.learner, arms(), list[str]()
    due = [max(0, log.n_history - LESSONS), log.n_history]
    for group in log.groups:
        while due and learner.n_events >= due[0]:
            ours.begin()
            due.pop(0)
        user_id = group[0].user_id
        if len(due) < 2:
            learner.look()
            could = choices(learner.states.get(user_id) or UserState(), learner.views, learner.policy)
            known = {row: place for place, row in enumerate(could.rows.tolist())}
            chosen = [known.get(row) for row in learner.items.rows([click.item_id for click in group]).tolist()]
            lesson = sorted({place for place in chosen if place is not None})
            for arm in compared:
                if not due:
                    arm.predict(could, chosen)
                if lesson:
                    arm.learn(could, lesson)
            if not due:
                users += [user_id] * len(chosen)
        for click in group:
            ours.learn(click, 0)
    return users, compared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", nargs="?", type=Path, default=DATA / "ml-latest-small" / "events.csv.xz")
    parser.add_argument("--last", type=int, default=50_000, help="newest events of the log")
    parser.add_argument("--basket", action="store_true")
    parser.add_argument("--repeat", action="store_true")
    given = parser.parse_args()
    with threadpoolctl.threadpool_limits(1):
        users, compared = measured(given.log, given.last, Protocol(repeat=given.repeat, basket=given.basket))
    bootstrap, whole = Bootstrap(users), compared[0]
    print(f"{given.log.parent.name}, newest {given.last:,} events, {len(users):,} predicted\n")
    print(f"| ranker | {' | '.join(METRICS)} | HR@10, change (95 %, by users) |\n| --- | ---: | ---: | ---: | --- |")
    base = column(whole.ranks, "HR@10")
    for arm in compared:
        figures = " | ".join(f"{column(arm.ranks, metric).mean():.4f}" for metric in METRICS)
        change = column(arm.ranks, "HR@10") - base
        low, high = (100 * bound / base.mean() for bound in bootstrap.interval(change))
        shown = "" if arm is whole else f"{100 * change.mean() / base.mean():+.1f} % ({low:+.1f} to {high:+.1f})"
        print(f"| {arm.name} | {figures} | {shown} |")


if __name__ == "__main__":
    main()
