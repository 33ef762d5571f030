"""Where a list's items come from: factors, co-occurrence, content, popularity; unordered, each with its evidence."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile
from operator import itemgetter
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.counts import SESSION_GAP_MS
from recsys.events import ModelVersions
from recsys.evidence import FOLLOWED, Amounts, Given, merge
from recsys.history import Interaction
from recsys.ids import ItemIds
from recsys.item_table import ItemTable, RowMap
from recsys.related import RelatedRows
from recsys.trends import Trends
from recsys.types import Matrix, Rows, Vector

if TYPE_CHECKING:
    from recsys.list_rules import ItemTraits
    from recsys.ranker import RankerWeights

_NOBODY: tuple[Rows, Amounts] = (np.empty(0, dtype=np.intp), np.empty(0))
NEIGHBOURS = 30
"""Content neighbours of one item at most."""
LONGER = 4.0
"""How many times longer recent items count in `evidence.LONG`."""


class Factors(Protocol):
    """What ranking asks of a factor model (`recsys.als.model.FactorModel`)."""

    @property
    def version(self) -> str: ...

    @property
    def ids(self) -> ItemIds:
        """The items by the model's own rows."""
        ...

    def fold_in(self, history: Sequence[tuple[str, float]]) -> Vector: ...

    def top_rows(self, vectors: Matrix, k: int) -> list[tuple[Rows, Amounts]]: ...

    def scores(self, vector: Vector, item_ids: Sequence[str]) -> Vector: ...


class Nearest(Protocol):
    """Content neighbours of one item, best first; never changed, only replaced."""

    @property
    def item_ids(self) -> Sequence[str]: ...

    @property
    def scores(self) -> Sequence[float]: ...

    @property
    def name(self) -> str:
        """Equal for equal ids."""
        ...


class Neighbours(Protocol):
    """Content neighbours, from a cache: never a scan on the click path."""

    def nearest(self, item_id: str) -> Nearest | None: ...


class NeighbourRows:
    """Content neighbours as rows, converted once for as long as the cache holds the same."""

    def __init__(self, items: ItemTable, neighbours: Neighbours | None) -> None:
        self._items, self._neighbours = items, neighbours
        self._held: dict[int, Nearest] = {}
        self._related = RelatedRows(NEIGHBOURS)

    def of(self, item_ids: Sequence[str], rows: Rows) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Rows and similarities of the best, shape (n, `NEIGHBOURS`); 0 where nothing is known, or not yet."""
        if self._neighbours is not None:
            for item_id, row in zip(item_ids, rows.tolist(), strict=True):
                nearest = self._neighbours.nearest(item_id)
                if nearest is not None and nearest is not self._held.get(row):
                    self._held[row] = nearest
                    related, amounts = self._items.rows(nearest.item_ids), np.array(nearest.scores, dtype=np.float32)
                    self._related.put(np.array([row]), related[None, :NEIGHBOURS], amounts[None, :NEIGHBOURS])
        return self._related.of(rows)

    def name(self, item_ids: Sequence[str]) -> str:
        """Names what `of` last gave for these items: a digest each, `-` where nothing was known."""
        held = [self._held.get(self._items.row(item_id)) for item_id in item_ids]
        return ".".join("-" if nearest is None else nearest.name for nearest in held)


@dataclass(frozen=True)
class Views:
    """Everything shared that a list is made from; made anew only when a part is swapped, as it holds caches."""

    items: ItemTable
    trends: Trends
    factors: Factors | None = None
    neighbours: Neighbours | None = None
    named: Callable[[], ModelVersions] | None = None
    """What names all of them, as they stand."""
    ranker: "RankerWeights | None" = None
    """What the shop's own ranker has learned, once there is one."""
    traits: "ItemTraits | None" = None
    """What list rules ask of items, where there are any."""
    factor_rows: RowMap = field(init=False, repr=False)
    """Rows of `items` for the rows of `factors`."""
    neighbour_rows: "NeighbourRows" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ids = self.factors.ids if self.factors else ItemIds()
        object.__setattr__(self, "factor_rows", RowMap(self.items, ids))
        object.__setattr__(self, "neighbour_rows", NeighbourRows(self.items, self.neighbours))


@dataclass(frozen=True)
class CandidatePolicy:
    """How many of each kind."""

    from_factors: int = 200
    from_trends: int = 150
    recent_items: int = 20
    """Newest distinct items of the history whose partners and content neighbours are taken."""
    own_items: int = 60
    """Newest distinct items of the history that may come again."""
    session_gap_ms: int = SESSION_GAP_MS
    recency_half_life: float = 2.0
    """In items: what an item's partners weigh, by how many newer items there are."""
    content_items: int = 5
    content_neighbours: int = 20


@dataclass(frozen=True)
class Candidates:
    """Candidate rows of some users with their evidence, one user's after the other's.

    Attributes
    ----------
    bounds : ndarray of intp, shape (n_users + 1,)
        User u's candidates stand from `bounds[u]` to `bounds[u + 1]`.
    rows : ndarray of intp, shape (n,)
        Rows of the `ItemTable`; distinct for each user.
    evidence : ndarray of float64, shape (n, N_COLUMNS)
        What each source says for each row, 0 where it says nothing.
    because : ndarray of intp, shape (n,)
        Row of the user's item that speaks most for each candidate by co-occurrence or content; -1 where none does.
    is_personal : list of bool
        Whether each user's own vector took part.
    n_items, n_session : ndarray of intp, shape (n_users,)
        How many items each user touched, and how many of the recent ones in the last session.
    """

    bounds: Rows
    rows: Rows
    evidence: NDArray[np.float64]
    because: Rows
    is_personal: list[bool]
    n_items: Rows
    n_session: Rows


@dataclass(frozen=True)
class Recent:
    """A user's newest distinct items that the user does not dislike.

    Attributes
    ----------
    item_ids : newest first, a few
    own : item id -> how often it was touched, newest first, more of them
    n_session : how many of `item_ids`, the newest, belong to the user's last session
    n_items : how many items the user touched in all
    """

    item_ids: list[str]
    own: dict[str, int]
    n_session: int
    n_items: int


def recent_items(
    history: Sequence[Interaction], liked: Mapping[str, float], policy: CandidatePolicy, context_item: str = ""
) -> Recent:
    """What of a user's history is looked at.

    Parameters
    ----------
    history : by rising time
    liked : item id -> c_ui, from `ConfidencePolicy.confidences`, newest first
    context_item : an item whose page the user looks at now; counts as the newest of the history
    """
    counts = Counter(map(itemgetter(0), reversed(history)))
    touched = [item_id for item_id in islice(counts, policy.own_items) if liked.get(item_id, 0.0) > 0]
    newest = [item_id for item_id in touched[: policy.recent_items + 1] if item_id != context_item]
    del newest[policy.recent_items :]
    in_session = _last_session(history, policy) if newest else set()
    n_session = sum(1 for _ in takewhile(in_session.__contains__, newest))
    if context_item:
        newest.insert(0, context_item)
        n_session += 1
    own = {item_id: counts[item_id] for item_id in touched}
    return Recent(newest, own, n_session, len(counts))


def _last_session(history: Sequence[Interaction], policy: CandidatePolicy) -> set[str]:
    """Items since the last pause; as many as are looked at will do."""
    found: set[str] = set()
    newer_ms = history[-1].ts_ms
    for item_id, _, ts_ms, _, _ in reversed(history):
        if newer_ms - ts_ms > policy.session_gap_ms or len(found) > policy.recent_items:
            break
        found.add(item_id)
        newer_ms = ts_ms
    return found


def personal(
    confidences: Sequence[Mapping[str, float]], views: Views, policy: CandidatePolicy
) -> list[tuple[Rows, Amounts]]:
    """For each user the items that suit their own vector, folded in anew: rows and scores, none without a vector.

    Each user's are the same whoever else is asked for; many at once cost less, as the index is read once for several.
    """
    found = [_NOBODY] * len(confidences)
    if views.factors is None:
        return found
    vectors = [views.factors.fold_in(list(user.items())) for user in confidences]
    known = [place for place, vector in enumerate(vectors) if vector.any()]
    if known:
        best = views.factors.top_rows(np.stack([vectors[place] for place in known]), policy.from_factors)
        for place, (rows, scores) in zip(known, best, strict=True):
            found[place] = views.factor_rows.of(rows), scores
    return found


def gather(
    recent: Sequence[Recent],
    liked: Sequence[tuple[Rows, Amounts]],
    views: Views,
    policy: CandidatePolicy,
    popular: tuple[Rows, Amounts] | None = None,
    apart: int = 0,
) -> Candidates:
    """Collect the candidates of some users; each one's are the same, to the last bit, whoever else is asked for.

    Parameters
    ----------
    recent : for each user what `recent_items` found
    liked : for each user what `personal` found
    popular : what is popular among the items that may be shown; by default `Trends.top`
    apart : places by which all but each user's newest item fall further behind
    """
    items = views.items
    item_ids = [item_id for of_user in recent for item_id in of_user.item_ids]
    own_ids = [item_id for of_user in recent for item_id in of_user.own]
    places = np.array([place for of_user in recent for place in range(len(of_user.item_ids))], dtype=np.intp)
    n_session = np.array([of_user.n_session for of_user in recent], dtype=np.intp)
    newest, latest = np.flatnonzero(places < policy.content_items), np.flatnonzero(places < FOLLOWED)
    behind = places + apart * (places > 0)
    rows = items.rows(item_ids)
    partners, cosines = views.trends.partners(rows)
    following, steps = views.trends.following(rows[latest])
    alike, similarities = views.neighbour_rows.of([item_ids[entry] for entry in newest.tolist()], rows[newest])
    given = Given(
        _bounds([len(of_user) for of_user, _ in liked]),
        np.concatenate([of_user for of_user, _ in liked]),
        np.concatenate([amounts for _, amounts in liked]),
        _bounds([len(of_user.item_ids) for of_user in recent]),
        rows,
        n_session,
        2.0 ** (behind / -policy.recency_half_life),
        2.0 ** (behind / -(LONGER * policy.recency_half_life)),
        partners,
        cosines,
        following,
        steps,
        policy.content_items,
        policy.content_neighbours,
        alike,
        similarities,
        _bounds([len(of_user.own) for of_user in recent]),
        items.rows(own_ids),
        np.array([n for of_user in recent for n in of_user.own.values()], dtype=np.float64),
        *(popular or views.trends.popular(policy.from_trends)),
    )
    bounds, merged, evidence, because = merge(given, items.scratch())
    is_personal = [len(of_user) > 0 for of_user, _ in liked]
    n_items = np.array([of_user.n_items for of_user in recent], dtype=np.intp)
    return Candidates(bounds, merged, evidence, because, is_personal, n_items, n_session)


def _bounds(lengths: Sequence[int]) -> Rows:
    return np.cumsum([0, *lengths], dtype=np.intp)
