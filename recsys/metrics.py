"""How good a list is, for one held-out item, and whether one recommender beats another beyond chance."""

from math import log2
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


def hit(rank: int | None, k: int) -> float:
    """1 if the item stood among the first k places; `rank` counts from 0, None when it was in no place."""
    return 1.0 if rank is not None and rank < k else 0.0


def ndcg(rank: int | None, k: int) -> float:
    """Discounted cumulative gain of one relevant item: 1 / log2(rank + 2) (Järvelin and Kekäläinen 2002)."""
    return 1.0 / log2(rank + 2) if rank is not None and rank < k else 0.0


class Interval(NamedTuple):
    """A mean difference with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


def paired_bootstrap(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], *, rng: np.random.Generator, rounds: int = 2000
) -> Interval:
    """The mean of `ours - theirs`, event by event, with its percentile bootstrap interval (Efron 1979).

    Parameters
    ----------
    ours, theirs : float64, shape (n_events,): a metric of the same events under two recommenders
    """
    difference = ours - theirs
    n = len(difference)
    means = np.fromiter((difference[rng.integers(0, n, n)].mean() for _ in range(rounds)), np.float64, rounds)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(difference.mean()), float(low), float(high))
