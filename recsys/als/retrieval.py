"""The items with the largest inner products to a user's vector, without reading every row."""

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from recsys.types import Matrix, Rows, Vector

EXACT_ROWS = 4_096
"""Up to so many rows all are read, about 50 µs at 64 factors; sealing fewer saves nothing."""
HEAD_ROWS = 1_024
"""Rows of largest norm that are always read in full. They hold 70-90 % of all answers, and without them the few largest
norms stretch the quantiser until recall falls from 0.99 to 0.8; 4,096 would cost 40 µs more for nothing."""
TRAINING_ROWS = 16_384
"""Rows that the quantiser learns from: a thousand for each of its 16 centroids."""


@dataclass(frozen=True)
class _Sealed:
    """The first `n_rows` rows: a head read in full, a body in four bits for two numbers."""

    n_rows: int
    head_rows: Rows
    head: Matrix
    body_rows: Rows
    body: Any


class FactorIndex:
    """Rows of factors that can be appended to, replaced and searched by inner product.

    All rows are read until `seal` is called; after that, only those appended since. What a search finds are candidates:
    the caller computes their scores from the rows themselves, so a row that was replaced since the sealing is found by
    its old factors and scored by its new ones.

    A trained model's answers lie at the rows of largest norm, popular items, in all directions at once. An inverted
    file (FAISS IVF) therefore finds only 40 % of the true 100 at a tenth of the rows read. Reading the head in full and
    the rest as a 4-bit product quantisation (FAISS fast scan, Andre and others 2015) finds 99 % and more.
    """

    def __init__(self, factors: Matrix) -> None:
        self._rows = factors
        self._n_rows = len(factors)
        self._sealed: _Sealed | None = None

    def __len__(self) -> int:
        return self._n_rows

    @property
    def rows(self) -> Matrix:
        """float32, shape (len(self), n_factors); a view."""
        return self._rows[: self._n_rows]

    @property
    def sealed(self) -> int:
        """How many rows `seal` has taken in."""
        return self._sealed.n_rows if self._sealed else 0

    @property
    def unsealed(self) -> int:
        """How many rows each search reads one by one; `seal` is worth its while over `EXACT_ROWS`."""
        return self._n_rows - self.sealed

    def append(self, factors: Matrix) -> None:
        """Add rows at the end; O(rows added), amortised."""
        needed = self._n_rows + len(factors)
        if needed > len(self._rows):
            grown = np.zeros((max(needed, len(self._rows) * 5 // 4 + 64), self._rows.shape[1]), dtype=np.float32)
            grown[: self._n_rows] = self.rows
            self._rows = grown
        self._rows[self._n_rows : needed] = factors
        self._n_rows = needed

    def replace(self, row: int, factors: Vector) -> None:
        """Give an appended row new factors; the first ones belong to the caller."""
        self._rows[row] = factors

    def seal(self) -> None:
        """Make searches quick again for all rows there are now.

        Takes about 0.5 s for 100,000 rows; may run in a thread while others search. The same rows give the same index.
        """
        rows = self.rows
        if len(rows) <= EXACT_ROWS:
            return
        norms = np.einsum("ij,ij->i", rows, rows)
        head_rows = np.sort(np.argsort(-norms, kind="stable")[:HEAD_ROWS])
        in_body = np.ones(len(rows), dtype=np.bool_)
        in_body[head_rows] = False
        body_rows = np.flatnonzero(in_body)
        self._sealed = _Sealed(len(rows), head_rows, rows[head_rows], body_rows, _quantised(rows[body_rows]))

    def search(self, vectors: Matrix, k: int) -> list[Rows]:
        """Rows that probably hold the k largest inner products with each vector, in no order; at most a few times k.

        What is found for a vector does not depend on the others; many at once take two thirds of the time.

        Parameters
        ----------
        vectors : ndarray of float32, shape (n, n_factors)

        Returns
        -------
        list of ndarray of intp, one for each vector; distinct rows
        """
        sealed, rows = self._sealed, self.rows
        if sealed is None:
            return [_largest(rows @ vector, k) for vector in vectors]
        faiss.omp_set_num_threads(1)  # of this thread alone: sixteen queries a millisecond gain nothing from a second
        in_body = sealed.body.search(_even(vectors), min(k, len(sealed.body_rows)))[1]
        parts = [
            [sealed.body_rows[found[found >= 0]], sealed.head_rows[_largest(sealed.head @ vector, k)]]
            for vector, found in zip(vectors, in_body, strict=True)
        ]
        if len(rows) > sealed.n_rows:
            for vector, found in zip(vectors, parts, strict=True):
                found.append(sealed.n_rows + _largest(rows[sealed.n_rows :] @ vector, k))
        return [np.concatenate(found) for found in parts]


def _largest(scores: Vector, k: int) -> Rows:
    if len(scores) <= k:
        return np.arange(len(scores))
    return np.argpartition(scores, len(scores) - k)[len(scores) - k :]


def _even(factors: Matrix) -> Matrix:
    """The quantiser takes numbers in pairs."""
    return np.pad(factors, ((0, 0), (0, factors.shape[1] % 2))) if factors.shape[1] % 2 else factors


def _quantised(factors: Matrix) -> Any:
    factors = np.ascontiguousarray(_even(factors))
    n_factors = factors.shape[1]
    faiss.omp_set_num_threads(1)
    index = faiss.IndexPQFastScan(n_factors, n_factors // 2, 4, faiss.METRIC_INNER_PRODUCT)
    index.pq.cp.seed = 1
    sample = np.random.default_rng(1).permutation(len(factors))[:TRAINING_ROWS]
    index.train(factors[np.sort(sample)])
    index.add(factors)
    return index
