"""The options that say what the columns of an event log are called; `evaluate` and `replay` share them."""

from pathlib import Path
from typing import Annotated

import typer

EventLog = Annotated[
    Path,
    typer.Argument(
        exists=True,
        dir_okay=False,
        readable=True,
        help="CSV, TSV or JSON Lines, also .gz and .xz; Parquet.",
        show_default=False,
    ),
]
UserColumn = Annotated[str, typer.Option("--user-column", rich_help_panel="Columns")]
ItemColumn = Annotated[str, typer.Option("--item-column", rich_help_panel="Columns")]
TimeColumn = Annotated[
    str, typer.Option("--time-column", help="RFC 3339, epoch seconds or milliseconds.", rich_help_panel="Columns")
]
BasketColumn = Annotated[
    str,
    typer.Option("--basket-column", help="May be missing; rows of a basket go together.", rich_help_panel="Columns"),
]
TypeColumn = Annotated[
    str, typer.Option("--type-column", help="May be missing; every row is a click then.", rich_help_panel="Columns")
]
ValueColumn = Annotated[
    str, typer.Option("--value-column", help="May be missing; every value is 1 then.", rich_help_panel="Columns")
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only so many rows, from the start.")]
