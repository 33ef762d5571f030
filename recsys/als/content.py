"""From what a product looks and reads like to factors: a new product can be recommended before its first click."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from recsys.errors import DimensionError
from recsys.types import Matrix, Vector

PENALTIES: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Ridge penalties that are tried, for inputs of unit length."""
HOLDOUT = 0.2
LEAST_ITEMS = 20
"""Below so many items with both vectors and factors no map is learned: it would only repeat them."""


@dataclass(frozen=True)
class ContentMap:
    """A linear map from a product's vectors to factors.

    Attributes
    ----------
    weights : ndarray of float32, shape (text_dim + image_dim + 1, n_factors)
        The last row is the bias.
    text_dim : int
        Length of the text vectors; what follows are image vectors.
    """

    weights: Matrix
    text_dim: int

    @property
    def image_dim(self) -> int:
        return len(self.weights) - 1 - self.text_dim

    def takes(self, text_vector: Vector, image_vector: Vector) -> bool:
        """Whether the vectors have the lengths that the map was learned from, or are empty."""
        return len(text_vector) in (0, self.text_dim) and len(image_vector) in (0, self.image_dim)

    def predict(self, text_vector: Vector, image_vector: Vector) -> Vector:
        """Factors of one product.

        Parameters
        ----------
        text_vector, image_vector : ndarray of float32, shape (dim,) or (0,)
            Empty where the part is missing.

        Returns
        -------
        ndarray of float32, shape (n_factors,)
            All zeros where both parts are missing: nothing is known, so nothing is claimed.
        """
        text, image = len(text_vector), len(image_vector)
        if text not in (0, self.text_dim):
            raise DimensionError("a text vector", expected=self.text_dim, got=text)
        if image not in (0, self.image_dim):
            raise DimensionError("an image vector", expected=self.image_dim, got=image)
        if not text and not image:
            return np.zeros(self.weights.shape[1], dtype=np.float32)
        factors: NDArray[np.float64] = self.weights[-1].astype(np.float64)
        if text:
            factors += text_vector.astype(np.float64) @ self.weights[: self.text_dim]
        if image:
            factors += image_vector.astype(np.float64) @ self.weights[self.text_dim : -1]
        return factors.astype(np.float32)


def fit_content_map(
    text: Matrix, image: Matrix, factors: Matrix, *, rng: np.random.Generator, at_most: int = 20_000
) -> ContentMap | None:
    """Learn the map from trained items, by ridge regression with a penalty that a holdout chooses.

    Parameters
    ----------
    text, image : ndarray of float32, shapes (n, text_dim) and (n, image_dim)
        Rows of unit length, or of zeros where a part is missing.
    factors : ndarray of float32, shape (n, n_factors)
        What ALS learned of the same items.
    at_most : int
        More items than this are sampled: at 1,664 inputs, 20,000 rows cost some ten seconds of one thread.

    Returns
    -------
    ContentMap or None
        None when fewer than 20 items have vectors.

    Notes
    -----
    W = (X^T X + penalty I)^-1 X^T Y with a bias that is not penalised, in float64.
    """
    known = np.flatnonzero(text.any(axis=1) | image.any(axis=1))
    if len(known) < LEAST_ITEMS:
        return None
    known = rng.permutation(known)[:at_most]
    inputs = np.hstack([text[known], image[known], np.ones((len(known), 1), np.float32)])
    targets = factors[known]
    cut = int(len(known) * HOLDOUT)
    held, kept = _moments(inputs[:cut], targets[:cut]), _moments(inputs[cut:], targets[cut:])
    errors = [_squared_error(_ridge(*kept, penalty), *held) for penalty in PENALTIES]
    penalty = PENALTIES[int(np.argmin(errors))]
    weights = _ridge(held[0] + kept[0], held[1] + kept[1], penalty)
    return ContentMap(weights.astype(np.float32), text.shape[1])


Moments = tuple[NDArray[np.float64], NDArray[np.float64]]


def _moments(inputs: Matrix, targets: Matrix) -> Moments:
    """X^T X and X^T Y, chunk by chunk: no second copy of all inputs in float64."""
    outer = np.zeros((inputs.shape[1], inputs.shape[1]))
    cross = np.zeros((inputs.shape[1], targets.shape[1]))
    for start in range(0, len(inputs), 4_096):
        chunk = inputs[start : start + 4_096].astype(np.float64)
        outer += chunk.T @ chunk
        cross += chunk.T @ targets[start : start + 4_096]
    return outer, cross


def _ridge(outer: NDArray[np.float64], cross: NDArray[np.float64], penalty: float) -> NDArray[np.float64]:
    penalised = outer + penalty * np.eye(len(outer))
    penalised[-1, -1] = outer[-1, -1] + 1e-9
    return np.asarray(cho_solve(cho_factor(penalised, lower=True, overwrite_a=True), cross))


def _squared_error(weights: NDArray[np.float64], outer: NDArray[np.float64], cross: NDArray[np.float64]) -> float:
    """The sum of squared errors up to what all penalties share (the targets' own squares)."""
    return float(np.sum(weights * (outer @ weights)) - 2.0 * np.sum(weights * cross))
