"""Settings -> the numbers that decide a list."""

from recsys.confidence import ConfidencePolicy
from recsys.events import Action
from recsys.history import HistoryPolicy
from recsys.refresh import RecommendPolicy
from streams.settings import Settings


def recommend_policy(settings: Settings) -> RecommendPolicy:
    """What `FRESHET_WEIGHT_*`, `FRESHET_SEEN_*`, `FRESHET_HISTORY_SIZE`, `FRESHET_RANKER` and `FRESHET_TOP_K` say."""
    weights = {action: float(getattr(settings, f"weight_{action.value}")) for action in Action}
    seen = frozenset(action for action in Action if getattr(settings, f"seen_{action.value}"))
    return RecommendPolicy(
        confidence=ConfidencePolicy(weights=weights),
        history=HistoryPolicy(size=settings.history_size, seen=seen),
        ranker=settings.ranker,
        top_k=settings.top_k,
    )
