"""Which records of an embedded log can go, and removing them in small steps beside the appends."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from recsys.errors import StateError
from streams.log.base import TopicPartition
from streams.log.embedded_file import OFFSET_BITS, OFFSET_MASK, Contents, Part, connect_read_only
from streams.log.embedded_tail import TailCache
from streams.log.embedded_writer import Writer

UPKEEP_S = 60.0
"""Between two looks for what can be compacted or is past its retention."""

STEP_RECORDS = 1000
"""Records removed in one transaction: appends wait for one such step, some milliseconds, and no longer."""
FEWEST_DIRTY = 10_000
"""A partition is compacted when it gained as many records as it has left, and at least this many."""
TOMBSTONE_MS = 86_400_000
"""How long a deletion stays readable: a follower that was away for less learns of it."""


_logger = logging.getLogger(__name__)


class Upkeep:
    """Compacts and forgets: reads in a thread of its own, and removes in small changes between the appends."""

    def __init__(self, contents: Contents, tail: TailCache, writer: Writer, clock_ms: Callable[[], int]) -> None:
        self._contents, self._tail, self._writer, self._clock_ms = contents, tail, writer, clock_ms

    async def run(self) -> None:
        """Look after the log now and then, until cancelled."""
        while True:
            await asyncio.sleep(UPKEEP_S)
            try:
                await self.compact_dirty()
                await self.apply_retention(self._clock_ms())
            except (sqlite3.Error, StateError):
                _logger.exception("The log could not be tidied; the next try is in %.0f s.", UPKEEP_S)

    async def compact_dirty(self) -> None:
        """Compact the partitions that gained enough to be worth it."""
        for name, topic in list(self._contents.topics.items()):
            for p, part in enumerate(topic.parts):
                if topic.spec.is_compacted and is_dirty(part):
                    await self._compact_part(TopicPartition(name, p), part, self._clock_ms() - TOMBSTONE_MS)

    async def compact(self, topic: str, tombstones_before_ms: int | None) -> int:
        """Compact a topic; see `EmbeddedLog.compact`."""
        before_ms = self._clock_ms() - TOMBSTONE_MS if tombstones_before_ms is None else tombstones_before_ms
        parts = enumerate(self._contents.topic(topic).parts)
        return sum([await self._compact_part(TopicPartition(topic, p), part, before_ms) for p, part in parts])

    async def apply_retention(self, now_ms: int) -> int:
        """Remove what is past its topic's retention; see `EmbeddedLog.apply_retention`."""
        removed = 0
        for name, topic in list(self._contents.topics.items()):
            keep_ms = topic.spec.retention_ms
            if "delete" in topic.spec.cleanup and keep_ms >= 0:
                for p, part in enumerate(topic.parts):
                    removed += await self._remove_old(TopicPartition(name, p), part, now_ms - keep_ms)
        return removed

    async def _compact_part(self, at: TopicPartition, part: Part, tombstones_before_ms: int) -> int:
        found = await asyncio.to_thread(find_superseded, self._contents.path, part, part.next, tombstones_before_ms)
        for first in range(0, len(found.offsets), STEP_RECORDS):
            step = found.offsets[first : first + STEP_RECORDS]
            part.start = await self._writer.change(partial(remove, part=part, offsets=step))
        await self._writer.change(partial(note_compaction, part=part, found=found))
        part.cleaned, part.kept = found.end, found.kept
        if found.offsets:
            self._tail.forget(at)
        return len(found.offsets)

    async def _remove_old(self, at: TopicPartition, part: Part, before_ms: int) -> int:
        if part.next - part.start <= 1:
            return 0
        first_kept = await asyncio.to_thread(find_first_kept, self._contents.path, part, part.next, before_ms)
        removed = 0
        while part.start < first_kept:
            n, part.start = await self._writer.change(partial(remove_before, part=part, offset=first_kept))
            removed += n
        if removed:
            self._tail.forget(at)
        return removed


@dataclass(frozen=True)
class Superseded:
    """Offsets of a partition that compaction removes, out of those before `end`; `kept` remain."""

    offsets: list[int]
    end: int
    kept: int


def find_superseded(path: Path, part: Part, end: int, tombstones_before_ms: int) -> Superseded:
    """Find records that a newer one with the same key replaces, and tombstones older than the given time.

    The last record before `end` stays whatever it is: those who recover from the log wait for it. Records without
    a key stay. Reads through a connection of its own, so it may run in any thread. O(records) time, O(keys) memory.
    """
    db = connect_read_only(path)
    try:
        newest: dict[bytes, int] = {}
        gone: list[int] = []
        n = 0
        deletions: list[tuple[bytes, int]] = []
        for id_, timestamp_ms, key, is_tombstone in db.execute(
            "SELECT id, ts, key, value IS NULL FROM record WHERE id >= ? AND id < ? ORDER BY id",
            (part.row_id(0), part.row_id(end)),
        ):
            n += 1
            if key is None:
                continue
            offset = id_ & OFFSET_MASK
            if key in newest:
                gone.append(newest[key])
            newest[key] = offset
            if is_tombstone and timestamp_ms < tombstones_before_ms:
                deletions.append((key, offset))
    finally:
        db.close()
    gone += [offset for key, offset in deletions if newest[key] == offset and offset < end - 1]
    return Superseded(sorted(gone), end, n - len(gone))


def find_first_kept(path: Path, part: Part, end: int, before_ms: int) -> int:
    """Return the offset of the first record appended at `before_ms` or later, at most the last one before `end`."""
    db = connect_read_only(path)
    try:
        row = db.execute(
            "SELECT id FROM record WHERE id >= ? AND id < ? AND ts >= ? ORDER BY id LIMIT 1",
            (part.row_id(part.start), part.row_id(end - 1), before_ms),
        ).fetchone()
    finally:
        db.close()
    return row[0] & OFFSET_MASK if row else end - 1


def remove(db: sqlite3.Connection, part: Part, offsets: list[int]) -> int:
    """Remove these records; return where the partition starts now."""
    db.executemany("DELETE FROM record WHERE id = ?", [(part.row_id(offset),) for offset in offsets])
    return _set_start(db, part)


def remove_before(db: sqlite3.Connection, part: Part, offset: int) -> tuple[int, int]:
    """Remove the oldest records before `offset`, one step; return how many, and where the partition starts now."""
    doomed = "SELECT id FROM record WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
    n = db.execute(
        f"DELETE FROM record WHERE id IN ({doomed})",  # noqa: S608
        (part.row_id(0), part.row_id(offset), STEP_RECORDS),
    ).rowcount
    return n, _set_start(db, part)


def note_compaction(db: sqlite3.Connection, part: Part, found: Superseded) -> None:
    """Write down how far a compaction came and what it left, so that the next one waits for enough new records."""
    db.execute("UPDATE part SET cleaned = ?, kept = ? WHERE id = ?", (found.end, found.kept, part.id))


def is_dirty(part: Part) -> bool:
    """Whether a compaction is worth its reading: at most half of the work is then spent on records that stay."""
    return part.next - part.cleaned >= max(FEWEST_DIRTY, part.kept)


def _set_start(db: sqlite3.Connection, part: Part) -> int:
    row = db.execute(
        "SELECT id FROM record WHERE id >= ? AND id < ? ORDER BY id LIMIT 1",
        (part.row_id(0), (part.id + 1) << OFFSET_BITS),
    ).fetchone()
    (end,) = db.execute("SELECT next FROM part WHERE id = ?", (part.id,)).fetchone()
    start: int = row[0] & OFFSET_MASK if row else end
    db.execute("UPDATE part SET start = ? WHERE id = ?", (start, part.id))
    return start
