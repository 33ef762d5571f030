"""The panel shows the figures live in a terminal, and as plain lines elsewhere."""

import asyncio
import io

import pytest
from rich.console import Console

from gateway.demo.panel import DemoFigures, show

FIGURES = DemoFigures(
    url="http://127.0.0.1:8000",
    products=600,
    searchable=598,
    events=12_345,
    lag=7,
    click_to_list_p50_ms=3.21,
    click_to_list_p99_ms=19.8,
    choices=412,
    hit_rate=0.384,
    popularity_hit_rate=0.021,
)


def a_console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def shown(console: Console, figures: DemoFigures = FIGURES, frames: int = 3) -> str:
    """What stands in the console after a few frames and a stop."""
    stop, asked = asyncio.Event(), 0

    def count_and_stop() -> DemoFigures:
        nonlocal asked
        asked += 1
        if asked == frames:
            stop.set()
        return figures

    await asyncio.wait_for(show(count_and_stop, stop, console=console, every_s=0.01), timeout=10)
    return written(console)


@pytest.mark.parametrize("terminal", [True, False])
async def test_all_figures_are_shown(terminal: bool) -> None:
    text = await shown(a_console(terminal=terminal))

    for figure in ("600", "598", "3.2 ms", "19.8 ms", "38.4 %", "2.1 %", "http://127.0.0.1:8000"):
        assert figure in text
    assert ("12,345" if terminal else "12345") in text


async def test_a_terminal_gets_its_cursor_back() -> None:
    text = await shown(a_console(terminal=True))

    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


async def test_what_is_not_a_terminal_gets_plain_lines_and_a_last_one() -> None:
    text = await shown(a_console(terminal=False), frames=3)

    assert "\x1b" not in text
    assert len(text.splitlines()) == 4
    assert all(line.count("events 12345") == 1 for line in text.splitlines())


async def test_figures_not_known_yet_are_a_dash() -> None:
    text = await shown(a_console(terminal=True), DemoFigures(url="http://127.0.0.1:8000"))

    assert "–" in text
    assert "none yet" in text


async def test_a_note_with_brackets_is_shown_as_it_is() -> None:
    note = "Waiting for [the] broker [bold]"

    for terminal in (True, False):
        assert note in await shown(a_console(terminal=terminal), DemoFigures(url="http://x", note=note))


async def test_the_terminal_is_left_in_order_when_the_figures_fail() -> None:
    console = a_console(terminal=True)

    def fail() -> DemoFigures:
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        await show(fail, asyncio.Event(), console=console)
    assert written(console).endswith("\x1b[?25h") or "\x1b[?25l" not in written(console)
