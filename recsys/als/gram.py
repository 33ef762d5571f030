"""Y^T Y over all trained items: what every fold-in of one model shares."""

import numpy as np
from numpy.typing import NDArray

from recsys.types import Matrix

CHUNK_ROWS = 8_192
"""Rows widened to float64 at a time: 4 MB at 64 factors, instead of a second copy of all factors."""


def gram(factors: Matrix) -> NDArray[np.float64]:
    """Sum the outer products of all rows.

    Parameters
    ----------
    factors : ndarray of float32, shape (n_items, n_factors)

    Returns
    -------
    ndarray of float64, shape (n_factors, n_factors)
        Y^T Y. O(n_items * n_factors^2): about 0.1 s for 100,000 items of 64 factors, once a model.
    """
    total = np.zeros((factors.shape[1], factors.shape[1]))
    for start in range(0, len(factors), CHUNK_ROWS):
        chunk = factors[start : start + CHUNK_ROWS].astype(np.float64)
        total += chunk.T @ chunk
    return total
