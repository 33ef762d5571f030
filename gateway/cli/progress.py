"""A bar on standard error that counts what a command has done; nothing where that is no terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counting(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show how many were done, how fast, and with a total how long it will take; yields a function that adds."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    speed = TextColumn("{task.fields[speed]}")
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), speed, TimeElapsedColumn()]
    if total is not None:
        columns.append(TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task_id = progress.add_task(what, total=total, speed="")

        def advance(count: int) -> None:
            task = progress.tasks[0]
            speed = f"{task.speed:,.0f}/s" if task.speed else ""
            progress.update(task_id, advance=count, speed=speed)

        yield advance
