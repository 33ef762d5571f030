"""The events of a log in the order, and in the groups, in which they are predicted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsys.events import Click


@dataclass(frozen=True)
class Protocol:
    """How a log is replayed.

    Attributes
    ----------
    repeat : all events count, and nothing is left out of a ranking. Else the first event of each user and item alone
        counts, and the items that a user had are out of that user's ranking.
    basket : events of one user with one time stamp are all predicted before any of them is learned.
    shuffle : seed; events of one user with one time stamp come in random order. Invoice lines are printed sorted, as
        no stream of clicks is.
    history : share of the events, the first ones, that are learned and not predicted.
    """

    repeat: bool = False
    basket: bool = False
    shuffle: int | None = None
    history: float = 0.9


@dataclass(frozen=True)
class Replay:
    """Events in order; `groups` are predicted together, the first `n_history` events not at all."""

    groups: Sequence[Sequence[Click]]
    n_events: int
    n_history: int


def arrange(clicks: Sequence[Click], protocol: Protocol) -> Replay:
    """Put a log's events in order of time (stable), and into groups.

    Parameters
    ----------
    clicks : in the order of the file; those without an item are left out
    """
    ordered = sorted((click for click in clicks if click.item_id), key=lambda click: click.ts_ms)
    groups = _moments(ordered) if protocol.basket or protocol.shuffle is not None else [[click] for click in ordered]
    if protocol.shuffle is not None:
        rng = np.random.default_rng(protocol.shuffle)
        groups = [[group[place] for place in rng.permutation(len(group)).tolist()] for group in groups]
    if not protocol.repeat:
        groups = _first_of_each_pair(groups)
    if not protocol.basket:
        groups = [[click] for group in groups for click in group]
    n_events = sum(len(group) for group in groups)
    return Replay(groups, n_events, int(protocol.history * n_events))


def _moments(ordered: Sequence[Click]) -> list[list[Click]]:
    """Events of one user with one time stamp together, where the first of them stands."""
    moments: dict[tuple[int, str], list[Click]] = {}
    for click in ordered:
        moments.setdefault((click.ts_ms, click.user_id), []).append(click)
    return list(moments.values())


def _first_of_each_pair(groups: Sequence[Sequence[Click]]) -> list[list[Click]]:
    known: set[tuple[str, str]] = set()
    kept = []
    for group in groups:
        first = []
        for click in group:
            pair = (click.user_id, click.item_id)
            if pair not in known:
                known.add(pair)
                first.append(click)
        if first:
            kept.append(first)
    return kept
