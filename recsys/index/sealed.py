"""An immutable FAISS index over a segment's rows: it names candidates, the segment itself scores them.

The segment's own rows stay where they are, exact, so a sealed index never holds the only copy of a vector: a row that
changes after sealing is marked, and scanned exactly with the other unsealed rows until a newer sealed index has it. The
newest version of a product wins because there is but one.
"""

from dataclasses import dataclass, field
from typing import Any

import faiss as _faiss
import numpy as np
from numpy.typing import NDArray

from recsys.types import Matrix, Rows, Vector

Bitmap = NDArray[np.uint8]

faiss: Any = _faiss
NEIGHBOURS = 32
"""Edges of an entry of a graph: 16 are found in half the memory at three times the time for the same recall."""
BUILD_BREADTH = 120
"""Entries looked at for each that is put in; with FAISS's 40 a search must look at three times as many for the same."""
LISTS_OF_ROOT = 4
"""Lists for each square root of the rows: the usual balance between choosing lists and reading them."""
TRAINING_ROWS_OF_LIST = 20
"""What k-means sees; twice as many take twice as long and change recall by less than a thousandth."""
STEP = 8
"""Breadths are multiples of this, so that few parameters are made."""


@dataclass(frozen=True)
class Kind:
    """How entries are kept, and how far a search may look: entries of a graph, or lists."""

    breadths: tuple[int, ...]
    spare: int
    """Candidates for each one asked for, as many as make up for short codes."""


GRAPH = Kind((16, 24, 32, 48, 64, 96, 128, 192, 256), 1)
"""HNSW over 8 bits a number: quickest, 1 byte a number and 270 for an entry's edges, 0.1 ms and more to put one in."""
LISTS = Kind((8, 16, 32, 64, 96, 128, 192, 256), 1)
"""Inverted lists over 8 bits a number: less memory, made faster. With 2 bits a number, a quarter of the memory and
twice the speed, recall on 1,000,000 drawn vectors was .83: too few of 32 candidates were right."""


class SealedIndex:
    """Entries numbered in the order in which they were put in, found by inner product; immutable once it is in use."""

    def __init__(self, kind: Kind, index: Any, breadth: int = 0) -> None:
        self.kind = kind
        self._index = index
        self.breadth = breadth or kind.breadths[-1]

    @classmethod
    def graph(cls, dim: int, vectors: Matrix) -> "SealedIndex":
        """An empty graph for vectors like these, float32, shape (n, dim), which say how wide each number ranges.

        References
        ----------
        .. [1] Y. Malkov, D. Yashunin, "Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical
           Navigable Small World Graphs", TPAMI 2020.
        """
        index = faiss.IndexHNSWSQ(dim, faiss.ScalarQuantizer.QT_8bit, NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = BUILD_BREADTH
        index.train(np.ascontiguousarray(vectors, dtype=np.float32))
        return cls(GRAPH, index)

    @classmethod
    def lists(cls, dim: int, vectors: Matrix, n_lists: int) -> "SealedIndex":
        """Empty lists that suit vectors like these, float32, shape (n, dim)."""
        quantizer = faiss.IndexFlatIP(dim)
        index = faiss.IndexIVFScalarQuantizer(
            quantizer, dim, n_lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT, False
        )
        index.own_fields = True
        quantizer.this.disown()
        index.cp.niter = 6
        index.cp.min_points_per_centroid = 1
        index.train(np.ascontiguousarray(vectors, dtype=np.float32))
        return cls(LISTS, index)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def copied(self) -> "SealedIndex":
        """A copy that more can be put into; of all its memory."""
        return SealedIndex(self.kind, faiss.clone_index(self._index), self.breadth)

    def add(self, vectors: Matrix) -> None:
        """Put entries in, float32, shape (n, dim), before the index is in use."""
        self._index.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def candidates(self, query: Vector, k: int, passing: "Passing", share: float) -> Rows:
        """Entries that are among the nearest, intp, shape (at most k · kind.spare,).

        Parameters
        ----------
        share : float
            Of the entries that pass: the fewer they are, the further is looked.
        """
        k *= self.kind.spare
        breadth = -(-int(self.breadth / max(share, 1e-3)) // STEP) * STEP
        breadth = max(breadth, k) if self.kind is GRAPH else min(breadth, int(self._index.nlist))
        if breadth not in passing.parameters:
            passing.parameters[breadth] = self._parameters(breadth, passing.bits)
        asked = np.ascontiguousarray(query[None], dtype=np.float32)
        _, entries = self._index.search(asked, k, params=passing.parameters[breadth])
        return np.asarray(entries[0][entries[0] >= 0], dtype=np.intp)

    def _parameters(self, breadth: int, bits: Bitmap | None) -> Any:
        selector = None if bits is None else faiss.IDSelectorBitmap(bits)
        if self.kind is GRAPH:
            return faiss.SearchParametersHNSW(efSearch=breadth, sel=selector)
        return faiss.SearchParametersIVF(nprobe=breadth, sel=selector)


@dataclass(frozen=True)
class Passing:
    """Which entries may be found; `bits` has one for each, None allows all, and may change between searches."""

    bits: Bitmap | None = None
    parameters: dict[int, Any] = field(default_factory=dict)
    """FAISS's, by breadth: to make them takes a tenth of a search."""
