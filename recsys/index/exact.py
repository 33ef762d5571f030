"""Vectors by row, overwritten in place and removed by a mark, searched exactly."""

from typing import Any, Protocol

import faiss as _faiss
import numpy as np
from numpy.typing import NDArray

from recsys.errors import DimensionError
from recsys.index.half import widened
from recsys.index.mask import Mask
from recsys.types import ItemRow, Rows, Vector

faiss: Any = _faiss
"""Its type hints know the C++ constructors only, not the Python ones put over them."""
CHUNK_ROWS = 4096
"""Rows a block of memory; twice as many waste more on a small shop, half as many cost 20 µs a block and query."""
GATHER_ROWS = 256
"""Up to this many allowed rows are scored by themselves; a scan with a selector costs more (measured at 20,000)."""
FEW_ROWS = 64
"""Up to this many rows are gathered one by one, which is quicker than block by block."""
SAME = 1e-6
"""A vector this near to the mean has no direction from it."""


class RowListener(Protocol):
    """What keeps something for each row of a segment."""

    def put(self, row: ItemRow, vector: Vector) -> None: ...


class _Chunk:
    """A FAISS half-precision flat index of fixed size, and its memory as an array.

    FAISS scans float16 1.4 to 1.7 times as fast as float32 here, and half the memory is what 1,280 numbers a picture
    want. The memory never moves, so a scan may go on in one thread while another overwrites a row.
    """

    def __init__(self, dim: int) -> None:
        self.index = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        self.index.codes.resize(CHUNK_ROWS * dim * 2)
        codes = faiss.rev_swig_ptr(self.index.codes.data(), CHUNK_ROWS * dim * 2)
        self.vectors: NDArray[np.float16] = codes.view(np.float16).reshape(CHUNK_ROWS, dim)
        self.vectors[:] = 0
        self.used = 0
        """Slots that a scan reads; FAISS's own `ntotal`, which takes 15 µs to ask."""


class ExactSegment:
    """Vectors by item row, exact inner-product search over any subset of the rows.

    One thread writes; others may search meanwhile. A search that runs while a row is overwritten may score that one
    row by parts of both vectors; the next search is right.

    Notes
    -----
    Memory: 2 · dim bytes a row, in blocks of 4,096 rows that exist once one of their rows is written.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._chunks: list[_Chunk | None] = []
        self._filled = np.zeros(0, dtype=np.bool_)
        self._count = 0
        self._sum = np.zeros(dim, dtype=np.float64)
        self.measures: tuple[RowListener, ...] = ()
        """Told of each vector put."""

    def __len__(self) -> int:
        return self._count

    @property
    def filled(self) -> Mask:
        """Which rows hold a vector; may be longer or shorter than the caller's own arrays."""
        return self._filled

    def put(self, row: ItemRow, vector: Vector | NDArray[np.float16]) -> None:
        """Set or overwrite a row. Raises DimensionError."""
        if vector.shape != (self.dim,):
            raise DimensionError("A vector of the index", expected=self.dim, got=vector.shape[0])
        number, slot = divmod(row, CHUNK_ROWS)
        if number >= len(self._chunks):
            self._grow(number + 1)
        chunk = self._chunks[number]
        if chunk is None:
            chunk = self._chunks[number] = _Chunk(self.dim)
        self.remove(row)
        chunk.vectors[slot] = vector
        if slot >= chunk.used:
            chunk.used = chunk.index.ntotal = slot + 1
        self._filled[row] = True
        self._count += 1
        self._sum += chunk.vectors[slot]
        for measure in self.measures:
            measure.put(row, chunk.vectors[slot].astype(np.float32))

    def remove(self, row: ItemRow) -> None:
        """Mark a row as empty; nothing happens where it is already."""
        chunk = self._chunks[row // CHUNK_ROWS] if self.holds(row) else None
        if chunk is not None:
            self._filled[row] = False
            self._count -= 1
            self._sum -= chunk.vectors[row % CHUNK_ROWS]

    def holds(self, row: ItemRow) -> bool:
        return row < len(self._filled) and bool(self._filled[row])

    def vector(self, row: ItemRow) -> Vector | None:
        """A copy, float32, shape (dim,)."""
        chunk = self._chunks[row // CHUNK_ROWS] if self.holds(row) else None
        return None if chunk is None else chunk.vectors[row % CHUNK_ROWS].astype(np.float32)

    def mean(self) -> Vector:
        """float32, shape (dim,): the mean of all vectors.

        Half-precision numbers add up in float64 without rounding, so it does not depend on the order of arrival.
        """
        return np.asarray(self._sum / max(self._count, 1), dtype=np.float32)

    def held_rows(self) -> Rows:
        """intp, shape (n,): the rows that hold a vector, ascending."""
        return np.flatnonzero(self._filled)

    def gather(self, rows: Rows) -> NDArray[np.float16]:
        """float16, shape (n, dim): the rows' vectors, zeros where there is none."""
        if len(rows) <= FEW_ROWS:
            return self._gather_few(rows.tolist())
        gathered = np.zeros((len(rows), self.dim), dtype=np.float16)
        held = np.flatnonzero(self.are_held(rows))
        for number in np.unique(rows[held] // CHUNK_ROWS):
            chunk = self._chunks[number]
            if chunk is not None:
                at = held[rows[held] // CHUNK_ROWS == number]
                gathered[at] = chunk.vectors[rows[at] % CHUNK_ROWS]
        return gathered

    def _gather_few(self, rows: list[int]) -> NDArray[np.float16]:
        chunks, filled = self._chunks, self._filled
        gathered = np.empty((len(rows), self.dim), dtype=np.float16)
        for at, row in enumerate(rows):
            number, slot = divmod(row, CHUNK_ROWS)
            chunk = chunks[number] if number < len(chunks) and filled[row] else None
            gathered[at] = 0 if chunk is None else chunk.vectors[slot]
        return gathered

    def scores(self, query: Vector, rows: Rows) -> Vector:
        """float32, shape (n,): inner products, 0 for an empty row.

        A row's score depends on nothing but the two vectors (not on how many rows are asked), to the last bit.
        """
        return np.asarray(np.vecdot(widened(self.gather(rows)), query), dtype=np.float32)

    def centred_scores(self, query: Vector, rows: Rows) -> Vector:
        """float32, shape (n,): inner products with the unit vectors from the mean to each row; 0 for an empty row."""
        offsets = widened(self.gather(rows)) - self.mean()
        lengths = np.sqrt((offsets * offsets).sum(axis=1))
        scores = (offsets * query).sum(axis=1) / np.maximum(lengths, SAME)
        return np.where(self.are_held(rows), scores, np.float32(0)).astype(np.float32)

    def passing(self, allowed: Mask | None) -> Mask:
        """bool, shape (n_rows,): the filled rows among the allowed ones; None allows all."""
        if allowed is None:
            return self._filled
        size = min(len(allowed), len(self._filled))
        return np.asarray(allowed[:size] & self._filled[:size])

    def scan(self, query: Vector, k: int, allowed: Mask | None = None) -> tuple[Rows, Vector]:
        """The k best of the allowed filled rows, best first, with scores; fewer where there are fewer. O(n_rows).

        Parameters
        ----------
        query : ndarray of float32, shape (dim,)
        k : int
            At least 1.
        allowed : ndarray of bool, shape (n_rows,), optional
            Rows beyond its end are not allowed; None allows all.
        """
        passing = self.passing(allowed)
        count = self._count if allowed is None else int(np.count_nonzero(passing))
        if count <= GATHER_ROWS:
            rows = np.flatnonzero(passing)
            return best(rows, self.scores(query, rows), k)
        return best(*self._scan_blocks(query, min(k, count), passing), k)

    def _scan_blocks(self, query: Vector, k: int, allowed: Mask) -> tuple[Rows, Vector]:
        """Up to k best of each block, unordered."""
        asked = np.ascontiguousarray(query[None], dtype=np.float32)
        found: list[tuple[Rows, Vector]] = []
        for number, chunk in enumerate(self._chunks):
            inside = allowed[number * CHUNK_ROWS : (number + 1) * CHUNK_ROWS]
            count = int(np.count_nonzero(inside))
            if chunk is None or not count:
                continue
            bitmap = np.packbits(inside, bitorder="little")
            selector = None if count == chunk.used else faiss.IDSelectorBitmap(bitmap)
            parameters = None if selector is None else faiss.SearchParameters(sel=selector)
            scores, slots = chunk.index.search(asked, min(k, count), params=parameters)
            found.append((slots[0] + number * CHUNK_ROWS, scores[0]))
        rows, scores = (np.concatenate(column) for column in zip(*found, strict=True))
        return rows[rows >= 0], scores[rows >= 0]

    def fill(self, rows: Rows, vectors: NDArray[np.float16]) -> None:
        """Put many rows at once: float16, shape (n, dim)."""
        for row, vector in zip(rows.tolist(), vectors, strict=True):
            self.put(row, vector)

    def are_held(self, rows: Rows) -> Mask:
        """bool, shape (n,): which of the rows hold a vector."""
        filled = self._filled
        inside = rows < len(filled)
        held = np.zeros(len(rows), dtype=np.bool_)
        held[inside] = filled[rows[inside]]
        return held

    def _grow(self, n_chunks: int) -> None:
        self._chunks += [None] * (n_chunks - len(self._chunks))
        filled = np.zeros(n_chunks * CHUNK_ROWS, dtype=np.bool_)
        filled[: len(self._filled)] = self._filled
        self._filled = filled


def best(rows: Rows, scores: Vector, k: int) -> tuple[Rows, Vector]:
    """The k best, best first, lower rows before higher ones at equal scores."""
    if len(rows) > max(k, FEW_ROWS):
        top = np.argpartition(scores, -k)[-k:]
        rows, scores = rows[top], scores[top]
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]
