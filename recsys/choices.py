"""What a user could have chosen from: the candidates of a moment with their features, for the ranker to learn from."""

from typing import NamedTuple

from recsys.candidates import Views, gather, personal, recent_items
from recsys.history import UserState
from recsys.rank import unseen
from recsys.ranker import Floats, features
from recsys.refresh import RecommendPolicy
from recsys.types import Rows


class Choices(NamedTuple):
    """Candidates that may be shown: rows of the `ItemTable`, features (n, N_FEATURES), the user's recent items."""

    rows: Rows
    features: Floats
    n_recent: int


def choices(state: UserState, views: Views, policy: RecommendPolicy) -> Choices:
    """The candidates that `recsys.refresh.rank_for` would order for a user now."""
    confidences = policy.confidence.confidences(state.history, state.watermark_ms)
    recent = recent_items(state.history, confidences, policy.candidates.recent_items)
    candidates = gather([recent], personal([confidences], views, policy.candidates), views, policy.candidates)
    rows = candidates.rows
    shown = views.items.visible[rows]
    if state.seen:
        shown &= unseen(rows, views.items, state.seen)
    found, _ = features(candidates.bounds, candidates.evidence, *views.trends.interest(rows))
    return Choices(rows[shown], found[shown], len(recent))
