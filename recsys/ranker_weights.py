"""The weights that every shop starts with, before its own clicks have taught better ones.

Learned from two logs, the same for all users: film ratings of the tenth before the last, and lines among the first
80,000 of a shop's 396,000; by a trial that became `benchmarks.ranker_weights`, whose weights will differ a little:
`python -m benchmarks.ranker_weights online-retail/events.csv.xz:0 ml-latest-small/events.csv.xz` prints them. What
content weighs is set by hand, as those logs say nothing of it; own items weigh nothing until a shop's clicks say so.
"""

import numpy as np

from recsys.ranker import FEATURES, N_FEATURES, N_ROWS, VERSION, Floats, RankerWeights

FOR_EVERYBODY: dict[str, float] = {
    "factors": 0.46,
    "factors, bent": 0.37,
    "together": -0.16,
    "together, bent": -0.30,
    "with the newest item": 0.10,
    "with the newest item, bent": 0.09,
    "together, long": 0.68,
    "together, long, bent": 1.07,
    "in the session": 0.38,
    "in the session, bent": -0.10,
    "with one item": 0.58,
    "with one item, bent": 1.93,
    "with one of the session": 1.05,
    "with one of the session, bent": -0.14,
    "after the newest": -0.12,
    "after the newest, bent": 0.35,
    "own": 0.00,
    "own, bent": 0.00,
    "own, newness": 0.00,
    "own, newness, bent": 0.00,
    "content": 0.25,
    "content, bent": 0.25,
    "factors, unscaled": 1.04,
    "together, unscaled": 0.80,
    "with one item, unscaled": 0.14,
    "popularity": 0.03,
    "popularity, log": -0.25,
    "popularity of late": 0.30,
    "popularity of late, log": 0.35,
    "popularity for long": 0.44,
    "popularity for long, log": 0.97,
    "times touched": -2.56,
    "times touched, log": 2.63,
}


def _table() -> Floats:
    table = np.zeros((N_ROWS, N_FEATURES))
    table[0] = [FOR_EVERYBODY[name] for name, _ in FEATURES]
    return table


LEARNED = RankerWeights(_table(), VERSION)
