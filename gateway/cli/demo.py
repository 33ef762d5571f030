"""`freshet demo`: all of it in one process."""

import sys
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from gateway.cli.process import NoSupervise, run_process
from recsys.errors import ConfigError

if TYPE_CHECKING:
    from streams.settings import Settings


def demo(
    empty: Annotated[bool, typer.Option("--empty", help="Without the sample shop and its simulated shoppers.")] = False,
    exit_after: Annotated[
        float | None, typer.Option("--exit-after", min=0, metavar="S", help="End by itself after this many seconds.")
    ] = None,
    no_supervise: NoSupervise = False,
) -> None:
    """Run worker, gateway and trainer in one process, with a sample shop and shoppers, on embedded parts."""

    def run(settings: "Settings") -> int:
        from gateway.demo.run import run_demo

        return run_demo(settings, empty=empty, exit_after=exit_after)

    run_process(run, is_supervised=not no_supervise, log_to=_log)


def _log(settings: "Settings") -> TextIO:
    """Standard error, or a file where the panel has the terminal."""
    if not sys.stderr.isatty():
        return sys.stderr
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        return (settings.data_dir / "freshet.log").open("a", buffering=1, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"The data folder {settings.data_dir} cannot be written: {error}.") from error
