"""Gathering on arrays gives what gathering one item at a time does, whatever the sources say."""

from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.candidates import EVERYTHING, LONGER, CandidatePolicy, Candidates, Views, gather, personal
from recsys.confidence import ConfidencePolicy
from recsys.counts import ItemTrend, TrendsPolicy
from recsys.evidence import FOLLOWED, N_COLUMNS, OWN_FADING
from recsys.history import Interaction, UserState, short_hash
from recsys.ids import ItemIds
from recsys.item_table import ItemTable
from recsys.tastes import tastes
from recsys.trends import Trends
from tests.builders import NOON_MS

ITEMS = [f"item-{number}" for number in range(9)]
POLICY = CandidatePolicy(from_factors=3, from_trends=2, recent_items=3, content_items=2, content_neighbours=2)
amounts = st.sampled_from([0.25, 0.5, 1.0, 2.0])
some_items = st.dictionaries(st.sampled_from(ITEMS), amounts, max_size=5)


class Fixed:
    """A model and a neighbour cache that say what they were told; the model has rows of its own."""

    version = "fixed"

    def __init__(self, scores: dict[str, float], nearest: dict[str, dict[str, float]]) -> None:
        self.ids = ItemIds(reversed(scores))
        self._scores, self._nearest = scores, nearest

    def fold_in_rows(self, rows, confidence):
        return np.full(1, len(rows), dtype=np.float32)

    def top_rows(self, vectors, k):
        best = sorted(self._scores, key=lambda item: -self._scores[item])[:k]
        return [(self.ids.rows(best), np.array([self._scores[item] for item in best]))] * len(vectors)

    def nearest(self, item_id):
        if (known := self._nearest.get(item_id)) is None:
            return None
        return SimpleNamespace(item_ids=list(known), scores=list(known.values()), name="known")


def one_by_one(viewed_before: list[str], n_session: int, told: Fixed, trends: Trends, items: ItemTable):
    """Evidence by item, and which of the user's items may be named for it: those that speak most."""
    found: dict[str, list[float]] = {}
    together: dict[str, dict[str, float]] = defaultdict(dict)
    alike: dict[str, dict[str, float]] = defaultdict(dict)
    after: dict[str, dict[str, float]] = defaultdict(dict)
    recent = list(dict.fromkeys(reversed(viewed_before)))[: POLICY.recent_items]

    def evidence(item_id: str) -> list[float]:
        return found.setdefault(item_id, [0.0] * N_COLUMNS)

    model_rows, scores = told.top_rows([None], POLICY.from_factors)[0]
    for row, score in zip(model_rows.tolist(), scores.tolist(), strict=True):
        evidence(told.ids[row])[0] = score
    for place, viewed in enumerate(recent):
        fading = 2.0 ** (-place / POLICY.recency_half_life)
        rows, cosines = trends.partners(items.rows([viewed]))
        for row, cosine in zip(rows[0].tolist(), (fading * cosines[0]).tolist(), strict=True):
            if not cosine:
                continue
            evidence(items.ids[row])[1] += cosine
            together[items.ids[row]][viewed] = cosine
            said, whole = evidence(items.ids[row]), cosine / fading
            said[5] += whole * 2.0 ** (-place / (LONGER * POLICY.recency_half_life))
            said[7] = max(said[7], whole)
            if place == 0:
                said[4] = whole
            if place < n_session:
                said[6] += whole
                said[8] = max(said[8], whole)
        if place < POLICY.content_items and (known := told.nearest(viewed)):
            best = list(zip(known.item_ids, known.scores, strict=True))[: POLICY.content_neighbours]
            for other, similarity in best:
                evidence(other)[2] = max(evidence(other)[2], fading * similarity)
                alike[other][viewed] = fading * similarity
        if place < FOLLOWED:
            rows, steps = trends.following(items.rows([viewed]))
            for row, step in zip(rows[0].tolist(), steps[0].tolist(), strict=True):
                if step:
                    evidence(items.ids[row])[9] += step / (1 + place)
                    after[items.ids[row]][viewed] = 1.0
    for row, popularity in zip(*(each.tolist() for each in trends.popular(POLICY.from_trends)), strict=True):
        evidence(items.ids[row])[3] = popularity
    own = list(dict.fromkeys(reversed(viewed_before)))
    for place, item_id in enumerate(own):
        evidence(item_id)[10] = viewed_before.count(item_id)
        evidence(item_id)[11] = np.exp(-place / OWN_FADING)
    # What goes together says more than what follows, and that more than what is alike.
    speak = {**alike, **after, **together}
    because = {
        item: {viewed for viewed, amount in by.items() if amount > (1 - 1e-9) * max(by.values())}
        for item, by in speak.items()
    }
    return found, because


a_shop = {
    "scores": some_items,
    "nearest": st.dictionaries(st.sampled_from(ITEMS), some_items, max_size=5),
    "pairs": st.dictionaries(st.sampled_from(ITEMS), some_items, max_size=6),
}
a_history = st.lists(st.sampled_from(ITEMS), max_size=6)
LATER_MS = NOON_MS + 3 * POLICY.session_gap_ms


def views_of(told: Fixed, pairs: dict[str, dict[str, float]]) -> Views:
    items = ItemTable(ITEMS)
    trends = Trends(items, TrendsPolicy(partners=3, followers=2))
    for number, (item_id, partners) in enumerate(pairs.items()):
        following = {partner: amount / 2 for partner, amount in partners.items() if amount != 0.5}
        trends.put(
            0, item_id, ItemTrend(0, 1.0 + number, NOON_MS, 1.0 + number, partners, 2.0, 1.0 / (1 + number), following)
        )
    trends.refresh()
    return Views(items, trends, told, told)


def state_of(viewed: list[str], n_session: int = 2) -> UserState:
    """All that was viewed is liked alike; the last few deeds are in a session of their own."""
    times = [LATER_MS if place >= len(viewed) - n_session else NOON_MS for place in range(len(viewed))]
    history = [Interaction(item_id, 2, ts_ms, 1.0, 0) for item_id, ts_ms in zip(viewed, times, strict=True)]
    return UserState(history=history, watermark_ms=LATER_MS)


def gathered_for(
    histories: list[list[str]], views: Views, n_session: int = 2, seen: tuple[str, ...] = (), most: int = EVERYTHING
) -> Candidates:
    states = [state_of(viewed, n_session) for viewed in histories]
    found = tastes(states, views.items, ConfidencePolicy(), POLICY.limits)
    hidden = [[short_hash(item_id) for item_id in seen]] * len(states)
    return gather(found, personal(found, views, POLICY), hidden, views, POLICY, most=most)


@settings(deadline=None)  # the first call compiles
@given(viewed=a_history, n_session=st.integers(1, 4), **a_shop)
def test_arrays_gather_what_plain_python_gathers(viewed, n_session, scores, nearest, pairs):
    told = Fixed(scores, nearest)
    views = views_of(told, pairs)
    items = views.items

    gathered = gathered_for([viewed], views, n_session)
    if not viewed:
        told = Fixed({}, {})  # who has no vector is asked nothing
    in_session = len(set(viewed[-n_session:])) if n_session < len(viewed) else len(set(viewed))
    expected, because = one_by_one(viewed, in_session, told, views.trends, items)

    ids = [items.ids[row] for row in gathered.rows.tolist()]
    assert sorted(ids) == sorted(expected)
    for place, item_id in enumerate(ids):
        assert gathered.evidence[place].tolist() == pytest.approx(expected[item_id], rel=1e-9)
        row = int(gathered.because[place])
        assert (items.ids[row] if row >= 0 else None) in because.get(item_id, {None})


@settings(deadline=None)
@given(histories=st.lists(a_history, min_size=1, max_size=5), **a_shop)
def test_what_is_gathered_for_a_user_does_not_depend_on_the_others(histories, scores, nearest, pairs):
    views = views_of(Fixed(scores, nearest), pairs)

    together = gathered_for(histories, views)

    for user, viewed in enumerate(histories):
        alone = gathered_for([viewed], views)
        own = slice(together.bounds[user], together.bounds[user + 1])
        assert together.is_personal[user] == alone.is_personal[0]
        assert np.array_equal(together.rows[own], alone.rows)
        assert np.array_equal(together.evidence[own], alone.evidence)
        assert np.array_equal(together.because[own], alone.because)


@settings(deadline=None)
@given(viewed=a_history, hidden=st.sets(st.sampled_from(ITEMS)), seen=st.sets(st.sampled_from(ITEMS)), **a_shop)
def test_what_is_hidden_or_was_seen_is_no_candidate_and_changes_nothing_else(viewed, hidden, seen, **shop):
    views = views_of(Fixed(shop["scores"], shop["nearest"]), shop["pairs"])
    everything = gathered_for([viewed], views)
    for item_id in hidden:
        views.items.show(item_id, visible=False)

    left = gathered_for([viewed], views, seen=tuple(seen))

    may = ~np.isin(everything.rows, views.items.rows(hidden | seen))
    assert np.array_equal(left.rows, everything.rows[may])
    assert np.array_equal(left.evidence, everything.evidence[may])
    assert np.array_equal(left.because, everything.because[may])


@settings(deadline=None)
@given(histories=st.lists(a_history, min_size=1, max_size=4), most=st.integers(1, 6), **a_shop)
def test_of_many_those_with_the_most_evidence_are_candidates(histories, most, **shop):
    views = views_of(Fixed(shop["scores"], shop["nearest"]), shop["pairs"])
    everything = gathered_for(histories, views)

    best = gathered_for(histories, views, most=most)

    for user in range(len(histories)):
        own = slice(everything.bounds[user], everything.bounds[user + 1])
        evidence, rows = everything.evidence[own], everything.rows[own]
        kept = best.rows[best.bounds[user] : best.bounds[user + 1]]
        scale = evidence.max(axis=0, initial=0.0)
        sums = np.divide(evidence, scale, out=np.zeros_like(evidence), where=scale > 0.0).sum(axis=1)
        last = np.sort(sums)[::-1][: min(most, len(rows))].min(initial=np.inf)
        assert len(kept) >= min(most, len(rows))
        assert (sums[np.isin(rows, kept)] >= last - 1e-9).all()
        assert kept.tolist() == [row for row in rows.tolist() if row in set(kept.tolist())]
