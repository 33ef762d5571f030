"""What all long-running commands share: logging, restarts after a crash, exit codes."""

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from recsys.errors import ConfigError, LogFailedError, StateError
from streams.supervise import CRASHED, LOST_OWNERSHIP, supervised

if TYPE_CHECKING:
    from streams.settings import Settings


NO_SUPERVISE = "--no-supervise"
NoSupervise = Annotated[
    bool,
    typer.Option(NO_SUPERVISE, help="End after a crash instead of starting again: for systemd, Compose, Kubernetes."),
]
logger = logging.getLogger(__name__)


def run_process(
    run: Callable[["Settings"], int], *, is_supervised: bool, log_to: Callable[["Settings"], TextIO] | None = None
) -> None:
    """Run a process until it is told to stop, by way of a child that is started again after a crash.

    Exit codes of the child: 1 a setting is at fault (a restart would meet it again), 75 its state contradicts the
    log's, 70 anything else that was not foreseen.
    """
    from streams.logs import configure_logging
    from streams.settings import read_settings

    settings = read_settings()
    configure_logging(settings, log_to(settings) if log_to else None)
    if is_supervised:
        raise typer.Exit(supervised("gateway.cli.start", [*sys.argv[1:], NO_SUPERVISE]))
    raise typer.Exit(_run_guarded(run, settings))


def _run_guarded(run: Callable[["Settings"], int], settings: "Settings") -> int:
    try:
        return run(settings)
    except Exception as error:
        causes = _leaves(error)
        for cause in causes:
            if isinstance(cause, ConfigError):
                raise cause from None
            if isinstance(cause, LogFailedError):
                logger.error("%s", cause)
                return LOST_OWNERSHIP
        logger.exception("Crashed.")
        return LOST_OWNERSHIP if any(isinstance(cause, StateError) for cause in causes) else CRASHED


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
