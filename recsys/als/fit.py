"""The full fit: all users and items at once, by `implicit`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recsys.als.model import FactorModel
from recsys.errors import DimensionError
from recsys.types import ItemId, Matrix

FIRST_SCALE = 0.01
"""Size of random first factors, as `implicit` draws them."""


@dataclass(frozen=True)
class FitPolicy:
    """How to fit.

    `regularization` is lambda of the objective; `iterations` are double half-steps, each a pass over the matrix;
    `num_threads` changes the speed, never the result.
    """

    n_factors: int = 64
    regularization: float = 0.05
    iterations: int = 15
    seed: int = 0
    num_threads: int = 1


def fit(
    matrix: csr_matrix,
    policy: FitPolicy,
    start: Matrix | None = None,
    on_iteration: Callable[[], None] | None = None,
) -> Matrix:
    """Learn item factors from all users' confidences.

    Parameters
    ----------
    matrix : csr_matrix of float32, shape (n_users, n_items)
        c_ui, at least 1 where a user touched an item; -c_ui where the preference is 0; nothing elsewhere.
    start : ndarray of float32, shape (n_items, n_factors), optional
        Factors to start from (`start_factors`); random ones of `policy.seed` otherwise.
    on_iteration : called after each iteration; an exception from it ends the fit

    Returns
    -------
    ndarray of float32, shape (n_items, n_factors)
        The same input gives the same factors to the last bit, with any number of threads.

    Raises
    ------
    DimensionError
        If `start` does not fit the matrix and the policy.

    Notes
    -----
    Alternating least squares with three conjugate-gradient steps each (Takacs, Pilaszy and Tikk, RecSys 2011), from
    the users' side on: item factors are all that is needed of the last fit.
    """
    n_items = matrix.shape[1]
    if start is not None:
        for what, expected, got in (("start", n_items, len(start)), ("start", policy.n_factors, start.shape[1])):
            if expected != got:
                raise DimensionError(f"the {what} of the fit", expected=expected, got=got)
    # `implicit` brings its own threads; BLAS threads beside them slow it tenfold, of which it warns when it is made.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=policy.n_factors,
            regularization=policy.regularization,
            iterations=policy.iterations,
            num_threads=policy.num_threads,
            random_state=policy.seed,
        )
        if start is not None:
            model.item_factors = start.copy()
        model.fit(matrix, show_progress=False, callback=(lambda *_: on_iteration()) if on_iteration else None)
    return np.asarray(model.item_factors, dtype=np.float32)


def start_factors(item_ids: Sequence[ItemId], previous: FactorModel, seed: int) -> Matrix:
    """Where the next fit starts, so that the space turns as little as possible from one version to the next.

    Returns
    -------
    ndarray of float32, shape (len(item_ids), n_factors)
        The previous model's factors, predicted ones included; small random ones for items it does not know, drawn from
        `seed` and the item's id.
    """
    start = np.empty((len(item_ids), previous.n_factors), dtype=np.float32)
    places, factors = previous.factors_of(item_ids)
    is_known = np.zeros(len(item_ids), dtype=np.bool_)
    is_known[places] = True
    start[places] = factors
    for place in np.flatnonzero(~is_known).tolist():
        digest = blake2b(item_ids[place].encode(), digest_size=8).digest()
        rng = np.random.default_rng([seed, int.from_bytes(digest)])
        start[place] = rng.random(previous.n_factors, dtype=np.float32) * FIRST_SCALE
    return start
