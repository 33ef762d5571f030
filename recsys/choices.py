"""What a user could have chosen from: the candidates of a moment with their features, for the ranker to learn from."""

from typing import NamedTuple

from recsys.candidates import Views, gather, personal, recent_items
from recsys.history import UserState
from recsys.rank import WORTH_FEATURES, worth_ranking
from recsys.ranker import Floats, contexts, features
from recsys.refresh import RecommendPolicy
from recsys.types import Rows


class Choices(NamedTuple):
    """Candidates that may be shown: rows of the `ItemTable`, features (n, N_FEATURES), and which weights count."""

    rows: Rows
    features: Floats
    context: Rows


def choices(state: UserState, views: Views, policy: RecommendPolicy) -> Choices:
    """The candidates that `recsys.refresh.rank_for` orders for a user now."""
    confidences = policy.confidence.confidences(state.history, state.watermark_ms)
    recent = recent_items(state.history, confidences, policy.candidates)
    gathered = gather([recent], personal([confidences], views, policy.candidates), views, policy.candidates)
    candidates = worth_ranking(gathered, views.items, [state.seen], WORTH_FEATURES)
    found = features(candidates.bounds, candidates.evidence, *views.trends.interest(candidates.rows))
    return Choices(candidates.rows, found, contexts(candidates.n_items, candidates.n_session)[0])
