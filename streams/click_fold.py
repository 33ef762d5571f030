"""The trainer's fold over `clicks`, its snapshot, and what is done when that does not fit the log."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recsys.als.interactions import InteractionArrays, Interactions
from recsys.errors import EventError, SnapshotError
from streams.log.base import Record
from streams.snapshots import read_snapshot, write_snapshot
from streams.wire.click import parse_click

NAME = "trainer"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Folded:
    """The fold as it stood at one moment; a copy.

    `offsets` are the next to read, by partition; `watermark_ms` is the newest event time, epoch milliseconds.
    """

    interactions: InteractionArrays
    offsets: Mapping[int, int]
    n_events: int
    n_refused: int
    watermark_ms: int


class ClickFold:
    """Interactions of all users, true up to `offsets`; a pure function of the records put in.

    Parameters
    ----------
    size : interactions kept for each user
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.clear()

    def clear(self) -> None:
        """Forget everything, to start from the beginning of the log."""
        self._interactions = Interactions(self._size)
        self.offsets: dict[int, int] = {}
        self.watermark_ms = self.n_events = self.n_refused = 0

    @property
    def n_users(self) -> int:
        return self._interactions.n_users

    def put(self, record: Record) -> None:
        """Fold one record in; one that cannot be read counts as refused (it is a dead letter where lists are made)."""
        self.offsets[record.partition] = record.offset + 1
        if record.value is None:
            return
        try:
            click = parse_click(record.value, key=record.key, headers=record.headers, record_ts_ms=record.timestamp_ms)
        except EventError:
            self.n_refused += 1
            return
        if self._interactions.apply(click):
            self.n_events += 1
        self.watermark_ms = max(self.watermark_ms, click.ts_ms)

    def folded(self) -> Folded:
        """A copy of everything, for a fit or a snapshot."""
        arrays = self._interactions.arrays()
        return Folded(arrays, dict(self.offsets), self.n_events, self.n_refused, self.watermark_ms)

    async def restore(self, folder: Path) -> None:
        """Start from the snapshot in a folder; from nothing where there is none or it is damaged."""
        try:
            folded = await asyncio.to_thread(_read, folder)
        except SnapshotError as error:
            logger.warning("%s It is made again from the log.", error)
            return
        if folded is not None:
            self._interactions = Interactions.restored(folded.interactions, self._size)
            self.offsets, self.watermark_ms = dict(folded.offsets), folded.watermark_ms
            self.n_events, self.n_refused = folded.n_events, folded.n_refused


def write(folder: Path, folded: Folded) -> None:
    """Put a snapshot in a folder; UnavailableError when the disk does not take it."""
    meta = {
        "offsets": {str(partition): offset for partition, offset in folded.offsets.items()},
        "n_events": folded.n_events,
        "n_refused": folded.n_refused,
        "watermark_ms": folded.watermark_ms,
    }
    write_snapshot(folder, NAME, folded.interactions.to_parts(), meta)


def _read(folder: Path) -> Folded | None:
    found = read_snapshot(folder, NAME)
    if found is None:
        return None
    parts, meta = found
    try:
        offsets = {int(partition): int(offset) for partition, offset in meta["offsets"].items()}
        counts = [int(meta[name]) for name in ("n_events", "n_refused", "watermark_ms")]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SnapshotError(f"The snapshot of the trainer in {folder} lacks its offsets: {error!r}.") from error
    return Folded(InteractionArrays.from_parts(parts), offsets, *counts)
