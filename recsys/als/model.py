"""One version of the item factors, ready to serve: fold users in, find and score their items."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recsys.als.content import ContentMap
from recsys.als.fold_in import NormalEquations
from recsys.als.gram import gram
from recsys.als.retrieval import EXACT_ROWS, FactorIndex
from recsys.compiled import compiled
from recsys.errors import DimensionError
from recsys.ids import ItemIds
from recsys.types import ItemId, Matrix, Rows, Vector


@dataclass(frozen=True)
class Factors:
    """What a fit learned and a log carries; immutable.

    Attributes
    ----------
    version : str
    item_ids : tuple of str
        The trained items, distinct.
    factors : ndarray of float32, shape (n_items, n_factors)
        One row for each of `item_ids`.
    regularization : float
        The lambda that they were fitted with; fold-ins use the same.
    content : ContentMap or None
        None until enough products have vectors.
    """

    version: str
    item_ids: tuple[ItemId, ...]
    factors: Matrix
    regularization: float
    content: ContentMap | None = field(default=None, repr=False)


class FactorModel:
    """Trained factors, which never change, and those of newer products, which are predicted from their content.

    The gram is the sum over the *trained* items alone. An item that is only predicted ("content") enters a user's
    fold-in with its whole confidence c instead of c - 1: the objective is the sum over all trained items, plus this
    user's own history. So a product that nobody has touched changes no user's vector, whenever it arrives.

    All methods but `seal` belong to one thread.
    """

    def __init__(self, trained: Factors) -> None:
        if len(trained.item_ids) != len(trained.factors):
            raise DimensionError("the list of items", expected=len(trained.factors), got=len(trained.item_ids))
        self.trained = trained
        self.gram = gram(trained.factors)
        self._equations = NormalEquations.of(self.gram, trained.regularization)
        self._ids = ItemIds(trained.item_ids)
        self._id_of_row = list(trained.item_ids)  # a plain list: a call a row would be a tenth of `top`
        self._n_trained = len(trained.item_ids)
        self._index = FactorIndex(trained.factors)

    @property
    def version(self) -> str:
        return self.trained.version

    @property
    def ids(self) -> ItemIds:
        """All items by row, trained ones first; append-only."""
        return self._ids

    @property
    def n_factors(self) -> int:
        return int(self.trained.factors.shape[1])

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._ids

    def origin(self, item_id: ItemId) -> str | None:
        """`trained`, `content`, or None for an item without factors."""
        row = self._ids.row(item_id)
        return None if row is None else "trained" if row < self._n_trained else "content"

    def predict(self, text_vector: Vector, image_vector: Vector) -> Vector | None:
        """Factors for a product's vectors (empty where missing).

        None without a content map or any vector, and for vectors of other encoders than the map was learned from: after
        a change of encoder, new products wait for the next fit.
        """
        content = self.trained.content
        if content is None:
            return None
        # A part that no trained item had taught the map nothing: the other part still says what it says.
        text_vector = text_vector if content.text_dim else text_vector[:0]
        image_vector = image_vector if content.image_dim else image_vector[:0]
        if not (len(text_vector) or len(image_vector)):
            return None
        if not content.takes(text_vector, image_vector):
            return None
        return content.predict(text_vector, image_vector)

    def add_content_item(self, item_id: ItemId, factors: Vector) -> bool:
        """Give a product that was not trained its predicted factors, or newer ones.

        Returns
        -------
        bool
            False for a trained item: what its users did says more than its content, and it is left alone.
        """
        row = self._ids.row(item_id)
        if row is None:
            self._ids.add(item_id)
            self._id_of_row.append(item_id)
            self._index.append(factors[None])
        elif row < self._n_trained:
            return False
        else:
            self._index.replace(row, factors)
        return True

    @property
    def retrieval(self) -> str:
        """How items are found: `exact`, or `sealed-N` when N of them are in a quantised index."""
        return f"sealed-{self._index.sealed}" if self._index.sealed else "exact"

    @property
    def wants_sealing(self) -> bool:
        """Whether so many rows are read one by one that `seal` would make searches notably quicker."""
        return self._index.unsealed > EXACT_ROWS

    def seal(self) -> None:
        """Make searches quick for all items there are now: 0.5 s for 100,000, in any thread; searches go on."""
        self._index.seal()

    def factors_of(self, item_ids: Sequence[ItemId]) -> tuple[Rows, Matrix]:
        """The factors of those items that have any.

        Returns
        -------
        rows : ndarray of intp, shape (m,)
            Places in `item_ids` of the items that have factors.
        factors : ndarray of float32, shape (m, n_factors)
        """
        found = self._ids.find(item_ids)
        places = np.flatnonzero(found >= 0)
        return places, self._index.rows[found[places]]

    def fold_in(self, history: Sequence[tuple[ItemId, float]]) -> Vector:
        """The vector of a user with this history.

        Parameters
        ----------
        history : sequence of (item id, confidence)
            Distinct items; confidence as for `recsys.als.fold_in.fold_in_user`, below zero for a dislike. Items without
            factors are left out.

        Returns
        -------
        ndarray of float32, shape (n_factors,)
            All zeros when nothing of the history has factors.
        """
        confidence = np.array([confidence for _, confidence in history])
        return self.fold_in_rows(self._ids.find([item_id for item_id, _ in history]), confidence)

    def fold_in_rows(self, rows: Rows, confidence: NDArray[np.float64]) -> Vector:
        """`fold_in` for rows of `ids`, distinct but for -1, which stands for an item without factors."""
        known = rows >= 0
        if not known.all():
            rows, confidence = rows[known], confidence[known]
        outside = rows >= self._n_trained if len(self._ids) > self._n_trained else None
        return self._equations.solve(self._index.rows[rows], confidence.astype(np.float32), outside)

    def top(self, vector: Vector, k: int) -> tuple[Sequence[ItemId], Vector]:
        """The k items with the largest inner products, largest first, equal ones by rising row; scores in float32."""
        rows, scores = self.top_rows(vector[None], k)[0]
        order = np.lexsort((rows, -scores))
        return [self._ids[row] for row in rows[order].tolist()], scores[order].astype(np.float32)

    def top_rows(self, vectors: Matrix, k: int) -> list[tuple[Rows, NDArray[np.float64]]]:
        """For each vector the rows (of `ids`) with the largest inner products, in no order.

        Returns
        -------
        rows : ndarray of intp, at most k
        scores : ndarray of float64, one each
            Computed row by row in float64, so they do not depend on what else is asked for at the same time. Recall of
            the true k is 0.99 and more once sealed, 1 before.
        """
        found = self._index.search(vectors, k)
        return [_best(rows, self._index.rows[rows], vector, k) for rows, vector in zip(found, vectors, strict=True)]

    def scores(self, vector: Vector, item_ids: Sequence[ItemId]) -> Vector:
        """x·y for each item, 0 for an item without factors; float32, shape (len(item_ids),)."""
        places, factors = self.factors_of(item_ids)
        scores = np.zeros(len(item_ids), dtype=np.float32)
        scores[places] = _inner_products(factors, vector)
        return scores


@compiled
def _inner_products(factors: Matrix, vector: Vector) -> NDArray[np.float64]:
    """float64, shape (n,); each row alone, in one order: four sums side by side, as one would wait for itself."""
    n_rows, n_factors = factors.shape
    products = np.empty(n_rows)
    wanted = vector.astype(np.float64)
    # Indices without a sign: where one might count from the end, the processor cannot take four numbers at once.
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    for row in range(n_rows):
        of = factors[row]
        first = second = third = fourth = 0.0
        for quarter in range(n_factors // 4):
            at = np.uint64(4 * quarter)
            first += np.float64(of[at]) * wanted[at]
            second += np.float64(of[at + one]) * wanted[at + one]
            third += np.float64(of[at + two]) * wanted[at + two]
            fourth += np.float64(of[at + three]) * wanted[at + three]
        for rest in range(n_factors - n_factors % 4, n_factors):
            first += np.float64(of[rest]) * wanted[rest]
        products[row] = (first + second) + (third + fourth)
    return products


@compiled
def _best(rows: Rows, factors: Matrix, vector: Vector, k: int) -> tuple[Rows, NDArray[np.float64]]:
    """The k rows with the largest inner products, in no order; of equal ones the lowest rows.

    Parameters
    ----------
    factors : ndarray of float32, shape (len(rows), n_factors)
    """
    products = _inner_products(factors, vector)
    n = len(rows)
    if n <= k:
        return rows, products
    least = np.partition(products, n - k)[n - k]
    n_above = (products > least).sum()
    last = np.sort(rows[products == least])[k - n_above - 1]
    kept = (products > least) | ((products == least) & (rows <= last))
    return rows[kept], products[kept]
