"""`freshet dead-letters`: what was refused, and how it is sent again."""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.errors import ConfigError, EventError

if TYPE_CHECKING:
    from streams.dead_letters import StoredLetter
    from streams.log.base import Log, NewRecord, Position
    from streams.settings import Settings

app = typer.Typer(help="List, show and re-send the messages that were refused.", no_args_is_help=True)

OfTopic = Annotated[str | None, typer.Option("--topic", help="Only those refused from this topic.")]
OfReason = Annotated[str | None, typer.Option("--reason", help="Only those with this reason code.")]


@app.command("list")
def list_letters(
    topic: OfTopic = None,
    reason: OfReason = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
) -> None:
    """List refused messages, oldest first in each partition."""
    from streams.settings import read_settings

    asyncio.run(_list(read_settings(), topic, reason, limit))


@app.command("show")
def show_letter(place: Annotated[str, typer.Argument(help="PARTITION:OFFSET, as `list` prints it.")]) -> None:
    """Show one refused message with its reason, and the original where its topic still has it."""
    from streams.settings import read_settings

    asyncio.run(_show(read_settings(), *_parse_place(place)))


@app.command("resend")
def resend_letters(
    places: Annotated[list[str] | None, typer.Argument(help="PARTITION:OFFSET of each, as `list` prints it.")] = None,
    topic: OfTopic = None,
    reason: OfReason = None,
    is_all: Annotated[bool, typer.Option("--all", help="All there are.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also those that were sent again already.")] = False,
) -> None:
    """Send refused messages to their topics again, once what refused them was put right.

    One that was sent again already is left out, unless it is named by its place or --again is given.
    """
    from streams.settings import read_settings

    if not (places or topic or reason or is_all):
        raise typer.BadParameter("name some by PARTITION:OFFSET, or by --topic or --reason, or take --all")
    wanted = {_parse_place(place) for place in places or ()}
    asyncio.run(_resend(read_settings(), topic, reason, wanted, skips_sent=not (again or wanted)))


def _parse_place(text: str) -> tuple[int, int]:
    partition, _, offset = text.partition(":")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise typer.BadParameter(f"{text!r} is not PARTITION:OFFSET")
    return int(partition), int(offset)


async def _list(settings: "Settings", topic: str | None, reason: str | None, limit: int) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    from gateway.cli.doors import open_for_reading
    from streams.dead_letters import list_dead_letters
    from streams.wire.times import rfc3339

    # A code that --reason takes is never cut, however narrow the terminal.
    whole = [Column(name, no_wrap=True, overflow="ignore") for name in ("place", "reason")]
    table = Table(whole[0], Column("at", overflow="fold"), "topic", whole[1], Column("what was wrong", overflow="fold"))
    n_more = 0
    async with open_for_reading(settings) as log:
        async for stored in list_dead_letters(log, settings, topic=topic, reason=reason):
            if table.row_count == limit:
                n_more += 1
                continue
            letter = stored.letter
            at, place = rfc3339(stored.timestamp_ms), f"{stored.partition}:{stored.offset}"
            table.add_row(place, at, letter.topic, letter.reason, letter.text)
    Console().print(table if table.row_count else "No dead letters.")
    if n_more:
        typer.echo(f"{n_more} more; --limit shows them.")


async def _show(settings: "Settings", partition: int, offset: int) -> None:
    import json

    from gateway.cli.doors import open_for_reading
    from streams.dead_letters import show_dead_letter

    async with open_for_reading(settings) as log:
        stored, original = await show_dead_letter(log, settings, partition, offset)
    letter = stored.letter
    shown: dict[str, Any] = {
        "place": f"{partition}:{offset}",
        "source": f"{letter.topic} {letter.partition}:{letter.offset}",
        "reason": letter.reason,
        "text": letter.text,
        "key": _text(letter.key),
    }
    if original is not None:
        shown["original"] = _text(original.value)
    elif isinstance(letter.value, bytes | None):
        shown["original"] = _text(letter.value)
    else:
        shown["original"] = "no longer in its topic, and not kept here"
    typer.echo(json.dumps(shown, ensure_ascii=False, indent=2))


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="backslashreplace")


async def _resend(
    settings: "Settings", topic: str | None, reason: str | None, wanted: set[tuple[int, int]], *, skips_sent: bool
) -> None:
    from gateway.cli.doors import is_held, open_door, open_for_reading
    from streams.dead_letters import list_dead_letters, resend, sent_before
    from streams.log.open import open_log

    async with open_for_reading(settings) as reading:
        letters: list[StoredLetter] = [
            stored
            async for stored in list_dead_letters(reading, settings, topic=topic, reason=reason)
            if not wanted or (stored.partition, stored.offset) in wanted
        ]
        sent = await sent_before(reading, letters) if skips_sent else set()
    unknown = wanted - {(stored.partition, stored.offset) for stored in letters}
    if unknown:
        places = ", ".join(f"{partition}:{offset}" for partition, offset in sorted(unknown))
        raise EventError("no-such-letter", f"There is no such dead letter: {places}.")
    n_before = len(letters)
    letters = [stored for stored in letters if (stored.partition, stored.offset) not in sent]
    n_before -= len(letters)
    if is_held(settings):
        async with open_for_reading(settings) as reading, open_door(settings) as door:
            both: Log = _ReadHereWriteThere(reading, door, settings.topic_prefix)
            report = await resend(both, letters)
    else:
        log = open_log(settings)
        await log.start()
        try:
            report = await resend(log, letters)
        finally:
            await log.stop()
    skipped = f", {n_before} left out that had been before (--again sends them too)" if n_before else ""
    typer.echo(f"{report.resent} sent again, {len(report.gone)} no longer in their topics{skipped}.")


class _ReadHereWriteThere:
    """A log that is read from its file, and written to through the process that holds it."""

    def __init__(self, reading: Any, door: Any, prefix: str) -> None:
        self._reading, self._door, self._prefix = reading, door, prefix

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reading, name)

    async def append_many(self, records: "Sequence[NewRecord]") -> "list[Position]":
        from streams import topics

        for topic, group in groupby(records, key=lambda record: record.topic.removeprefix(self._prefix)):
            if topic not in (topics.PRODUCTS, topics.CLICKS, topics.ACTIVITIES):
                raise ConfigError(f"Stop Freshet first: its API takes no messages for the topic {topic}.")
            refusals = await self._door.put(topic, list(group))
            if refusals:
                raise EventError("refused-again", f"{len(refusals)} were refused again: {refusals[0].text}")
        return []
