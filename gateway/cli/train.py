"""`freshet train projections`: what the shop's own pictures and texts teach, tried on pairs that were held out."""

import asyncio
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from recsys.index.live import Sight

app = typer.Typer(no_args_is_help=True, help="Fit what Freshet learns by itself, and report on it.")


@app.callback()
def train() -> None:
    """Fit what Freshet learns by itself, and report on it."""


@app.command()
def projections() -> None:
    """Fit the lens for pictures and the map between pictures and texts on the catalogue, and report how good they are.

    Gateways fit the same by themselves, within a second of a tenth of the pictures changing, and use a map only if it
    does well on pairs that were held out; this command changes nothing.
    """
    from rich.console import Console

    from gateway.cli.stored_catalogue import read_catalogue
    from recsys.errors import ConfigError
    from streams.settings import read_settings

    console = Console()
    with console.status("Reading the catalogue"):
        catalogue = asyncio.run(read_catalogue(read_settings()))
    with console.status("Fitting"):
        catalogue.learn_sight()
    if catalogue.sight is None:
        raise ConfigError("No product of the catalogue has a picture's vector yet, so there is nothing to learn from.")
    console.print(_report(catalogue.sight))


def _report(sight: "Sight") -> "Table":
    from rich.table import Table

    table = Table("what", "figure")
    table.add_row("differences between pictures of one product held back", f"{len(sight.lens.basis)} directions")
    report = sight.bridge.report if sight.bridge else None
    if report is None:
        table.add_row("map between pictures and texts", "not used: too few pairs, or no better than chance")
    else:
        table.add_row("pairs of a picture and a text", f"{report.n_pairs:,}")
        table.add_row("of these held out", f"{report.n_held_out:,}")
        table.add_row("ridge chosen", f"{report.ridge:g}")
        table.add_row("held-out picture → its text, mean reciprocal rank", f"{report.reciprocal_rank:.3f}")
        table.add_row("the same by chance", f"{report.by_chance:.3f}")
        table.add_row("map between pictures and texts", "used")
    return table
