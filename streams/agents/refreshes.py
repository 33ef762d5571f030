"""What a batch of clicks leads to, as data: decided in `recommend` and `relist`, written by `ClickProcessor.emit`."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

from recsys.history import UserState
from streams.agents.partition import ClickPartition
from streams.log.base import NewRecord
from streams.stores.redis import ListWrite


@dataclass(eq=False)
class Refreshes:
    """What one batch changed, as data: what to append, in order, and what to write to Redis."""

    generation: int = 0
    """Of the assignment of partitions that the batch was folded under; later ones must not write it."""
    user_ids: Collection[str] = ()
    """Users whose states may be ahead of what is written."""
    records: list[NewRecord] = field(default_factory=list)
    writes: list[ListWrite] = field(default_factory=list)
    owes: set[str] = field(default_factory=set)
    """Users of a replay whose lists come later; until then the batch is not to be acknowledged."""
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once nothing is owed any more, or the partitions are gone."""
    is_appended: bool = False
    n_applied: int = 0
    n_refused: int = 0


@dataclass
class Touched:
    """A user whom a batch has touched."""

    owned: ClickPartition
    state: UserState
    changed: bool = False
    wants_list: bool = False
    is_replayed: bool = True
    """Whether all its events are of a replay."""


@dataclass
class Counters:
    """What the processor has done since it started, for metrics and the panel."""

    applied: int = 0
    refused: int = 0
    lists: int = 0
    batches: int = 0
