"""The weights that every shop starts with: learned from the first nine tenths of two logs, a shop's and film ratings.

`python -m benchmarks.ranker_weights online-retail/events.csv.xz:0 ml-latest-small/events.csv.xz` makes them anew. What
content weighs is set by hand, as those logs say nothing of it.
"""

import numpy as np

from recsys.rank import VERSION
from recsys.ranker import RankerWeights

LEARNED = RankerWeights(
    np.array(
        [
            [0.57, 0.91, 0.49, -0.03, 0.24, 1.45, 0.12, 0.12, 0.78, 0.67, 0.5, 1.54, 1.2, 1.55],
            [0.74, 0.94, 0.85, -0.1, 0.33, 1.67, 0.06, 0.21, 0.71, 0.76, 0.5, 1.66, 1.29, 1.87],
            [0.82, 1.01, 0.91, -0.0, 0.2, 2.12, 0.19, 0.1, 0.82, 0.61, 0.5, 1.65, 0.62, 0.84],
            [0.68, 1.22, 1.31, -0.04, 0.27, 1.96, 0.07, 0.3, 0.87, 0.75, 0.5, 0.97, 0.86, -0.25],
            [0.75, 1.24, 0.37, 0.05, 0.35, 1.54, 0.13, 0.11, 1.16, 0.94, 0.5, 1.07, 0.85, 0.05],
        ]
    ),
    VERSION,
)
