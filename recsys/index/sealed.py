"""An immutable FAISS index over a segment's rows: it names candidates, the segment itself scores them.

The segment's own rows stay where they are, exact, so a sealed index never holds the only copy of a vector: a row that
changes after sealing is marked, and scanned exactly with the other unsealed rows until a newer sealed index has it. The
newest version of a product wins because there is but one.
"""

from dataclasses import dataclass
from typing import Any

import faiss as _faiss
import numpy as np
from numpy.typing import NDArray

from recsys.types import Matrix, Rows, Vector

Bitmap = NDArray[np.uint8]

faiss: Any = _faiss
LISTS_OF_ROOT = 4
"""Lists for each square root of the rows: the usual balance between choosing lists and reading them."""
TRAINING_ROWS_OF_LIST = 20
"""What k-means sees; twice as many take twice as long and change recall by less than a thousandth."""
PROBES = (8, 12, 16, 24, 32, 48, 64, 96, 128)
"""Lists that a search may look at; how many is measured when lists are trained."""
FILTERED_PROBES = 48
"""At least so many, over the share that passes, where a filter cuts: what it leaves lies further away. With 8 instead,
recall falls to .88 where a tenth passes."""
UNFILTERED = 0.9
"""Share of the rows from which on a search counts as unfiltered; some rows are always out of date."""
RECALL = 0.99
"""Of the ten nearest rows, for rows of the segment, that the number of lists is chosen by."""


@dataclass(frozen=True)
class Changes:
    """What a sealed index lacks: rows to be taken out (again), and rows to be put in."""

    removed: Rows
    added: Rows


class SealedIndex:
    """Inverted lists of 8-bit vectors, by inner product; immutable once it is in use.

    Notes
    -----
    1 byte a number and 8 bytes a row. Searching is O(sqrt(n) · dim).
    """

    def __init__(self, index: Any, probes: int = PROBES[-1]) -> None:
        self._index = index
        self.probes = probes

    @classmethod
    def trained(cls, vectors: Matrix, n_lists: int) -> "SealedIndex":
        """An empty index with lists that suit vectors like these, float32, shape (n, dim)."""
        dim = vectors.shape[1]
        quantizer = faiss.IndexFlatIP(dim)
        index = faiss.IndexIVFScalarQuantizer(
            quantizer, dim, n_lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT, False
        )
        index.own_fields = True
        quantizer.this.disown()
        index.cp.niter = 6
        index.cp.min_points_per_centroid = 1
        index.train(np.ascontiguousarray(vectors, dtype=np.float32))
        return cls(index)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def changed(self, changes: Changes, vectors: Matrix) -> "SealedIndex":
        """A copy with some rows out and others in; `vectors` are those of `changes.added`. Copies 1 byte a number."""
        new = faiss.clone_index(self._index)
        if len(changes.removed):
            new.remove_ids(faiss.IDSelectorBatch(changes.removed.astype(np.int64)))
        if len(changes.added):
            new.add_with_ids(np.ascontiguousarray(vectors, dtype=np.float32), changes.added.astype(np.int64))
        return SealedIndex(new, self.probes)

    def add(self, rows: Rows, vectors: Matrix) -> None:
        """Put rows in before the index is in use."""
        self._index.add_with_ids(np.ascontiguousarray(vectors, dtype=np.float32), rows.astype(np.int64))

    def tune(self, queries: Matrix, right: list[Rows]) -> None:
        """Look at the fewest lists with which the queries, float32, shape (n, dim), find the rows that are right."""
        n_right = sum(map(len, right))
        for self.probes in PROBES:
            found = [
                self.candidates(query, 2 * len(rows), None, 1.0)[0] for query, rows in zip(queries, right, strict=True)
            ]
            if sum(len(np.intersect1d(*pair)) for pair in zip(found, right, strict=True)) >= RECALL * n_right:
                return

    def candidates(self, query: Vector, k: int, bitmap: Bitmap | None, share: float) -> tuple[Rows, Vector]:
        """Rows that are among the nearest, intp, shape (at most k,), and about what they score.

        Parameters
        ----------
        bitmap : ndarray of uint8, optional
            One bit a row, which may be found; None allows all.
        share : float
            Of the rows that may be found: the fewer they are, the more lists are looked at.
        """
        probes = self.probes if share > UNFILTERED else max(self.probes, FILTERED_PROBES)
        probes = min(int(self._index.nlist), int(probes / max(share, 1e-3)))
        selector = None if bitmap is None else faiss.IDSelectorBitmap(bitmap)
        parameters = faiss.SearchParametersIVF(nprobe=probes, sel=selector)
        scores, rows = self._index.search(np.ascontiguousarray(query[None], dtype=np.float32), k, params=parameters)
        found = rows[0] >= 0
        return np.asarray(rows[0][found], dtype=np.intp), np.asarray(scores[0][found], dtype=np.float32)
