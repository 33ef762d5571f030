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
            [0.17, 0.91, 0.16, -0.24, 0.28, 1.21, 0.36, 0.03, 1.34, 0.46, 0.5, 1.28, 0.78, 0.95],
            [0.23, 1.01, 0.11, -0.3, 0.33, 1.36, 0.31, 0.08, 1.29, 0.51, 0.5, 1.43, 0.7, 1.22],
            [0.38, 1.0, 0.32, -0.19, 0.27, 1.79, 0.32, 0.05, 1.42, 0.44, 0.5, 1.62, 0.24, 0.71],
            [0.27, 1.07, 0.92, -0.32, 0.27, 1.58, 0.29, 0.12, 1.38, 0.58, 0.5, 1.19, 0.53, -0.01],
            [0.16, 1.24, 0.02, -0.28, 0.47, 1.37, 0.51, 0.0, 1.91, 0.7, 0.5, 1.3, 0.66, 0.46],
        ]
    ),
    VERSION,
)
