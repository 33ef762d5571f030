"""`freshet verify`: a running deployment against a clean replay of its log."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.verify.report import Report


def verify(
    as_json: Annotated[bool, typer.Option("--json", help="The whole report as JSON on standard output.")] = False,
    lists: Annotated[int, typer.Option(min=0, help="Make the lists of about so many users again; 0 for all.")] = 1_000,
) -> None:
    """Compare users' states, counts, catalogue, Redis and lists with a plain replay of the log.

    Reads only, beside whatever runs; stops at offsets fixed at the start. Exit code 1 and the first differences where
    something differs.
    """
    import threadpoolctl

    from streams.settings import read_settings

    threadpoolctl.threadpool_limits(1)  # sums in one order, as in the processes that are compared
    report = asyncio.run(_verify(read_settings(), lists))
    if as_json:
        import json

        typer.echo(json.dumps(report.as_json(), ensure_ascii=False, indent=2))
    else:
        _show(report)
    if not report.is_equal:
        raise typer.Exit(1)


async def _verify(settings: "Settings", lists: int) -> "Report":
    from gateway.cli.doors import is_held, open_for_reading
    from gateway.cli.progress import counting
    from recsys.errors import ConfigError
    from streams.stores.embedded import open_redis
    from streams.verify.run import fix, verify

    if settings.redis.startswith("embedded:") and not is_held(settings):
        raise ConfigError(
            "The embedded Redis lives and ends with the Freshet that started it: start one, or set FRESHET_REDIS."
        )
    async with open_for_reading(settings) as log, open_redis(settings) as store:
        await store.ping()
        fixed = await fix(log, settings)
        with counting("messages", fixed.n_records()) as advance:
            return await verify(settings, log, store, fixed, lists, advance)


def _show(report: "Report") -> None:
    from rich.console import Console
    from rich.table import Column, Table

    table = Table("", Column("equal", justify="right"), Column("different", justify="right"), "not comparable")
    for name, check in report.checks.items():
        why = "; ".join(f"{count}: {reason}" for reason, count in check.left_out.most_common())
        table.add_row(name, f"{check.equal:,}", f"{check.different:,}", why)
    Console().print(table)
    for note in report.notes:
        typer.echo(note)
    for sentence in report.differences():
        typer.echo(sentence)
