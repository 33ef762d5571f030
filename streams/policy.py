"""Settings -> the numbers that decide a list."""

from recsys.confidence import ConfidencePolicy
from recsys.events import Action
from recsys.history import HistoryPolicy
from recsys.list_rules import ListRules
from recsys.refresh import RecommendPolicy
from streams.settings import Settings


def recommend_policy(settings: Settings) -> RecommendPolicy:
    """What the settings say of weights, what hides an item, histories, the ranker and whole lists."""
    weights = {action: float(getattr(settings, f"weight_{action.value}")) for action in Action}
    seen = frozenset(action for action in Action if getattr(settings, f"seen_{action.value}"))
    return RecommendPolicy(
        confidence=ConfidencePolicy(weights=weights),
        history=HistoryPolicy(size=settings.history_size),
        ranker=settings.ranker,
        top_k=settings.top_k,
        rules=ListRules(
            diversity=settings.diversity,
            near_duplicates=settings.near_duplicates,
            most_per_category=settings.most_per_category,
            most_per_brand=settings.most_per_brand,
            rules=settings.list_rules,
        ),
        experiment=settings.experiment,
    ).with_seen(seen)
