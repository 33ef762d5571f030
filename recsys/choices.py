"""What a user could have chosen from: the candidates of a moment with their features, for the ranker to learn from."""

from typing import NamedTuple

from recsys.candidates import Views, gather, personal
from recsys.history import UserState
from recsys.rank import WORTH_FEATURES
from recsys.ranker import Floats, contexts, features
from recsys.refresh import RecommendPolicy
from recsys.tastes import tastes
from recsys.types import Rows


class Choices(NamedTuple):
    """Candidates that may be shown: rows of the `ItemTable`, features (n, N_FEATURES), and which weights count."""

    rows: Rows
    features: Floats
    context: Rows


def choices(state: UserState, views: Views, policy: RecommendPolicy) -> Choices:
    """The candidates that `recsys.refresh.rank_for` orders for a user now."""
    of_user = tastes([state], views.items, policy.confidence, policy.candidates.limits)
    liked = personal(of_user, views, policy.candidates)
    candidates = gather(of_user, liked, [state.seen], views, policy.candidates, most=WORTH_FEATURES)
    found = features(candidates.bounds, candidates.rows, candidates.evidence, views.trends.interest)
    return Choices(candidates.rows, found, contexts(candidates.n_items, candidates.n_session)[0])
