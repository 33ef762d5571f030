"""Candidates -> an ordered list: scored, filtered, one variant of a group, cut to k, each with its reason."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recsys.candidates import Candidates, Views
from recsys.compiled import compiled
from recsys.events import ListItem, Reason
from recsys.evidence import CONTENT, TOGETHER, Amounts, unhidden
from recsys.item_table import NO_GROUP, ItemTable
from recsys.list_rules import ListRules, RoomLeft, arranged
from recsys.ranker import RankerWeights, contexts
from recsys.shop_rules import pinned
from recsys.types import Rows

SCORE_DIGITS = 6
WORTH_FEATURES = 256
"""Candidates of a user that the ranker orders, those with the most evidence; more where a list is to be long."""
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


NO_RULES = ListRules()
Filter = Callable[[str], bool]
"""Item id -> whether it may be in the list."""


@dataclass(frozen=True)
class Ranked:
    """A list's items, best first, and how personal it is."""

    strategy: str
    items: tuple[ListItem, ...]
    neighbours: str = ""
    """Names the content neighbours that took part."""
    variant: str = ""
    """Of an experiment, if its user takes part in one."""
    ranker: str = ""
    """What ordered it, where that is a variant's own choice."""


def most_worth_ranking(n: int) -> int:
    """Candidates of a user that are put in order for a list of n: those with the most evidence."""
    return max(WORTH_FEATURES, 3 * n)


def rank(
    candidates: Candidates,
    views: Views,
    policy: BlendPolicy,
    *,
    n: int,
    seen: Sequence[Collection[int]],
    ranker: RankerWeights | None = None,
    allow: Filter | None = None,
    exclude: Collection[str] = (),
    rules: ListRules = NO_RULES,
) -> list[Ranked]:
    """Order each user's candidates and keep the best n that may be shown.

    Parameters
    ----------
    candidates : what `gather` collected; all of it where `allow` or `exclude` may let few pass
    seen : as for `gather`
    ranker : None: the fixed blend of `policy`
    allow : a further condition, such as a category
    exclude : item ids to leave out
    rules : what a whole list must be; with a filter, any number of a category and brand

    Returns
    -------
    list of Ranked, one for each user
        Equal scores are ordered by the hash of the item id, so that the same evidence gives the same list everywhere.
    """
    items = views.items
    rows, bounds = candidates.rows, candidates.bounds
    if ranker is None:
        weights = np.array([policy.factors, policy.together, policy.content, policy.popularity])
        scores, sources = _blend(bounds, candidates.evidence, weights)
    else:
        weighted = contexts(candidates.n_items, candidates.n_session)
        scores, sources = ranker.score(bounds, rows, candidates.evidence, views.trends.interest, weighted)
    traits = views.traits
    if traits is not None and rules.weighs:
        scores = scores * traits.factors(rows)
    if allow is not None and rules.has_limits:
        rules = replace(rules, most_per_category=0, most_per_brand=0)
    arranges = traits is not None and rules.arranges
    scores = scores.round(SCORE_DIGITS)
    is_plain = allow is None and not exclude and not items.groups[rows].any()
    most = n if is_plain and not arranges else len(rows)
    ordered = _in_order(bounds, scores, items.hashes[rows], most)
    lists = []
    for user, places in enumerate(ordered):
        best = places[places >= 0]
        if not is_plain:
            best = _choose(rows, best, items, most if arranges else n, allow, exclude)
        if traits is not None and arranges:
            best = best[arranged(rows[best], scores[best], traits, rules, n)]
        reasons = _reasons(sources[best], candidates.because[best], items)
        ranked = [
            ListItem(items.ids[row], score, False, reason)
            for row, score, reason in zip(rows[best].tolist(), scores[best].tolist(), reasons, strict=True)
        ]
        if len(ranked) < n:
            room = RoomLeft(rows[best], traits, rules) if traits is not None and arranges else None
            ranked += _newest(ranked, items, n, seen[user], allow, exclude, room)
        if rules.pins:
            ranked = pinned(ranked, rules.pins, items, _passes(items, seen[user], allow, exclude), n)
        lists.append(Ranked(_strategy(candidates, user), tuple(ranked)))
    return lists


@compiled
def _blend(bounds: Rows, evidence: NDArray[np.float64], weights: Amounts) -> tuple[Amounts, Rows]:
    """Each source scaled to a user's largest value, times its weight, summed.

    Returns
    -------
    scores : ndarray of float64, shape (n,)
    strongest : ndarray of intp, shape (n,)
        The source that adds most to each score.
    """
    n_users, n_sources = len(bounds) - 1, len(weights)
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
    return scores, strongest


@compiled
def _in_order(bounds: Rows, scores: Amounts, hashes: NDArray[np.uint64], most: int) -> Rows:
    """Places of each user's best candidates, best first; equal scores by rising hash.

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


def unseen(rows: Rows, items: ItemTable, seen: Collection[int]) -> NDArray[np.bool_]:
    """Which rows are none of those that the user's own deeds keep out."""
    found = np.ones(len(rows), dtype=np.bool_)
    unhidden(rows, items.hashes, np.fromiter(seen, np.uint64, len(seen)), found)
    return found


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


def _passes(
    items: ItemTable, seen: Collection[int], allow: Filter | None, exclude: Collection[str]
) -> Callable[[str], bool]:
    """Whether an item may be in a list at all."""

    def passes(item_id: str) -> bool:
        row = items.row(item_id)
        is_kept_out = not items.visible[row] or int(items.hashes[row]) in seen or item_id in exclude
        return not is_kept_out and (allow is None or allow(item_id))

    return passes


_KINDS = ("for_you", "often_together", "similar", "trending")
_PLAIN = tuple(Reason(kind) for kind in _KINDS)


def _reasons(sources: Rows, because: Rows, items: ItemTable) -> list[Reason]:
    """One for each place: the strongest source, or the user's own item that speaks for it."""
    viewed = np.where((sources == TOGETHER) | (sources == CONTENT), because, -1).tolist()
    named = {row: Reason("because_you_viewed", items.ids[row]) for row in set(viewed) - {-1}}
    return [named[row] if row >= 0 else _PLAIN[source] for row, source in zip(viewed, sources.tolist(), strict=True)]


def _strategy(candidates: Candidates, user: int) -> str:
    """How personal a user's list is."""
    if candidates.is_personal[user]:
        return "personal"
    own = candidates.evidence[candidates.bounds[user] : candidates.bounds[user + 1]]
    together, content = (own[:, column].max(initial=0.0) for column in (TOGETHER, CONTENT))
    return "session" if together > 0 else "similar" if content > 0 else "trending"


def _newest(
    shown: list[ListItem],
    items: ItemTable,
    n: int,
    seen: Collection[int],
    allow: Filter | None,
    exclude: Collection[str],
    room: RoomLeft | None = None,
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
        if room is not None and not room.has(row):
            continue
        if group != NO_GROUP:
            groups.add(group)
        added.append(ListItem(item_id, 0.0, False, Reason("new")))
    return added
