"""Bits that stand for vectors: how alike two items are by a few machine words each, without their vectors at hand."""

import numpy as np
from numpy.typing import NDArray

from recsys.compiled import compiled
from recsys.types import Matrix, Rows, Vector

BITS = 256
"""Random planes; a similarity of .95 is then known to .01, one of 0 to .1. Half as many: 1.4 times the error."""
WORDS = BITS // 64
_TEXT, _IMAGE = 1, 2
_COSINES = np.cos(np.pi * np.arange(BITS + 1) / BITS)


class Signatures:
    """Signatures of items by row: on which side of each of `BITS` random planes its vector lies [1]_.

    An item's text counts, or its picture where it has no text; two items with neither in common are not alike.

    Notes
    -----
    Two vectors with an angle of α lie on different sides of a random plane with a probability of α / π. The planes are
    the same in every process.

    References
    ----------
    .. [1] M. Charikar, "Similarity Estimation Techniques from Rounding Algorithms", STOC 2002.
    """

    def __init__(self) -> None:
        self._kinds = np.zeros(1024, dtype=np.int8)
        self._bits = np.zeros((1024, WORDS), dtype=np.uint64)
        self._planes: dict[int, Matrix] = {}

    def put(self, row: int, text: Vector | None, image: Vector | None) -> None:
        """Take an item's vectors; some 50 µs."""
        self._make_room(row)
        vector, kind = (text, _TEXT) if text is not None and text.any() else (image, _IMAGE)
        if vector is None or not vector.any():
            self._kinds[row] = 0
            return
        self._kinds[row] = kind
        self._bits[row] = np.packbits(vector @ self._planes_of(len(vector)) > 0.0).view(np.uint64)

    def of(self, rows: Rows) -> tuple[NDArray[np.int8], NDArray[np.uint64]]:
        """Kinds, 0 where there is no signature, and signatures; shapes (n,) and (n, `WORDS`)."""
        self._make_room(int(rows.max(initial=0)))
        return self._kinds[rows], self._bits[rows]

    def _planes_of(self, dim: int) -> Matrix:
        if dim not in self._planes:
            self._planes[dim] = np.random.default_rng(dim).standard_normal((dim, BITS), dtype=np.float32)
        return self._planes[dim]

    def _make_room(self, row: int) -> None:
        if row >= len(self._kinds):
            added = max(len(self._kinds), row + 1 - len(self._kinds))
            self._kinds = np.concatenate([self._kinds, np.zeros(added, dtype=np.int8)])
            self._bits = np.concatenate([self._bits, np.zeros((added, WORDS), dtype=np.uint64)])


@compiled
def similarity(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    """The cosine of two vectors by their signatures; 0 where it is below."""
    apart = 0
    for word in range(len(one)):
        # Bits of a word, counted pairwise in parallel (Warren, "Hacker's Delight").
        bits = one[word] ^ other[word]
        bits -= (bits >> np.uint64(1)) & np.uint64(0x5555555555555555)
        bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
        bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
        apart += int((bits * np.uint64(0x0101010101010101)) >> np.uint64(56))
    return max(0.0, float(_COSINES[apart]))
