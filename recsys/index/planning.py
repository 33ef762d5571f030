"""When a segment's rows go into a sealed index, and when that is made anew: decides only."""

from enum import Enum

SEAL_FROM = 20_000
"""Rows below which an exact scan takes no longer than a search of lists (1 ms for 384 numbers)."""
APPEND_FROM = 2_048
"""Unsealed rows that are worth a copy of the sealed index: they cost each search 0.2 ms."""
APPEND_SHARE = 0.01
"""Of a large index, which takes longer to copy."""
GROWTH = 2.0
"""The lists are trained anew once there are so many times the rows that they were made for."""


class Step(Enum):
    """What is to be done with a segment."""

    NOTHING = 0
    APPEND = 1
    """Copy the sealed index, with what changed."""
    REBUILD = 2
    """Train lists on what is there now, and fill them."""
    DROP = 3
    """There are so few rows that a scan is as quick."""


def next_step(n_rows: int, n_unsealed: int, trained_for: int | None) -> Step:
    """Decide.

    Parameters
    ----------
    n_rows : rows that hold a vector
    n_unsealed : of these, rows that the sealed index lacks, or has an older version of
    trained_for : how many rows the sealed index's lists were made for; None where there is none
    """
    if trained_for is None:
        return Step.REBUILD if n_rows >= SEAL_FROM else Step.NOTHING
    if n_rows < SEAL_FROM / 2:
        return Step.DROP
    if n_rows >= GROWTH * trained_for or n_rows * GROWTH < trained_for:
        return Step.REBUILD
    return Step.APPEND if n_unsealed >= max(APPEND_FROM, APPEND_SHARE * n_rows) else Step.NOTHING
