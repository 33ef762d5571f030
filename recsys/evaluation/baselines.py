"""What there was before: popularity, item-to-item methods and implicit ALS, each with a score for every item."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from implicit.nearest_neighbours import CosineRecommender
from implicit.utils import ParameterWarning
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.als.fit import FitPolicy, fit
from recsys.als.fold_in import NormalEquations
from recsys.als.gram import gram
from recsys.evaluation.world import Dense, Scores, World, grown
from recsys.events import Click
from recsys.types import Matrix, Rows, Vector

DAY_MS = 86_400_000.0
LARGEST = 200.0
"""Weights grow with time instead of all counts fading; beyond e to this power they are scaled back."""
ALPHA = 10.0
"""Confidence of an item that a user had: 1 + alpha."""


class DecayedPopularity(Dense):
    """How often each item was touched, an event counting half after `half_life_days`."""

    name = "decayed popularity"

    def __init__(self, world: World, half_life_days: float = 30.0) -> None:
        super().__init__(world)
        self._counts: Scores = np.zeros(1024)
        self._rate = np.log(2.0) / (half_life_days * DAY_MS)
        self._start_ms: int | None = None

    def learn(self, click: Click, row: int) -> None:
        """See `Method`. Forward decay (Cormode and others 2009): a later event weighs more, so nothing need fade."""
        if self._start_ms is None:
            self._start_ms = click.ts_ms
        grown_by = self._rate * (click.ts_ms - self._start_ms)
        if grown_by > LARGEST:
            self._counts *= np.exp(-grown_by)
            self._start_ms, grown_by = click.ts_ms, 0.0
        self._counts = grown(self._counts, row + 1)
        self._counts[row] += np.exp(grown_by)

    def scores(self, user_id: str) -> Scores:
        """See `Dense`."""
        self._counts = grown(self._counts, len(self.world.items))
        return self._counts[: len(self.world.items)]


class CoOccurrence(Dense):
    """Cosine of item-to-item counts (Sarwar and others 2001), the user's newest items weighing most.

    An item with r newer ones after it weighs exp(-r / recency). An event counts with the user's `window` events before
    it: with all of them, the film log's HR@10 is .0957 instead of .1061.
    """

    name = "item co-occurrence, recency 3"

    def __init__(self, world: World, recency: float = 3.0, window: int = 100) -> None:
        super().__init__(world)
        self._pairs: NDArray[np.float32] = np.zeros((1024, 1024), dtype=np.float32)
        self._counts: Scores = np.zeros(1024)
        self._recency = recency
        self._reach, self._window = int(10 * recency), window

    def learn(self, click: Click, row: int) -> None:
        """See `Method`."""
        if row >= len(self._counts):
            size = 2 * len(self._counts)
            pairs = np.zeros((size, size), dtype=np.float32)
            pairs[: len(self._pairs), : len(self._pairs)] = self._pairs
            self._pairs, self._counts = pairs, grown(self._counts, size)
        self._counts[row] += 1.0
        earlier = np.array(self.world.histories[click.user_id][-self._window - 1 : -1], dtype=np.intp)
        earlier = np.unique(earlier[earlier != row])
        self._pairs[row, earlier] += 1.0
        self._pairs[earlier, row] += 1.0

    def scores(self, user_id: str) -> Scores:
        """See `Dense`."""
        n_items = len(self.world.items)
        newest = self.world.histories.get(user_id, [])[: -self._reach - 1 : -1]
        if not newest:
            return np.zeros(n_items)
        rows = np.array(newest, dtype=np.intp)
        roots = np.sqrt(np.maximum(self._counts[:n_items], 1.0))
        weights = np.exp(-np.arange(len(rows)) / self._recency) / roots[rows]
        found: Scores = (weights @ self._pairs[rows, :n_items]) / roots
        return found


class ItemKnn(Dense):
    """`implicit`'s nearest neighbours by cosine, fitted to the history once."""

    name = "item-kNN (implicit)"

    def __init__(self, world: World, neighbours: int = 100) -> None:
        super().__init__(world)
        self._neighbours = neighbours
        self._similar: Any = None

    def begin(self) -> None:
        """See `Method`."""
        model = CosineRecommender(K=self._neighbours, num_threads=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ParameterWarning)  # it hands itself a matrix of another kind
            model.fit(interactions(self.world)[0], show_progress=False)
        self._similar = csr_matrix(model.similarity)

    def scores(self, user_id: str) -> Scores:
        """See `Dense`."""
        scores = np.zeros(len(self.world.items))
        known = self._similar.shape[0]
        for row in self.world.histories.get(user_id, ()):
            if row < known:
                some = slice(self._similar.indptr[row], self._similar.indptr[row + 1])
                scores[self._similar.indices[some]] += self._similar.data[some]
        return scores


class Als(Dense):
    """`implicit`'s ALS, fitted to the history: with the users as they were then, or folded in anew at each prediction.

    Parameters
    ----------
    fold_in : solve for the user's present history
    recency : an item with r newer ones after it has confidence 1 + alpha · exp(-r / recency); None: 1 + alpha
    every : events between two fits; None: one fit only
    """

    def __init__(
        self,
        world: World,
        name: str,
        *,
        fold_in: bool = True,
        recency: float | None = None,
        every: int | None = None,
        policy: FitPolicy | None = None,
    ) -> None:
        super().__init__(world)
        self.name = name
        self._fold_in, self._recency, self._every = fold_in, recency, every
        self._policy = policy or FitPolicy()
        self._factors: Matrix = np.zeros((0, self._policy.n_factors), dtype=np.float32)
        self._equations: NormalEquations | None = None
        self._then: dict[str, int] = {}
        """How long each user's history was at the fit."""
        self._n_since = 0

    def begin(self) -> None:
        """See `Method`."""
        matrix, _ = interactions(self.world)
        matrix.data[:] = 1.0 + ALPHA
        self._factors = fit(matrix, self._policy)
        self._equations = NormalEquations.of(gram(self._factors), self._policy.regularization)
        self._then = {user_id: len(history) for user_id, history in self.world.histories.items()}
        self._n_since = 0

    def learn(self, click: Click, row: int) -> None:
        """See `Method`."""
        self._n_since += 1
        if self._equations is not None and self._every is not None and self._n_since >= self._every:
            self.begin()

    def scores(self, user_id: str) -> Scores:
        """See `Dense`."""
        scores = np.zeros(len(self.world.items))
        history = self.world.histories.get(user_id, [])
        if not self._fold_in:
            history = history[: self._then.get(user_id, 0)]
        rows, confidence = self._confidences(history)
        if self._equations is not None and len(rows):
            vector = self._equations.solve(self._factors[rows], confidence)
            scores[: len(self._factors)] = self._factors @ vector
        return scores

    def _confidences(self, history: Sequence[int]) -> tuple[Rows, Vector]:
        """Each item of a history that has factors, once, with its confidence."""
        sums: dict[int, float] = {}
        for newer, row in enumerate(reversed(history)):
            if row < len(self._factors):
                weight = 1.0 if self._recency is None else float(np.exp(-newer / self._recency))
                sums[row] = max(sums.get(row, 0.0), weight)
        confidence = 1.0 + ALPHA * np.fromiter(sums.values(), dtype=np.float32, count=len(sums))
        return np.fromiter(sums, dtype=np.intp, count=len(sums)), confidence


def interactions(world: World) -> tuple[csr_matrix, list[str]]:
    """Who had what: ones, users by items in the order they were first seen; and the users' ids."""
    users = list(world.histories)
    histories = [sorted(set(world.histories[user_id])) for user_id in users]
    bounds = np.cumsum([0, *(len(history) for history in histories)])
    items = np.fromiter((row for history in histories for row in history), dtype=np.int32, count=int(bounds[-1]))
    ones = np.ones(len(items), dtype=np.float32)
    return csr_matrix((ones, items, bounds), shape=(len(users), len(world.items))), users


BASELINES: dict[str, Callable[[World], Dense]] = {
    "popularity": DecayedPopularity,
    "co-occurrence": CoOccurrence,
    "item-knn": ItemKnn,
    "als": lambda world: Als(world, "static implicit ALS", fold_in=False),
    "als-fold-in": lambda world: Als(world, "implicit ALS, fold-in at each event"),
    "als-recency": lambda world: Als(world, "implicit ALS, fold-in, recency 10", recency=10.0),
    "als-retrained": lambda world: Als(world, "implicit ALS, fold-in, fitted every 5,000 events", every=5_000),
}
"""By the names that `freshet evaluate --methods` takes."""
