"""`freshet models`: which rankers the shop's clicks have taught, and which one is in use."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.errors import ConfigError

if TYPE_CHECKING:
    from streams.log.base import Log
    from streams.settings import Settings
    from streams.wire.ranker import RankerRecord

app = typer.Typer(help="List, show, promote and roll back what was learned to rank by.", no_args_is_help=True)
Version = Annotated[str, typer.Argument(help="As `list` prints it.")]


@app.command("list")
def list_models() -> None:
    """List the rankers that are kept, the newest last."""
    from streams.settings import read_settings

    asyncio.run(_list(read_settings()))


@app.command("show")
def show_model(version: Version) -> None:
    """Show what a ranker weighs most for everybody, as JSON."""
    from streams.settings import read_settings

    asyncio.run(_show(read_settings(), version))


@app.command("promote")
def promote_model(
    version: Version,
    pin: Annotated[
        bool, typer.Option("--pin/--until-better", help="Keep it; or until a trainer finds a better one.")
    ] = True,
) -> None:
    """Have every process rank by this version from now on."""
    from streams.settings import read_settings

    asyncio.run(_promote(read_settings(), version, pin))


@app.command("rollback")
def roll_back() -> None:
    """Put the version before the one in use in its place, and keep it there."""
    from streams.settings import read_settings

    asyncio.run(_roll_back(read_settings()))


async def _list(settings: "Settings") -> None:
    from rich.console import Console
    from rich.table import Column, Table

    from gateway.cli.doors import open_for_reading
    from recsys.ranker import VERSION
    from streams.rankers import read_rankers
    from streams.wire.times import rfc3339

    async with open_for_reading(settings) as log:
        rankers = await read_rankers(log, settings)
    table = Table(Column("version", no_wrap=True, overflow="ignore"), "taught at", "choices", "nats better", "")
    table.add_row(VERSION, "", "", "", "in use" if rankers.in_use is None else "")
    for record in rankers.kept:
        is_used = rankers.in_use is not None and rankers.in_use.version == record.version
        state = "" if not is_used or rankers.in_use is None else "pinned" if rankers.in_use.is_pinned else "in use"
        gain = f"{record.gain:+.4f} ({record.low:+.4f} to {record.high:+.4f})"
        table.add_row(record.version, rfc3339(record.taught_at_ms), str(record.n_lessons), gain, state)
    Console().print(table)


async def _show(settings: "Settings", version: str) -> None:
    import json

    from gateway.cli.doors import open_for_reading
    from recsys.ranker import FEATURES, VERSION
    from recsys.ranker_weights import LEARNED
    from streams.rankers import read_rankers

    record: RankerRecord | None = None
    weights = LEARNED
    if version != VERSION:
        async with open_for_reading(settings) as log:
            record = (await read_rankers(log, settings)).named(version)
        found = record.weights()
        if found is None:
            raise ConfigError(f"The ranker {version} is another release's: its features mean nothing here.")
        weights = found
    shown = {
        "version": version,
        "choices": None if record is None else record.n_lessons,
        "gain": None if record is None else [record.gain, record.low, record.high],
        "weights": {
            name: round(weight, 3) for (name, _), weight in zip(FEATURES, weights.table[0].tolist(), strict=True)
        },
    }
    typer.echo(json.dumps(shown, indent=2))


async def _promote(settings: "Settings", version: str, pin: bool) -> None:
    from recsys.ranker import VERSION
    from streams.rankers import let_go, put_in_use, read_rankers

    async with _open_for_writing(settings) as log:
        if version == VERSION:
            await put_in_use(log, settings, None)
        else:
            record = (await read_rankers(log, settings)).named(version)
            await (put_in_use if pin else let_go)(log, settings, record)
    typer.echo(f"{version} is in use.")


async def _roll_back(settings: "Settings") -> None:
    from recsys.ranker import VERSION
    from streams.rankers import put_in_use, read_rankers

    async with _open_for_writing(settings) as log:
        record = (await read_rankers(log, settings)).before
        await put_in_use(log, settings, record)
    typer.echo(f"{record.version if record else VERSION} is in use.")


@asynccontextmanager
async def _open_for_writing(settings: "Settings") -> "AsyncIterator[Log]":
    from gateway.cli.doors import is_held
    from streams.log.open import open_log
    from streams.topics_check import ensure_topics

    if is_held(settings):
        raise ConfigError("A running Freshet holds the embedded log: stop it first, or run this against Kafka.")
    log = open_log(settings)
    await log.start()
    try:
        await ensure_topics(log, settings)
        yield log
    finally:
        await log.stop()
