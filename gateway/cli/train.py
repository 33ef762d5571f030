"""`freshet train projections`: what the shop's own pictures and texts teach, tried on pairs that were held out."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from recsys.index.bridge import BridgeReport
    from recsys.index.live import Sight

app = typer.Typer(no_args_is_help=True, help="Fit what Freshet learns by itself, and report on it.")


@app.callback()
def train() -> None:
    """Fit what Freshet learns by itself, and report on it."""


@app.command()
def projections(
    plot: Annotated[
        Path | None, typer.Option(help="Draw how the held-out pairs fared into this file (PNG or SVG; extra `plot`).")
    ] = None,
) -> None:
    """Fit the lens for pictures and the map between pictures and texts on the catalogue, and report how good they are.

    The map is learned by ridge regression, and sharpened by InfoNCE where that does better on held-out pairs beyond
    noise. Gateways fit the same by themselves, within a second of a tenth of the pictures changing, and use a map only
    if it does well on pairs that were held out; this command changes nothing.
    """
    from rich.console import Console

    from gateway.cli.evaluation_plot import check_plot
    from gateway.cli.progress import counting
    from gateway.cli.projections_plot import plot_ranks
    from gateway.cli.stored_catalogue import read_catalogue
    from recsys.errors import ConfigError
    from recsys.index.bridge import STEPS
    from streams.settings import read_settings

    check_plot(plot)
    console = Console()
    with console.status("Reading the catalogue"):
        catalogue = asyncio.run(read_catalogue(read_settings()))
    sighting = catalogue.begin_sight()
    with counting("Fitting", STEPS) as advance:
        sighting.fit(lambda step: advance(1))
    catalogue.put_sight(sighting)
    if catalogue.sight is None:
        raise ConfigError("No product of the catalogue has a picture's vector yet, so there is nothing to learn from.")
    console.print(_report(catalogue.sight))
    if plot is not None:
        if catalogue.sight.bridge is None:
            raise ConfigError("There is no map between pictures and texts, so nothing to draw.")
        plot_ranks(catalogue.sight.bridge.report, plot)
        console.print(f"{plot} is drawn.")


def _report(sight: "Sight") -> "Table":
    from rich.table import Table

    table = Table("what", "figure")
    table.add_row("differences between pictures of one product held back", f"{len(sight.lens.basis)} directions")
    if sight.bridge is None:
        table.add_row("map between pictures and texts", "not used: too few pairs, or no better than chance")
    else:
        for what, figure in _rows(sight.bridge.report):
            table.add_row(what, figure)
    return table


def _rows(report: "BridgeReport") -> list[tuple[str, str]]:
    ridge, sharpened = report.held_out, report.sharpened
    rows = [
        ("pairs of a picture and a text", f"{report.n_pairs:,}"),
        ("of these held out", f"{len(ridge.ranks):,}"),
        ("ridge chosen", f"{report.ridge:g}"),
        ("held-out picture → its text, mean reciprocal rank: ridge", f"{ridge.reciprocal_rank:.3f}"),
        ("the same by chance", f"{ridge.by_chance:.3f}"),
        ("held-out text → its pictures, mean average precision: ridge", f"{ridge.precision:.3f}"),
    ]
    if sharpened is not None:
        rows += [
            ("both after InfoNCE", f"{sharpened.reciprocal_rank:.3f}, {sharpened.precision:.3f}"),
            ("what InfoNCE brings on a text, and its standard error", f"{report.gain:+.4f}, {report.noise:.4f}"),
        ]
    return [*rows, ("map between pictures and texts", "InfoNCE, used" if report.is_sharpened else "ridge, used")]
