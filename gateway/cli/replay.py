"""`freshet replay`: an event log into `clicks`."""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.columns import (
    BasketColumn,
    EventLog,
    ItemColumn,
    Limit,
    TimeColumn,
    TypeColumn,
    UserColumn,
    ValueColumn,
)

if TYPE_CHECKING:
    from gateway.cli.doors import Door
    from streams.event_files import ColumnNames, EventRow
    from streams.log.base import NewRecord
    from streams.settings import Settings

AT_ONCE = 1000
TICK_S = 0.05
"""With --speed, events that are due within this time go out together."""


def _speed(text: str) -> float:
    try:
        speed = float(text.removesuffix("x"))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no speed; write 10x or 0.5x") from error
    if not 0 < speed < float("inf"):
        raise typer.BadParameter("a speed is more than 0")
    return speed


def replay(
    file: EventLog,
    speed: Annotated[
        float | None,
        typer.Option(
            "--speed",
            parser=_speed,
            metavar="10x",
            help="As in the log, so many times faster.",
            show_default="as fast as possible",
        ),
    ] = None,
    limit: Limit = None,
    user_column: UserColumn = "user",
    item_column: ItemColumn = "item",
    time_column: TimeColumn = "ts",
    basket_column: BasketColumn = "basket",
    type_column: TypeColumn = "type",
    value_column: ValueColumn = "value",
) -> None:
    """Bring an event log into the topic `clicks`, in its order; a second replay of a file counts nothing twice.

    Meanwhile each user gets at most one list a second.
    """
    from streams.event_files import ColumnNames
    from streams.settings import read_settings

    names = ColumnNames(user_column, item_column, time_column, basket_column, type_column, value_column)
    asyncio.run(_replay(read_settings(), file, names, speed, limit))


async def _replay(
    settings: "Settings", file: Path, names: "ColumnNames", speed: float | None, limit: int | None
) -> None:
    from gateway.cli.doors import open_door
    from gateway.cli.progress import counting
    from streams.event_files import EventRow, read_event_log

    file_id = hashlib.blake2b(file.name.encode(), digest_size=6).hexdigest()
    async with open_door(settings) as door:
        with counting("Events", limit) as advance:
            out = _Outgoing(door, advance, speed)
            for row in islice(read_event_log(file, names), limit):
                if isinstance(row, EventRow):
                    await out.put(_record(settings, file_id, row), row.ts_ms)
                else:
                    out.refuse(row.reason, f"row {row.row}: {row.text}")
            await out.flush()
    typer.echo(f"{out.n_taken} events taken, {out.refused.total()} rows refused.")
    for reason, count in out.refused.most_common():
        typer.echo(f"  {reason}: {count}, the first: {out.first[reason]}")
    if out.refused and not out.n_taken:
        raise typer.Exit(1)


class _Outgoing:
    """Events on their way to the log, together where they are due together."""

    def __init__(self, door: "Door", advance: Callable[[int], None], speed: float | None) -> None:
        self.refused: Counter[str] = Counter()
        self.first: dict[str, str] = {}
        """What was wrong with the first row of each reason."""
        self.n_taken = 0
        self._door, self._advance, self._speed = door, advance, speed
        self._waiting: list[NewRecord] = []
        self._started = time.monotonic()
        self._first_ms: int | None = None

    async def put(self, record: "NewRecord", ts_ms: int) -> None:
        """Take one event, at the moment it is due."""
        if self._speed is not None:
            if self._first_ms is None:
                self._first_ms = ts_ms
            wait_s = self._started + (ts_ms - self._first_ms) / 1000 / self._speed - time.monotonic()
            if wait_s > TICK_S:
                await self.flush()
                await asyncio.sleep(wait_s)
        self._waiting.append(record)
        if len(self._waiting) == AT_ONCE:
            await self.flush()

    def refuse(self, reason: str, text: str) -> None:
        """Count a row that was not taken."""
        self.refused[reason] += 1
        self.first.setdefault(reason, text)

    async def flush(self) -> None:
        """Hand over what is waiting."""
        from streams import topics

        waiting, self._waiting = self._waiting, []
        refusals = await self._door.put(topics.CLICKS, waiting) if waiting else []
        for refusal in refusals:
            self.refuse("refused by the gateway", refusal.text)
        self.n_taken += len(waiting) - len(refusals)
        self._advance(len(waiting))


def _record(settings: "Settings", file_id: str, row: "EventRow") -> "NewRecord":
    from recsys.events import Click
    from streams import topics
    from streams.log.base import NewRecord
    from streams.wire.click import REPLAYED, encode_click

    click = Click(
        event_id=f"{file_id}-{row.row}",  # the same in each replay of the file, so that it counts once
        user_id=row.user_id,
        item_id=row.item_id,
        type=row.action,
        ts_ms=row.ts_ms,
        session_id=row.basket,
        value=row.value,
    )
    topic = settings.topic_prefix + topics.CLICKS
    return NewRecord(topic, row.user_id.encode(), encode_click(click), headers=(REPLAYED,))
