"""Learn the ranker's weights from event logs: `python -m benchmarks.ranker_weights LOG[:SEED] …` prints them.

Of each log the first nine tenths alone are used, so that the last can be measured (`freshet evaluate`): 80 % are only
learned from by the recommender, the lists of the rest teach the ranker. With SEED, events of one user and time are put
in random order. The logs' lists take turns, those of the shorter logs more than once.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import threadpoolctl

from gateway.cli.evaluate import freshet, read_clicks
from recsys.choices import choices
from recsys.evaluation.order import Protocol, arrange
from recsys.history import UserState
from recsys.ranker import FEATURES, Floats, RankerTraining
from streams.event_files import ColumnNames
from streams.settings import read_settings

SHARE, UP_TO = 0.8, 0.9
PASSES = 2
NAMES = ColumnNames("user", "item", "ts", "basket", "type", "value")
CONTENT = 0.5
"""Set by hand: the logs say nothing of content."""

Lesson = tuple[Floats, int, int]
"""Features of what could be chosen, what was, and how many recent items the user had."""


def lessons(file: Path, seed: int | None) -> Iterator[Lesson]:
    protocol = Protocol(shuffle=seed)
    clicks, _ = read_clicks(file, NAMES, None)
    log = arrange(clicks, protocol)
    ours = freshet(read_settings(), protocol, [])
    learner = ours.learner
    for number, (click,) in enumerate(log.groups[: int(UP_TO * log.n_events)]):
        if number == int(SHARE * log.n_events):
            ours.begin()
        if number >= int(SHARE * log.n_events):
            learner.look()
            state = learner.states.get(click.user_id) or UserState()
            could = choices(state, learner.views, learner.policy)
            places = np.flatnonzero(could.rows == learner.items.row(click.item_id))
            if len(places):
                yield could.features.astype(np.float32), int(places[0]), could.n_recent
        ours.learn(click, 0)


def main(logs: list[str]) -> None:
    taught: list[list[Lesson]] = []
    with threadpoolctl.threadpool_limits(1):
        for log in logs:
            name, _, seed = log.partition(":")
            taught.append(list(lessons(Path(name), int(seed) if seed else None)))
            print(f"{log}: {len(taught[-1])} lists", file=sys.stderr)
    training = RankerTraining()
    rng = np.random.default_rng(0)
    longest = max(len(of_log) for of_log in taught)
    for turn in range(PASSES):
        places = rng.permutation(longest).tolist()
        losses = [training.step(*of_log[place % len(of_log)]) for place in places for of_log in taught]
        print(f"pass {turn + 1}: {np.mean(losses):.4f} nats a list", file=sys.stderr)
    table = training.table()
    table[:, [name for name, _ in FEATURES].index("content")] = CONTENT
    for row in table.round(2).tolist():
        print(f"    {row},")


if __name__ == "__main__":
    main(sys.argv[1:])
