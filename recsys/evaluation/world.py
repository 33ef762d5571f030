"""What has been seen of a log so far, as rows: the same for every method."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.events import Click
from recsys.ids import ItemIds

Scores = NDArray[np.float64]
"""float64, shape (n_items,)"""


class World:
    """Items and users seen so far, and what each user had, in order.

    Attributes
    ----------
    items : ItemIds
        All items seen so far; they are the candidates of every method.
    histories : dict of user id -> list of item rows, oldest first
    times : dict of user id -> list of epoch milliseconds, one for each row of the history
    """

    def __init__(self, *, repeat: bool) -> None:
        self.items = ItemIds()
        self.histories: dict[str, list[int]] = {}
        self.times: dict[str, list[int]] = {}
        self.n_events = 0
        self._repeat = repeat

    def learn(self, click: Click) -> int:
        """Take one event; returns its item's row."""
        row = self.items.add(click.item_id)
        self.histories.setdefault(click.user_id, []).append(row)
        self.times.setdefault(click.user_id, []).append(click.ts_ms)
        self.n_events += 1
        return row

    def left_out(self, user_id: str) -> Sequence[int]:
        """Rows that are out of a user's ranking: what the user had, unless everything counts."""
        return () if self._repeat else self.histories.get(user_id, ())


class Method(Protocol):
    """Something that ranks all items seen so far for a user, and learns events one by one."""

    name: str

    def begin(self) -> None:
        """The history is over: predictions come next."""
        ...

    def predict(self, user_id: str, item_ids: Sequence[str]) -> list[float | None]:
        """The ranks, from 1, of some items for one user now; None beyond the first 100."""
        ...

    def expect(self, user_id: str, item_ids: Sequence[str]) -> None:
        """Hear what a user comes to next, before it is learned event by event, but after it was predicted."""
        ...

    def learn(self, click: Click, row: int) -> None:
        """Learn one event, which `World.learn` has taken before."""
        ...


class Dense:
    """A method that has a score for every item."""

    name = ""

    def __init__(self, world: World) -> None:
        self.world = world

    def begin(self) -> None:
        """Nothing, for a method that learns as it goes."""

    def expect(self, user_id: str, item_ids: Sequence[str]) -> None:
        """Nothing: only what has happened is learned from."""

    def learn(self, click: Click, row: int) -> None:
        """Nothing, for a method that the world's histories are enough for."""

    def scores(self, user_id: str) -> Scores:
        """One number for each item seen so far; shape (len(world.items),)."""
        raise NotImplementedError  # pragma: no cover

    def predict(self, user_id: str, item_ids: Sequence[str]) -> list[float | None]:
        """See `Method`."""
        scores = np.array(self.scores(user_id), dtype=np.float64)
        left_out = np.array(self.world.left_out(user_id), dtype=np.intp)
        scores[left_out] = -np.inf
        rows = self.world.items.find(item_ids)
        return [rank_among(scores, row) if row >= 0 else None for row in rows.tolist()]


def rank_among(scores: Scores, row: int) -> float:
    """1 + the number of items above + half of those with the same score."""
    own = scores[row]
    return float(1 + np.count_nonzero(scores > own) + 0.5 * (np.count_nonzero(scores == own) - 1))


def grown(array: Scores, length: int) -> Scores:
    """The array with zeros at its end, at least so long; doubled, so that growing costs little."""
    if length <= len(array):
        return array
    longer = np.zeros(max(length, 2 * len(array)))
    longer[: len(array)] = array
    return longer
