"""How well pictures and texts of products that a map has not seen find each other through it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.types import Matrix, Rows, Vector


@dataclass(frozen=True)
class HeldOut:
    """Held-out products, each of a text and one or more pictures.

    Attributes
    ----------
    ranks : ndarray of intp, shape (n_pictures,)
        Of each picture's own text among all texts, 1 the best.
    by_text : ndarray of float32, shape (n_texts,)
        The middle of two marks of each text: the mean of 1 / rank over its pictures, and the average precision of its
        pictures among all.
    precision : float
        The mean of the latter.
    """

    ranks: NDArray[np.intp]
    by_text: Vector
    precision: float

    @classmethod
    def of(cls, scores: Matrix, groups: Rows) -> "HeldOut":
        """From the scores of each picture with each text, shape (n_pictures, n_texts), and each picture's text."""
        n_texts = scores.shape[1]
        own = scores[np.arange(len(scores)), groups]
        ranks = (scores > own[:, None]).sum(axis=1) + 1
        counts = np.maximum(np.bincount(groups, minlength=n_texts), 1)
        order = np.argsort(-scores, axis=0, kind="stable")
        is_right = groups[order] == np.arange(n_texts)
        so_far = np.cumsum(is_right, axis=0) / np.arange(1, len(scores) + 1)[:, None]
        precisions = (so_far * is_right).sum(axis=0) / counts
        by_picture = np.bincount(groups, 1 / ranks, n_texts) / counts
        by_text = np.asarray((by_picture + precisions) / 2, dtype=np.float32)
        return cls(ranks, by_text, float(precisions.mean()) if n_texts else 0.0)

    @property
    def n_texts(self) -> int:
        return len(self.by_text)

    @property
    def reciprocal_rank(self) -> float:
        """Mean over pictures of 1 / rank of their text."""
        return float((1 / self.ranks).mean()) if len(self.ranks) else 0.0

    @property
    def by_chance(self) -> float:
        """The same of texts in any order."""
        return float((1 / np.arange(1, self.n_texts + 1)).mean()) if self.n_texts else 0.0
