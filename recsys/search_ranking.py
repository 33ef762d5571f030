"""What speaks for a product found besides the query: the user's taste and history, popularity, newness, price.

A search finds by relevance; `ranked` puts what it found in order, relevance and all of these in one score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.candidates import Views
from recsys.catalogue import Catalogue
from recsys.history import UserState
from recsys.refresh import RecommendPolicy
from recsys.search import SearchHit, SearchQuery
from recsys.tastes import tastes
from recsys.types import Rows
from recsys.words import names_of

FEATURES = ("taste", "had", "together", "popularity", "new", "price")
"""The columns of `Evidence.features`."""
CONSIDERED = 100
"""Hits by relevance that are put in order; what lies further down is too far from the query to be lifted."""
CONSIDERED_BY_PICTURE = 30
"""The same where a picture is searched by, which little can outweigh and which takes longer to compare."""
FLOOR = 16.0
"""Popularity is told apart down to 2^-16 of the most popular hit's."""
NEW_HALF_LIFE_DAYS = 30.0
DAY_MS = 86_400_000.0
PRICE_FACTOR = 4.0
"""A product at so many times the user's usual price, or at that part of it, counts as being of no fitting price."""

Features = NDArray[np.float32]
"""float32, shape (n, len(FEATURES)); each in [0, 1], 0 where nothing is known"""


@dataclass(frozen=True)
class RankingWeights:
    """What each feature at its largest adds to the relevance."""

    taste: float
    had: float
    together: float
    popularity: float
    new: float
    price: float

    @property
    def row(self) -> NDArray[np.float32]:
        return np.array([getattr(self, name) for name in FEATURES], dtype=np.float32)


LEARNED = RankingWeights(taste=0.15, had=0.03, together=0.3, popularity=0.3, new=0.05, price=0.03)
"""Two thirds of what was learned for together and popularity from searches by one or two words of a title, and the rest
as it was learned (`python -m benchmarks.search_ranking`): who types a title in full wants that one."""
PICTURE_SHARE = 0.1
"""Of all weights where a picture is searched by: what it shows says more; no log of such searches was at hand."""


@dataclass(frozen=True)
class Evidence:
    """What hits are ordered by besides relevance; `now_ms` is what a product's age is taken from."""

    views: Views
    catalogue: Catalogue
    policy: RecommendPolicy
    now_ms: int


def ranked(
    hits: Sequence[SearchHit],
    query: SearchQuery,
    state: UserState,
    evidence: Evidence,
    weights: RankingWeights = LEARNED,
) -> list[SearchHit]:
    """The best hits, as many as the query asks for, scored by relevance and by what else speaks for them.

    A product whose id the query holds stays before all others.

    Parameters
    ----------
    hits : what `search` found, each with its relevance
    state : the user's; an empty one for a guest, whose hits are ordered by popularity and newness alone
    """
    scores = np.array([hit.score for hit in hits], dtype=np.float32)
    share = np.float32(1.0 if query.image_vector is None else PICTURE_SHARE)
    scores += share * (features(hits, state, evidence) @ weights.row)
    named = names_of(query.text)
    scores[[hit.item_id.casefold() in named for hit in hits]] += np.float32(weights.row.sum())
    best = [SearchHit(hit.item_id, score) for hit, score in zip(hits, scores.tolist(), strict=True)]
    return sorted(best, key=lambda hit: (-hit.score, hit.item_id))[: query.n]


def features(hits: Sequence[SearchHit], state: UserState, evidence: Evidence) -> Features:
    """What is known of each hit for this user; on the thread that the views belong to, 0.5 ms for 100 hits."""
    views, catalogue, policy = evidence.views, evidence.catalogue, evidence.policy
    item_ids = [hit.item_id for hit in hits]
    made = np.zeros((len(hits), len(FEATURES)), dtype=np.float32)
    if not hits:
        return made
    confidences = policy.confidence.confidences(state.history, state.watermark_ms)
    made[:, 0] = _taste(item_ids, confidences, views)
    made[:, 1] = [confidences.get(item_id, 0.0) > 0 for item_id in item_ids]
    known = tastes([state], views.items, policy.confidence, policy.candidates.limits)
    made[:, 2] = _together(item_ids, known.recent_rows, views)
    made[:, 3] = _popularity(item_ids, views)
    made[:, 4] = [_newness(item_id, catalogue, evidence.now_ms) for item_id in item_ids]
    made[:, 5] = _price_fit(item_ids, confidences, catalogue)
    return made


def _taste(item_ids: Sequence[str], confidences: Mapping[str, float], views: Views) -> NDArray[np.float32]:
    """What the user's own vector, folded in now, says of each."""
    if views.factors is None or not confidences:
        return np.zeros(len(item_ids), dtype=np.float32)
    vector = views.factors.fold_in(list(confidences.items()))
    return np.clip(views.factors.scores(vector, item_ids), 0, 1)


def _together(item_ids: Sequence[str], recent: Rows, views: Views) -> NDArray[np.float32]:
    """How often each goes together with the recent item that it goes with most."""
    found = np.zeros(len(item_ids), dtype=np.float32)
    if not len(recent):
        return found
    related, cosines = views.trends.partners(recent)
    rows = views.items.rows(item_ids)
    order = np.argsort(rows)
    places = order[np.minimum(np.searchsorted(rows, related, sorter=order), len(rows) - 1)]
    is_hit = rows[places] == related
    np.maximum.at(found, places[is_hit], cosines[is_hit].astype(np.float32))
    return np.minimum(found, 1.0, dtype=np.float32)


def _popularity(item_ids: Sequence[str], views: Views) -> NDArray[np.float32]:
    """Beside the most popular of them, by orders of magnitude."""
    rows = views.items.rows(item_ids)
    levels = views.trends.interest[rows, 0]
    highest = levels.max(initial=-np.inf)
    if highest == -np.inf:
        return np.zeros(len(item_ids), dtype=np.float32)
    return np.asarray(1 - np.minimum(highest - levels, FLOOR) / FLOOR, dtype=np.float32)


def _newness(item_id: str, catalogue: Catalogue, now_ms: int) -> float:
    product = catalogue.get(item_id)
    if product is None or product.created_at_ms is None:
        return 0.0
    return float(2.0 ** (-max(now_ms - product.created_at_ms, 0) / (NEW_HALF_LIFE_DAYS * DAY_MS)))


def _price_fit(item_ids: Sequence[str], confidences: Mapping[str, float], catalogue: Catalogue) -> NDArray[np.float32]:
    """How near each price is to the middle one of what the user likes, on a scale of factors."""
    liked = [_price(item_id, catalogue) for item_id, confidence in confidences.items() if confidence > 0]
    known = [price for price in liked if price > 0]
    if not known:
        return np.zeros(len(item_ids), dtype=np.float32)
    prices = np.array([_price(item_id, catalogue) for item_id in item_ids], dtype=np.float32)
    with np.errstate(divide="ignore"):
        away = np.abs(np.log(prices / np.median(known))) / np.log(PRICE_FACTOR)
    return np.asarray(1 - np.minimum(away, 1), dtype=np.float32)


def _price(item_id: str, catalogue: Catalogue) -> float:
    product = catalogue.get(item_id)
    return 0.0 if product is None or product.price is None else product.price.amount
