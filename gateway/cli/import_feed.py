"""`freshet import`: a product feed into `products`."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streams.feeds.rows import FeedRow
    from streams.settings import Settings


AT_ONCE = 500
SHOWN = 10
"""Refused rows that are named on the screen; --report keeps all."""


def import_feed(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            readable=True,
            help="Google Merchant TSV or XML, schema.org JSON-LD, CSV or JSON Lines, also .gz and .xz; Parquet.",
            show_default=False,
        ),
    ],
    report: Annotated[
        Path | None, typer.Option("--report", dir_okay=False, help="Write every refused row and why, as JSON Lines.")
    ] = None,
) -> None:
    """Bring a product feed into the topic `products`, and report the rows refused and why."""
    from streams.settings import read_settings

    asyncio.run(_import(read_settings(), file, report))


async def _import(settings: "Settings", file: Path, report: Path | None) -> None:
    from gateway.cli.doors import open_door
    from gateway.cli.progress import counting
    from recsys.errors import ConfigError
    from streams import topics
    from streams.clock import wall_clock_ms
    from streams.feeds.feed import read_feed
    from streams.feeds.rows import FeedRow
    from streams.log.base import NewRecord
    from streams.wire.product import encode_product

    refused: Counter[str] = Counter()
    shown: list[FeedRow] = []
    n_taken = 0
    topic = settings.topic_prefix + topics.PRODUCTS
    with ExitStack() as stack:
        try:
            out = stack.enter_context(report.open("w", encoding="utf-8")) if report else None
        except OSError as error:
            raise ConfigError(f"{report} cannot be written: {error.strerror}.") from error

        def refuse(row: FeedRow) -> None:
            refused[row.reason] += 1
            if len(shown) < SHOWN:
                shown.append(row)
            if out is not None:
                print(json.dumps({"row": row.row, "reason": row.reason, "text": row.text}), file=out)

        async with open_door(settings) as door:
            advance = stack.enter_context(counting("Products"))
            for rows in _chunks(read_feed(file, now_ms=wall_clock_ms())):
                taken = [row for row in rows if row.product is not None]
                for row in rows:
                    if row.product is None:
                        refuse(row)
                records = [
                    NewRecord(topic, row.product.item_id.encode(), encode_product(row.product))
                    for row in taken
                    if row.product is not None
                ]
                at_door = await door.put(topics.PRODUCTS, records)
                for refusal in at_door:
                    refuse(FeedRow(taken[refusal.place].row, None, "refused-at-the-door", refusal.text))
                n_taken += len(records) - len(at_door)
                advance(len(rows))
    _tell(n_taken, refused, shown, report)


def _tell(n_taken: int, refused: Counter[str], shown: "list[FeedRow]", report: Path | None) -> None:
    typer.echo(f"{n_taken} products taken, {refused.total()} rows refused.")
    for reason, count in refused.most_common():
        typer.echo(f"  {reason}: {count}")
    for row in shown:
        typer.echo(f"  row {row.row}: {row.text}")
    if refused.total() > len(shown):
        where = f"all are in {report}" if report else "--report FILE writes them all"
        typer.echo(f"  and {refused.total() - len(shown)} more; {where}")
    if refused and not n_taken:
        raise typer.Exit(1)


def _chunks(rows: "Iterator[FeedRow]") -> "Iterator[list[FeedRow]]":
    while chunk := list(islice(rows, AT_ONCE)):
        yield chunk
