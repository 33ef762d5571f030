"""`freshet duplicates`: products that show the same picture."""

import asyncio
import json
from typing import Annotated

import typer

SHOWN = 8
"""Ids of a group in the table; a placeholder may stand for thousands."""


def duplicates(
    as_json: Annotated[bool, typer.Option("--json", help="Print all groups, a JSON list of lists of ids.")] = False,
) -> None:
    """List products that show the same picture: placeholders, products entered twice, variants without a group_id.

    They are found and recommended like any others; this command changes nothing.
    """
    from rich.console import Console
    from rich.table import Table

    from gateway.cli.stored_catalogue import read_catalogue
    from recsys.same_pictures import same_pictures
    from streams.settings import read_settings

    catalogue = asyncio.run(read_catalogue(read_settings()))
    groups = same_pictures(catalogue)
    if as_json:
        typer.echo(json.dumps(groups))
        return
    table = Table("products", "item ids", "title of the first")
    for group in groups:
        first = catalogue.get(group[0])
        more = f" and {len(group) - SHOWN:,} more" if len(group) > SHOWN else ""
        table.add_row(f"{len(group):,}", ", ".join(group[:SHOWN]) + more, first.title if first else "")
    console = Console()
    if groups:
        console.print(table)
    n_products = sum(map(len, groups))
    console.print(
        f"{n_products:,} products share a picture with another."
        if groups
        else "No two products show the same picture, but for variants of one group_id."
    )
