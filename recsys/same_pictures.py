"""Products that show the same picture, or one so alike that a shopper would not tell them apart."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
from numpy.typing import NDArray

from recsys.catalogue import Catalogue
from recsys.types import ItemId, Matrix, Rows

Looks = NDArray[np.uint64]
"""One number of 64 bits a picture: see `encoders.looks`."""
MOST_BITS = 6
"""In which two looks of the same picture may differ: what compressing and shrinking change."""
LEAST_COSINE = 0.85
"""Of the vectors of two pictures that look the same, since brightness knows no colours: see
`benchmarks.search_same_pictures`."""
BLOCK = 1_024


def same_pictures(catalogue: Catalogue) -> list[list[ItemId]]:
    """Groups of visible products whose main pictures look the same, largest first, ids in order.

    Products of one `group_id` are variants, which may well share a picture: a group of nothing else is left out.
    """
    item_ids, looks = catalogue.looks()
    told: list[list[ItemId]] = []
    for rows in alike_looks(looks, MOST_BITS):
        held = [(item_ids[row], catalogue.image_vector(item_ids[row])) for row in rows]
        seen = [(item_id, vector) for item_id, vector in held if vector is not None]
        told += [sorted(group) for group in _alike(seen) if not _are_variants(group, catalogue)]
    return sorted(told, key=lambda group: (-len(group), group))


def alike_looks(looks: Looks, most_bits: int) -> list[list[int]]:
    """Rows that a chain of looks, each at most so many bits from the next, connects; groups of two and more.

    Notes
    -----
    Of `most_bits` + 1 pieces of two such looks one at least is equal, so only those that share a piece are compared:
    a second for 100,000 looks.

    References
    ----------
    .. [1] M. Norouzi, A. Punjani, D. Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012.
    """
    distinct, of_row = np.unique(looks, return_inverse=True)
    bounds = np.linspace(0, 64, most_bits + 2).astype(np.uint64)
    pairs = []
    for start, end in pairwise(bounds):
        pieces = (distinct >> start) & ((np.uint64(1) << (end - start)) - np.uint64(1))
        pairs += [bucket[_near(distinct[bucket], most_bits)] for bucket in _buckets(pieces)]
    groups = _connected(len(distinct), pairs)
    return [group.tolist() for group in _buckets(groups[of_row.reshape(-1)])]


def _near(looks: Looks, most_bits: int) -> NDArray[np.intp]:
    """intp, shape (2, n_pairs): which of the looks differ by few bits."""
    pairs = []
    for start in range(0, len(looks), BLOCK):
        n_bits = np.bitwise_count(looks[start : start + BLOCK, None] ^ looks[None, start:])
        left, right = np.nonzero(np.triu(n_bits <= most_bits, 1))
        pairs.append(np.stack([left, right]) + start)
    return np.concatenate(pairs, axis=1)


def _alike(seen: Sequence[tuple[ItemId, Matrix]]) -> list[list[ItemId]]:
    """Items of alike looks whose vectors are alike too; those of another encoder's dimension are apart."""
    groups = []
    for dim in sorted({len(vector) for _, vector in seen}):
        item_ids = [item_id for item_id, vector in seen if len(vector) == dim]
        vectors = np.stack([vector for _, vector in seen if len(vector) == dim])
        # A placeholder of thousands of products is one vector, thousands of times: compared once.
        _, first, of_row = np.unique(vectors.view(f"V{4 * dim}").reshape(-1), return_index=True, return_inverse=True)
        pairs = []
        for start in range(0, len(first), BLOCK):
            cosines = vectors[first[start : start + BLOCK]] @ vectors[first[start:]].T
            pairs.append(np.stack(np.nonzero(np.triu(cosines >= LEAST_COSINE, 1))) + start)
        group_of = _connected(len(first), pairs)[of_row.reshape(-1)]
        groups += [[item_ids[row] for row in bucket] for bucket in _buckets(group_of)]
    return groups


def _connected(n: int, pairs: Sequence[NDArray[np.intp]]) -> NDArray[np.intp]:
    """intp, shape (n,): the number of the component that each of n nodes is in."""
    left, right = np.concatenate([np.zeros((2, 0), dtype=np.intp), *pairs], axis=1)
    graph = scipy.sparse.coo_array((np.ones(len(left), dtype=np.bool_), (left, right)), shape=(n, n))
    return np.asarray(scipy.sparse.csgraph.connected_components(graph, directed=False)[1], dtype=np.intp)


def _buckets(keys: NDArray[np.integer]) -> list[Rows]:
    """The places of each key that several have."""
    order = np.argsort(keys, kind="stable")
    ends = np.flatnonzero(np.diff(keys[order])) + 1
    return [bucket for bucket in np.split(order, ends) if len(bucket) > 1]


def _are_variants(group: Sequence[ItemId], catalogue: Catalogue) -> bool:
    products = [catalogue.get(item_id) for item_id in group]
    own = {product.group_id for product in products if product is not None}
    return len(own) == 1 and own != {""}
