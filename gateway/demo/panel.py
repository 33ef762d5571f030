"""The demo's live terminal panel; one plain line every few seconds where the output is no terminal."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

_FRAME_S = 1.0  # a frame takes some 15 ms of the loop that lists are made on: four a second slow all of them down
_LINE_S = 5.0  # shorter floods a log file, longer leaves `--exit-after 10` without a line


@dataclass(frozen=True, slots=True)
class DemoFigures:
    """What the panel shows, as of one moment; a figure that is None is not known yet."""

    url: str
    products: int = 0
    """Products that the shop has sent."""
    searchable: int = 0
    """Products in the live index."""
    embedded: int = 0
    """Products with vectors."""
    events: int = 0
    """Events that came since this start, of shoppers and of people on the page."""
    applied: int = 0
    """Of these, how many have been worked off."""
    lag: int = 0
    """Events that wait to be worked off, those of an earlier demo too."""
    lists: int = 0
    """Lists written since this start."""
    click_to_list_p50_ms: float | None = None
    click_to_list_p99_ms: float | None = None
    choices: int = 0
    """Choices that the two hit rates below are made of."""
    hit_rate: float | None = None
    """Share of choices that stood in the first ten of our list, 0 to 1."""
    popularity_hit_rate: float | None = None
    """The same for decayed popularity."""
    model: str | None = None
    """Version of the ALS factors in use."""
    note: str = ""
    """One sentence on what is going on, or wrong."""


async def show(
    figures: Callable[[], DemoFigures],
    stop: asyncio.Event,
    *,
    console: Console | None = None,
    every_s: float | None = None,
) -> None:
    """Show the figures until `stop` is set, once more then, and leave the terminal as it was.

    `every_s` is the time between two frames, or two lines; 1 s and 5 s where it is None.
    """
    console = console or Console()
    started = time.monotonic()
    if not console.is_terminal:
        while not await _is_set_within(stop, _LINE_S if every_s is None else every_s):
            console.print(line(figures(), time.monotonic() - started), soft_wrap=True, highlight=False, markup=False)
        console.print(line(figures(), time.monotonic() - started), soft_wrap=True, highlight=False, markup=False)
        return
    with Live(console=console, auto_refresh=False, transient=False) as live:
        live.update(frame(figures(), 0.0), refresh=True)
        while not await _is_set_within(stop, _FRAME_S if every_s is None else every_s):
            live.update(frame(figures(), time.monotonic() - started), refresh=True)
        live.update(frame(figures(), time.monotonic() - started), refresh=True)


async def _is_set_within(stop: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()


def frame(figures: DemoFigures, elapsed_s: float) -> Panel:
    """The panel as it stands in the terminal."""
    table = Table(box=box.SIMPLE_HEAD, show_header=False, expand=True, pad_edge=False)
    for style, justify in (("bold", "left"), ("cyan", "right"), ("bold", "left"), ("cyan", "right")):
        table.add_column(style=style, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_row("Products", f"{figures.products:,}", "Events", f"{figures.events:,}")
    table.add_row("Searchable", f"{figures.searchable:,}", "Applied", f"{figures.applied:,}")
    table.add_row("With vectors", f"{figures.embedded:,}", "Lag", f"{figures.lag:,}")
    table.add_row("Model", figures.model or "none yet", "Lists written", f"{figures.lists:,}")
    table.add_row(
        "Click to list, p50", _milliseconds(figures.click_to_list_p50_ms),
        "Click to list, p99", _milliseconds(figures.click_to_list_p99_ms),
    )  # fmt: skip
    table.add_row(
        "Hit rate@10, ours", _share(figures.hit_rate), "Hit rate@10, popular", _share(figures.popularity_hit_rate)
    )
    body = Table.grid(expand=True)
    body.add_row(Text.assemble("Shop, search and recommendations: ", (figures.url, "bold underline")))
    body.add_row(table)
    body.add_row(
        Text(figures.note or f"Hit rates over the last {figures.choices:,} choices. Ctrl-C ends.", style="dim")
    )
    return Panel(body, title="Freshet", subtitle=_clock(elapsed_s), box=box.ROUNDED, border_style="blue", width=78)


def line(figures: DemoFigures, elapsed_s: float) -> str:
    """The same on one plain line, for a log."""
    parts = [
        _clock(elapsed_s),
        figures.url,
        f"products {figures.products}",
        f"searchable {figures.searchable}",
        f"vectors {figures.embedded}",
        f"events {figures.events}",
        f"applied {figures.applied}",
        f"lag {figures.lag}",
        f"click-to-list p50 {_milliseconds(figures.click_to_list_p50_ms)}",
        f"p99 {_milliseconds(figures.click_to_list_p99_ms)}",
        f"hit@10 {_share(figures.hit_rate)}",
        f"popularity {_share(figures.popularity_hit_rate)}",
    ]
    return "  ".join([*parts, figures.note] if figures.note else parts)


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} ms"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _clock(elapsed_s: float) -> str:
    minutes, seconds = divmod(int(elapsed_s), 60)
    return f"{minutes:02d}:{seconds:02d}"
