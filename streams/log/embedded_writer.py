"""The one thread that writes to an embedded log, many records to a transaction."""

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from recsys.errors import LogFailedError, StateError
from streams.log.base import Record, TopicPartition
from streams.log.embedded_file import OFFSET_BITS, OFFSET_MASK, Row

GROUP_JOBS = 2000
"""Jobs in one transaction at most: enough to hide the fsync, few enough that the loop learns of them in time."""

T = TypeVar("T")


@dataclass(slots=True)
class Write(Generic[T]):
    """Records and committed offsets that become durable together; `done` then resolves to `result`."""

    done: "asyncio.Future[T]"
    result: T
    rows: list[Row] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    group: str = ""
    offsets: dict[TopicPartition, int] = field(default_factory=dict)


@dataclass(slots=True)
class Change:
    """Something else to do in a transaction of its own; `done` resolves to what `run` returns."""

    done: "asyncio.Future[Any]"
    run: Callable[[sqlite3.Connection], Any]


Job = Write[Any] | Change


class Writer:
    """Carries out jobs strictly in the order submitted; the first failure of the file stops it for good.

    All methods belong to the event loop's thread. A transaction takes whatever has gathered while the one before
    was being made durable, so there is no timer: alone, a write waits for one fsync, and under load many share
    one.
    """

    def __init__(
        self,
        path: Path,
        db: sqlite3.Connection,
        loop: asyncio.AbstractEventLoop,
        landed: Callable[[list[Write[Any]]], None],
    ) -> None:
        """Start the thread; `landed` hears of writes, in the loop, before those who wait for them."""
        self.failure: LogFailedError | None = None
        self._path, self._db, self._loop, self._landed = path, db, loop, landed
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="log-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Put a job at the end of the queue.

        Raises
        ------
        LogFailedError
            If the file could not be written before: what follows a lost write must not be kept.
        """
        if self.failure is not None:
            raise LogFailedError(str(self.failure))
        if self._closing:
            raise StateError(f"The log {self._path} is closed.")
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()

    async def change(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Run something in a transaction of its own, after all that was submitted before, and return its result."""
        done: asyncio.Future[T] = self._loop.create_future()
        self.submit(Change(done, run))
        return await done

    async def flush(self) -> None:
        """Return when everything submitted so far is durable."""
        mark: asyncio.Future[None] = self._loop.create_future()
        self.submit(Write(mark, None))
        await mark

    async def close(self) -> None:
        """Finish what was submitted and end the thread; the connection is closed then."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while group := self._next_group():
            try:
                results = self._carry_out(group)
            except BaseException as error:  # whatever it is, nothing after it may be written
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                self._tell(self._stop_for_good, group, error)
                break
            self._tell(self._finish, group, results)
        self._db.close()

    def _next_group(self) -> list[Job]:
        """Wait for jobs; a change comes alone, and nothing at all means the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closing)
            group: list[Job] = []
            while self._jobs and len(group) < GROUP_JOBS:
                if isinstance(self._jobs[0], Change):
                    return group or [self._jobs.popleft()]
                group.append(self._jobs.popleft())
            return group

    def _carry_out(self, group: list[Job]) -> list[Any]:
        if isinstance(group[0], Change):
            self._db.execute("BEGIN IMMEDIATE")
            result = group[0].run(self._db)
            self._db.execute("COMMIT")
            return [result]
        writes = [job for job in group if isinstance(job, Write)]
        self._write(writes)
        return [job.result for job in writes]

    def _write(self, writes: list[Write[Any]]) -> None:
        rows = [row for write in writes for row in write.rows]
        offsets = {(write.group, at): offset for write in writes for at, offset in write.offsets.items()}
        if not rows and not offsets:
            return
        ends = {row[0] >> OFFSET_BITS: (row[0] & OFFSET_MASK) + 1 for row in rows}
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", rows)
        self._db.executemany("UPDATE part SET next = ? WHERE id = ?", [(end, part) for part, end in ends.items()])
        self._db.executemany(
            "INSERT OR REPLACE INTO committed VALUES (?, ?, ?, ?)",
            [(group, at.topic, at.partition, offset) for (group, at), offset in offsets.items()],
        )
        self._db.execute("COMMIT")

    def _tell(self, callback: Callable[..., None], *args: Any) -> None:
        # The loop may be gone when a program ends without stopping its log.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)

    def _finish(self, group: list[Job], results: list[Any]) -> None:
        self._landed([job for job in group if isinstance(job, Write)])
        for job, result in zip(group, results, strict=True):
            if not job.done.done():
                job.done.set_result(result)

    def _stop_for_good(self, group: list[Job], error: BaseException) -> None:
        self.failure = LogFailedError(
            f"The log {self._path} could not be written ({error}), so it takes nothing more until it is opened again: "
            f"what was acknowledged is safe; look at the disk, then start again."
        )
        with self._changed:
            group += self._jobs
            self._jobs.clear()
        for job in group:
            if not job.done.done():
                job.done.set_exception(LogFailedError(str(self.failure)))
                job.done.exception()  # seen: nobody may be waiting for it any more
        self._landed([])
