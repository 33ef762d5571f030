"""One user against fixed items: the exact half-step of implicit ALS, so a click becomes a fresh vector at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dposv

from recsys.errors import DimensionError, StateError
from recsys.types import Matrix, Vector

Float64s = NDArray[np.float64]


@dataclass(frozen=True)
class NormalEquations:
    """The part of the least-squares system that all users share: Y^T Y + lambda I.

    Attributes
    ----------
    base : ndarray of float64, shape (n_factors, n_factors)
        In Fortran order, as LAPACK reads it without a copy.
    """

    base: Float64s

    @classmethod
    def of(cls, gram: Float64s, regularization: float) -> "NormalEquations":
        """Prepare the shared part once a model.

        Parameters
        ----------
        gram : ndarray of float64, shape (n_factors, n_factors)
        regularization : float
            L2 weight, lambda; more than 0, so the system has one solution.
        """
        return cls(np.asfortranarray(gram + regularization * np.eye(len(gram))))

    def solve(self, item_factors: Matrix, confidence: Vector, outside: NDArray[np.bool_] | None = None) -> Vector:
        """Solve for one user; see `fold_in_user` for the meaning and the equation.

        Parameters
        ----------
        item_factors : ndarray of float32, shape (m, n_factors)
            The rows of the user's distinct items.
        confidence : ndarray of float32, shape (m,)
            At least 1; at most -1 where the user dislikes the item.
        outside : ndarray of bool, shape (m,), optional
            True where the item is not part of the gram; such an item enters with c instead of c - 1, because the gram
            does not hold the 1 that every unseen item has.

        Returns
        -------
        ndarray of float32, shape (n_factors,)
        """
        m, n_factors = item_factors.shape
        if n_factors != len(self.base):
            raise DimensionError("the gram", expected=n_factors, got=len(self.base))
        if m == 0:
            return np.zeros(n_factors, dtype=np.float32)
        seen = item_factors.astype(np.float64)
        liked = weight = confidence.astype(np.float64)
        # argmin costs a sixth of min, and finds a NaN; mostly nothing is disliked, and that path is short.
        if not weight[weight.argmin()] >= 1.0:
            liked, weight = np.maximum(weight, 0.0), np.abs(weight)
            if not weight.min() >= 1.0:
                raise StateError("A confidence lies between -1 and 1; that of an unseen item is 1, and ours add to it.")
        excess = weight - 1.0
        if outside is not None:
            excess[outside] += 1.0
        rhs = np.dot(liked, seen)
        # C order transposed is Fortran order: neither syrk nor posv copies but the result.
        scaled = np.multiply(seen, np.sqrt(excess)[:, None], out=seen).T
        lhs = dsyrk(1.0, scaled, beta=1.0, c=self.base, lower=1)
        _, solution, info = dposv(lhs, rhs, lower=1, overwrite_a=1, overwrite_b=1)
        # Back substitution ends at the first number, so whatever is not finite has reached it.
        if info or not isfinite(solution[0]):
            raise StateError(f"A fold-in has no solution (LAPACK posv: {info}); factors or confidences are not finite.")
        return np.asarray(solution, dtype=np.float32)


def fold_in_user(item_factors: Matrix, gram: Float64s, confidence: Vector, *, regularization: float) -> Vector:
    """Solve for one user's factors while the item factors stay fixed.

    The user half-step of implicit ALS for one user: a click becomes a fresh user vector in O(m f^2 + f^3), whatever
    the size of the catalogue.

    Parameters
    ----------
    item_factors : ndarray of float32, shape (m, n_factors)
        The rows of Y in [1]_ that belong to the user's distinct items.
    gram : ndarray of float64, shape (n_factors, n_factors)
        Y^T Y over *all* trained items (`recsys.als.gram`).
    confidence : ndarray of float32, shape (m,)
        c_ui for those rows, at least 1, the confidence of an unseen item. Where the user dislikes the item, -c_ui: its
        preference is 0, held with confidence c_ui (`implicit`'s convention).
    regularization : float
        L2 weight, lambda in [1]_; more than 0, so the system has one solution.

    Returns
    -------
    ndarray of float32, shape (n_factors,)
        The user's factors, solved in float64; all zeros for an empty history.

    Raises
    ------
    DimensionError
        If `gram` does not have as many columns as `item_factors`.
    StateError
        If a confidence lies between -1 and 1, or something is not finite.

    Notes
    -----
    Solves (Y^T Y + Y^T (C_u - I) Y + lambda I) x = Y^T C_u p_u, equation 4 of [1]_, by Cholesky.
    (C_u - I) is zero outside the history, so only m rows of Y are read.

    References
    ----------
    .. [1] Y. Hu, Y. Koren and C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008.
    """
    return NormalEquations.of(gram, regularization).solve(item_factors, confidence)


def fold_in_users(histories: Iterable[tuple[Matrix, Vector]], gram: Float64s, *, regularization: float) -> Matrix:
    """Solve for many users; each row is bit for bit what `fold_in_user` gives for that user alone.

    Parameters
    ----------
    histories : iterable of (item_factors, confidence)
        One pair a user, as for `fold_in_user`.

    Returns
    -------
    ndarray of float32, shape (n_users, n_factors)
    """
    equations = NormalEquations.of(gram, regularization)
    vectors = [equations.solve(item_factors, confidence) for item_factors, confidence in histories]
    return np.stack(vectors) if vectors else np.zeros((0, len(gram)), dtype=np.float32)
