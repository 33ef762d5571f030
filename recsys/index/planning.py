"""When a segment's rows go into a sealed index, and when that is made anew: decides only."""

from dataclasses import dataclass
from enum import Enum

SEAL_FROM = 20_000
"""Rows below which an exact scan takes no longer than a search of a graph (1 ms for 384 numbers)."""
GRAPH_UP_TO = 300_000
"""Rows from which on a graph takes too long to build, and too much memory: 0.2 GB and a minute."""
APPEND_FROM = 1_024
"""Unsealed rows that are worth a copy of the sealed index: they cost each search 0.1 ms."""
APPEND_SHARE = 0.01
"""Of a large index, which takes longer to copy."""
GROWTH = 2.0
"""Lists are trained anew once there are so many times the rows that they were made for, or so many times fewer."""
STALE = 0.4
"""Share of entries out of date from which on the index is made anew: searches pass through them all the same."""


class Step(Enum):
    """What is to be done with a segment."""

    NOTHING = 0
    APPEND = 1
    """Copy the sealed index, with what changed."""
    GRAPH = 2
    """Build a graph of what is there now."""
    LISTS = 3
    """Train lists on what is there now, and fill them."""
    DROP = 4
    """There are so few rows that a scan is as quick."""


@dataclass(frozen=True)
class Sealed:
    """What is sealed: entries, how many of them are current, how many rows it was made for, and whether as a graph."""

    n_entries: int
    n_current: int
    trained_for: int
    is_graph: bool


def next_step(n_rows: int, n_unsealed: int, sealed: Sealed | None) -> Step:
    """Decide.

    Parameters
    ----------
    n_rows : rows that hold a vector
    n_unsealed : of these, rows that the sealed index lacks, or has an older version of
    """
    build = Step.GRAPH if n_rows < GRAPH_UP_TO else Step.LISTS
    if sealed is None:
        return build if n_rows >= SEAL_FROM else Step.NOTHING
    if n_rows < SEAL_FROM / 2:
        return Step.DROP
    if sealed.n_current < (1 - STALE) * sealed.n_entries:
        return build
    if sealed.is_graph and n_rows >= GROWTH * GRAPH_UP_TO:
        return Step.LISTS
    if not sealed.is_graph and not sealed.trained_for / GROWTH < n_rows < GROWTH * sealed.trained_for:
        return build
    return Step.APPEND if n_unsealed >= max(APPEND_FROM, APPEND_SHARE * n_rows) else Step.NOTHING
