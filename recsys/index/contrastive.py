"""Sharpening a map from pictures to texts: what belongs together nearer than what does not (InfoNCE)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.types import Matrix, Rows

BETAS = (0.9, 0.999)
"""Of Adam."""
BLOCK = 512
NEIGHBOURS = 8
"""Products most alike by their texts, which hard negatives are drawn from."""


@dataclass(frozen=True)
class Contrast:
    """How a map is sharpened.

    Attributes
    ----------
    temperature : float
        Halved, the hardest negative alone counts; doubled, all count nearly alike.
    rate : float
        Of Adam, for pictures of mean length 1.
    decay : float
        Pull towards the map that it started from.
    batch : int
        Products compared with each other in one step.
    epochs : float
        Times that each product is seen, within `least_steps` and `most_steps` of steps.
    hard : float
        Share of a batch that are neighbours, by their texts, of the rest.
    """

    temperature: float = 0.1
    rate: float = 1e-3
    decay: float = 0.03
    batch: int = 64
    epochs: float = 8.0
    least_steps: int = 60
    most_steps: int = 400
    hard: float = 0.0


def sharpened(matrix: Matrix, images: Matrix, texts: Matrix, groups: Rows, how: Contrast) -> Matrix:
    """The map after some steps of InfoNCE in both directions, float32, shape (image dim, text dim).

    Parameters
    ----------
    matrix : ndarray of float32, shape (image dim, text dim)
        What to start from.
    images : ndarray of float32, shape (n, image dim)
        From their mean.
    texts : ndarray of float32, shape (n, text dim)
        From their mean, of unit length.
    groups : ndarray of intp, shape (n,)
        0 and up: rows of one product, whose pictures all belong to its text. A batch has one row of each.

    Notes
    -----
    Minimises -log(exp(s_ii / t) / sum_j exp(s_ij / t)) over rows and over columns of the cosines s of a batch, equation
    4 of [1]_; O(steps · batch · image dim · text dim): a second for 400 steps.

    References
    ----------
    .. [1] A. van den Oord, Y. Li, O. Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018.
    """
    rng = np.random.default_rng(0)
    length = max(float(np.linalg.norm(images, axis=1).mean()), 1e-6)
    unit_images, start = images / np.float32(length), matrix * np.float32(length)
    order = np.argsort(groups, kind="stable")
    firsts = np.searchsorted(groups[order], np.arange(int(groups.max()) + 1))
    sizes = np.diff(np.append(firsts, len(groups)))
    near = _nearest_texts(texts[order[firsts]]) if how.hard else None
    learned, mean, spread = start.copy(), np.zeros_like(start), np.zeros_like(start)
    n_steps = int(np.clip(how.epochs * len(firsts) / how.batch, how.least_steps, how.most_steps))
    for step in range(1, n_steps + 1):
        chosen = _drawn(len(firsts), near, how, rng)
        rows = order[firsts[chosen] + rng.integers(0, sizes[chosen])]
        gradient = _gradient(learned, unit_images[rows], texts[rows], how.temperature)
        gradient += np.float32(2 * how.decay) * (learned - start)
        mean += np.float32(1 - BETAS[0]) * (gradient - mean)
        spread += np.float32(1 - BETAS[1]) * (gradient * gradient - spread)
        pace = np.float32(how.rate / (1 - BETAS[0] ** step))
        learned -= pace * mean / (np.sqrt(spread / np.float32(1 - BETAS[1] ** step)) + np.float32(1e-8))
    return np.asarray(learned / np.float32(length), dtype=np.float32)


def _drawn(n: int, near: Rows | None, how: Contrast, rng: np.random.Generator) -> Rows:
    """Distinct products of one batch."""
    size = min(how.batch, n)
    if near is None:
        return rng.choice(n, size, replace=False)
    seeds = rng.choice(n, max(1, int(size * (1 - how.hard))), replace=False)
    picked = near[rng.choice(seeds, size - len(seeds)), rng.integers(0, near.shape[1], size - len(seeds))]
    return np.unique(np.concatenate([seeds, picked]))


def _nearest_texts(texts: Matrix) -> Rows:
    """intp, shape (n, NEIGHBOURS): of each text, without itself."""
    n_near = min(NEIGHBOURS, len(texts) - 1)
    near = np.zeros((len(texts), n_near), dtype=np.intp)
    for start in range(0, len(texts), BLOCK):
        scores = texts[start : start + BLOCK] @ texts.T
        own = np.arange(len(scores))
        scores[own, start + own] = -np.inf
        near[start : start + BLOCK] = np.argpartition(-scores, n_near - 1, axis=1)[:, :n_near]
    return near


def _gradient(matrix: Matrix, images: Matrix, texts: Matrix, temperature: float) -> Matrix:
    """Of the loss over one batch, by the map."""
    crossed = images @ matrix
    lengths = np.maximum(np.linalg.norm(crossed, axis=1, keepdims=True), 1e-9)
    units = crossed / lengths
    scores = units @ texts.T / np.float32(temperature)
    of_scores = _softmax(scores, 1) + _softmax(scores, 0)
    of_scores[np.diag_indices(len(scores))] -= 2
    of_units = of_scores @ texts / np.float32(2 * len(scores) * temperature)
    of_crossed = (of_units - units * (of_units * units).sum(axis=1, keepdims=True)) / lengths
    return np.asarray(images.T @ of_crossed, dtype=np.float32)


def _softmax(scores: Matrix, axis: int) -> NDArray[np.float32]:
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True), dtype=np.float32)
