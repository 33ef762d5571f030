"""How good the lists are right now: each choice against the list that stood just before it, and against popularity."""

from dataclasses import dataclass

import numpy as np

from recsys.candidates import Views
from recsys.confidence import ConfidencePolicy
from recsys.events import ACTION_CODE, Click, RecommendationList
from recsys.history import UserState
from streams.wire.served import SHOWN

POPULAR_LOOKED_AT = 60
"""Most popular items among which the first that may be shown to a user are looked for."""


@dataclass
class Tally:
    """Choices of users whose lists were of one kind: how many, how many these foretold, how many popularity did."""

    choices: int = 0
    hits: int = 0
    popular_hits: int = 0


class LiveScores:
    """Counts hits of the lists that stand; some 250 bytes a user. What is replayed counts for nothing."""

    def __init__(self, confidence: ConfidencePolicy) -> None:
        self.tallies: dict[tuple[str, str], Tally] = {}
        """By the strategy of the list, and by the experiment's variant, empty where there is none."""
        self._confidence = confidence
        self._standing: dict[str, tuple[tuple[str, str], tuple[str, ...]]] = {}

    def stands(self, made: RecommendationList) -> None:
        """Remember the list that a user's next choice is held against."""
        self._standing[made.user_id] = (
            (made.strategy, made.variant or ""),
            tuple(item.item_id for item in made.items[:SHOWN]),
        )

    def forget(self) -> None:
        """Lists of partitions that may have gone to others stand no more."""
        self._standing.clear()

    def score(self, click: Click, state: UserState, views: Views) -> None:
        """Hold a user's choice against what stood; the state as it was before the choice."""
        standing = self._standing.get(click.user_id)
        if standing is None or not click.item_id or self._confidence.weight(ACTION_CODE[click.type]) <= 0:
            return
        kind, shown = standing
        tally = self.tallies.setdefault(kind, Tally())
        tally.choices += 1
        tally.hits += click.item_id in shown
        tally.popular_hits += _is_popular(click.item_id, state, views)


def _is_popular(item_id: str, state: UserState, views: Views) -> bool:
    """Whether an item is among the first `SHOWN` that popularity would show the user."""
    items = views.items
    rows = views.trends.top(POPULAR_LOOKED_AT)[0]
    (places,) = np.nonzero(rows == items.row(item_id))
    if not len(places):
        return False
    ahead = rows[: places[0]]
    may_be_shown = (items.visible[row] and int(items.hashes[row]) not in state.seen for row in ahead.tolist())
    n_ahead: int = sum(may_be_shown)
    return n_ahead < SHOWN
