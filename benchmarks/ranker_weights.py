"""Learn the weights that every shop starts with: `python -m benchmarks.ranker_weights LOG[:SEED] …` prints them.

Of each log the first nine tenths alone are used, so that the last can be measured (`freshet evaluate`): 80 % are only
learned from by the recommender, the lists of the rest teach the ranker. With SEED, events of one user and time are put
in random order. The logs' lists take turns, those of the shorter logs more than once. Only weights for everybody are
learned: those by length of the history and of the session are a shop's own.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import threadpoolctl

from gateway.cli.evaluate import freshet, read_clicks
from recsys.evaluation.order import Protocol, arrange
from recsys.ranker import FEATURES
from recsys.ranker_training import Lesson, RankerTraining, TrainingPolicy
from streams.event_files import ColumnNames
from streams.settings import read_settings

SHARE, UP_TO = 0.8, 0.9
PASSES = 2
NAMES = ColumnNames("user", "item", "ts", "basket", "type", "value")
CONTENT = 0.25
"""Set by hand: the logs say nothing of content."""


def lessons(file: Path, seed: int | None) -> Iterator[Lesson]:
    """What was chosen in the tenth before the last, and from what."""
    protocol = Protocol(shuffle=seed)
    clicks, _ = read_clicks(file, NAMES, None)
    log = arrange(clicks, protocol)
    ours = freshet(read_settings(), protocol, [], n_history=log.n_events)
    for number, (click,) in enumerate(log.groups[: int(UP_TO * log.n_events)]):
        if number == int(SHARE * log.n_events):
            ours.begin()
        if number >= int(SHARE * log.n_events):
            lesson = ours.learner.lesson(click.user_id, [click.item_id])
            if lesson is not None:
                yield Lesson(lesson.given.astype(np.float32), lesson.chosen, lesson.context)
        ours.learn(click, 0)


def main(logs: list[str]) -> None:
    taught: list[list[Lesson]] = []
    with threadpoolctl.threadpool_limits(1):
        for log in logs:
            name, _, seed = log.partition(":")
            taught.append(list(lessons(Path(name), int(seed) if seed else None)))
            print(f"{log}: {len(taught[-1])} lists", file=sys.stderr)
    training = RankerTraining(policy=TrainingPolicy(rate=0.02, own_rate=0.0))
    rng = np.random.default_rng(0)
    longest = max(len(of_log) for of_log in taught)
    for turn in range(PASSES):
        places = rng.permutation(longest).tolist()
        losses: list[float] = []
        for of_log in (of_log for _ in places for of_log in taught):
            lesson = of_log[places[len(losses) // len(taught)] % len(of_log)]
            losses.append(training.step(Lesson(lesson.given.astype(np.float64), lesson.chosen, lesson.context)))
        print(f"pass {turn + 1}: {np.mean(losses):.4f} nats a list", file=sys.stderr)
    for (name, _), weight in zip(FEATURES, training.table[0].tolist(), strict=True):
        print(f'    "{name}": {CONTENT if name.startswith("content") else weight:.2f},')


if __name__ == "__main__":
    main(sys.argv[1:])
