"""The weights that every shop starts with, before its own clicks have taught better ones.

Learned from the first nine tenths of two logs, a shop's and film ratings, the same for all users:
`python -m benchmarks.ranker_weights online-retail/events.csv.xz:0 ml-latest-small/events.csv.xz` makes them anew. What
content weighs is set by hand, as those logs say nothing of it; own items weigh nothing until a shop's clicks say so.
"""

import numpy as np

from recsys.ranker import FEATURES, N_FEATURES, N_ROWS, VERSION, Floats, RankerWeights

FOR_EVERYBODY: dict[str, float] = {
    "factors": 0.37,
    "factors, bent": -0.13,
    "together": 0.53,
    "together, bent": -0.51,
    "with the newest item": 0.53,
    "with the newest item, bent": -0.15,
    "together, long": 1.76,
    "together, long, bent": 2.38,
    "in the session": 0.40,
    "in the session, bent": 0.75,
    "with one item": 0.20,
    "with one item, bent": 0.68,
    "with one of the session": -0.31,
    "with one of the session, bent": -0.63,
    "after the newest": -0.10,
    "after the newest, bent": 0.38,
    "own": 0.00,
    "own, bent": 0.00,
    "own, newness": 0.00,
    "own, newness, bent": 0.00,
    "content": 0.25,
    "content, bent": 0.25,
    "factors, unscaled": 0.06,
    "together, unscaled": 1.45,
    "with one item, unscaled": -0.58,
    "popularity": -0.17,
    "popularity, log": -0.43,
    "popularity of late": -0.54,
    "popularity of late, log": 0.30,
    "popularity for long": 0.53,
    "popularity for long, log": 1.22,
    "times touched": -2.43,
    "times touched, log": 2.21,
}


def _table() -> Floats:
    table = np.zeros((N_ROWS, N_FEATURES))
    table[0] = [FOR_EVERYBODY[name] for name, _ in FEATURES]
    return table


LEARNED = RankerWeights(_table(), VERSION)
