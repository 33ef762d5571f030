"""Candidates -> an ordered list: scored, filtered, one variant of a group, cut to k, each with its reason."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.candidates import CONTENT, TOGETHER, Amounts, Candidates, Views
from recsys.compiled import compiled
from recsys.events import ListItem, Reason
from recsys.item_table import NO_GROUP, ItemTable
from recsys.ranker import N_SOURCES, RankerWeights, features
from recsys.types import Rows

VERSION = "linear-1"
BLEND = "blend-1"
SCORE_DIGITS = 6
FILL_FACTOR = 100
"""Newest products looked through for each one wanted, where a filter lets too few candidates pass."""


@dataclass(frozen=True)
class BlendPolicy:
    """Without a ranker: what each kind of evidence weighs, scaled to its own largest value among the candidates.

    On a real shop log (`freshet evaluate`, lines shuffled) half or twice of any of them changes HR@10 by under 3 %.
    """

    factors: float = 2.0
    together: float = 1.0
    content: float = 0.3
    popularity: float = 0.5


Filter = Callable[[str], bool]
"""Item id -> whether it may be in the list."""


@dataclass(frozen=True)
class Ranked:
    """A list's items, best first, and how personal it is."""

    strategy: str
    items: tuple[ListItem, ...]
    neighbours: str = ""
    """Names the content neighbours that took part."""


def rank(
    candidates: Candidates,
    views: Views,
    policy: BlendPolicy,
    *,
    n: int,
    seen: Sequence[Mapping[int, int]],
    ranker: RankerWeights | None = None,
    allow: Filter | None = None,
    exclude: Collection[str] = (),
) -> list[Ranked]:
    """Order each user's candidates and keep the best n that may be shown.

    Parameters
    ----------
    ranker : None: the fixed blend of `policy`
    seen : for each user hashes (`short_hash`) of the items that the user's own deeds keep out
    allow : a further condition, such as a category
    exclude : item ids to leave out

    Returns
    -------
    list of Ranked, one for each user
        Equal scores are ordered by the hash of the item id, so that the same evidence gives the same list everywhere.
    """
    items, rows, bounds = views.items, candidates.rows, candidates.bounds
    if ranker is None:
        weights = np.array([policy.factors, policy.together, policy.content, policy.popularity])
        highest, scores, strongest = _blend(bounds, np.ascontiguousarray(candidates.evidence[:, :N_SOURCES]), weights)
    else:
        given, highest = features(bounds, candidates.evidence, *views.trends.interest(rows))
        scores, strongest = ranker.score(bounds, given, candidates.n_recent)
    scores = scores.round(SCORE_DIGITS)
    shown = items.visible[rows]
    for user, known in enumerate(seen):
        if known:
            own = slice(bounds[user], bounds[user + 1])
            shown[own] &= unseen(rows[own], items, known)
    is_plain = allow is None and not exclude and not items.groups[rows].any()
    most = n if is_plain else len(rows)
    ordered = _in_order(bounds, scores, items.hashes[rows], shown, most)
    lists = []
    for places, known, strategy in zip(ordered, seen, _strategies(candidates, highest), strict=True):
        best = places[places >= 0]
        if not is_plain:
            best = _choose(rows, best, items, n, allow, exclude)
        reasons = _reasons(strongest[best], candidates.because[best], items)
        ranked = [
            ListItem(items.ids[row], score, False, reason)
            for row, score, reason in zip(rows[best].tolist(), scores[best].tolist(), reasons, strict=True)
        ]
        if len(ranked) < n:
            ranked += _newest(ranked, items, n, known, allow, exclude)
        lists.append(Ranked(strategy, tuple(ranked)))
    return lists


@compiled
def _blend(bounds: Rows, evidence: NDArray[np.float64], weights: Amounts) -> tuple[NDArray[np.float64], Amounts, Rows]:
    """Each source scaled to a user's largest value, times its weight, summed.

    Returns
    -------
    highest : ndarray of float64, shape (n_users, 4)
        Each source's largest value among a user's candidates, at least 0.
    scores : ndarray of float64, shape (n,)
    strongest : ndarray of intp, shape (n,)
        The source that adds most to each score.
    """
    n_users, n_sources = len(bounds) - 1, evidence.shape[1]
    highest = np.zeros((n_users, n_sources))
    scores = np.zeros(len(evidence))
    strongest = np.zeros(len(evidence), dtype=np.intp)
    for user in range(n_users):
        for place in range(bounds[user], bounds[user + 1]):
            for source in range(n_sources):
                highest[user, source] = max(highest[user, source], evidence[place, source])
        for place in range(bounds[user], bounds[user + 1]):
            most = -np.inf
            for source in range(n_sources):
                part = 0.0
                if highest[user, source] > 0.0:
                    part = evidence[place, source] * (weights[source] / highest[user, source])
                scores[place] += part
                if part > most:
                    most, strongest[place] = part, source
    return highest, scores, strongest


@compiled
def _in_order(bounds: Rows, scores: Amounts, hashes: NDArray[np.uint64], shown: NDArray[np.bool_], most: int) -> Rows:
    """Places of each user's best candidates among those shown, best first; equal scores by rising hash.

    Returns
    -------
    ndarray of intp, shape (n_users, longest)
        At most `most` places a user, then -1.
    """
    n_users = len(bounds) - 1
    longest = 0
    for user in range(n_users):
        longest = max(longest, min(most, bounds[user + 1] - bounds[user]))
    ordered = np.full((n_users, longest), -1, dtype=np.intp)
    for user in range(n_users):
        best, n = ordered[user], 0
        for place in range(bounds[user], bounds[user + 1]):
            if not shown[place]:
                continue
            score, name = scores[place], hashes[place]
            at = n
            # By insertion: most candidates fall behind the last of a full list at once.
            while at > 0 and (
                score > scores[best[at - 1]] or (score == scores[best[at - 1]] and name < hashes[best[at - 1]])
            ):
                at -= 1
            if at < longest:
                n = min(n + 1, longest)
                for later in range(n - 1, at, -1):
                    best[later] = best[later - 1]
                best[at] = place
    return ordered


def unseen(rows: Rows, items: ItemTable, seen: Mapping[int, int]) -> NDArray[np.bool_]:
    """Which rows are none of those that the user's own deeds keep out."""
    known = np.fromiter(seen, dtype=np.uint64, count=len(seen))
    return ~np.isin(items.hashes[rows], known)


def _choose(rows: Rows, order: Rows, items: ItemTable, n: int, allow: Filter | None, exclude: Collection[str]) -> Rows:
    """Places of the first n that pass, of each group only the first."""
    ordered = rows[order]
    chosen: list[int] = []
    groups: set[int] = set()
    for place, row, group in zip(order.tolist(), ordered.tolist(), items.groups[ordered].tolist(), strict=True):
        if group != NO_GROUP:
            if group in groups:
                continue
            groups.add(group)
        if exclude or allow is not None:
            item_id = items.ids[row]
            if item_id in exclude or (allow is not None and not allow(item_id)):
                groups.discard(group)
                continue
        chosen.append(place)
        if len(chosen) == n:
            break
    return np.array(chosen, dtype=np.intp)


_KINDS = ("for_you", "often_together", "similar", "trending")
_PLAIN = tuple(Reason(kind) for kind in _KINDS)


def _reasons(sources: Rows, because: Rows, items: ItemTable) -> list[Reason]:
    """One for each place: the strongest source, or the user's own item that speaks for it."""
    viewed = np.where((sources == TOGETHER) | (sources == CONTENT), because, -1).tolist()
    named = {row: Reason("because_you_viewed", items.ids[row]) for row in set(viewed) - {-1}}
    return [named[row] if row >= 0 else _PLAIN[source] for row, source in zip(viewed, sources.tolist(), strict=True)]


def _strategies(candidates: Candidates, highest: NDArray[np.float64]) -> list[str]:
    """How personal each user's list is."""
    return [
        "personal" if is_personal else "session" if together > 0 else "similar" if content > 0 else "trending"
        for is_personal, together, content in zip(
            candidates.is_personal, highest[:, TOGETHER].tolist(), highest[:, CONTENT].tolist(), strict=True
        )
    ]


def _newest(
    shown: list[ListItem],
    items: ItemTable,
    n: int,
    seen: Mapping[int, int],
    allow: Filter | None,
    exclude: Collection[str],
) -> list[ListItem]:
    """Complete a list with the newest products: a new shop has no clicks, and a narrow filter few candidates."""
    have = {item.item_id for item in shown} | set(exclude)
    groups = set(items.groups[items.rows([item.item_id for item in shown])].tolist()) - {NO_GROUP}
    rows = items.newest(FILL_FACTOR * n)
    rows = rows[unseen(rows, items, seen)]
    added: list[ListItem] = []
    for row, group in zip(rows.tolist(), items.groups[rows].tolist(), strict=True):
        if len(shown) + len(added) >= n:
            break
        item_id = items.ids[row]
        if item_id in have or group in groups or (allow is not None and not allow(item_id)):
            continue
        if group != NO_GROUP:
            groups.add(group)
        added.append(ListItem(item_id, 0.0, False, Reason("new")))
    return added
