"""`freshet worker`: the Faust agents."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.process import NoSupervise, run_process

if TYPE_CHECKING:
    from streams.settings import Settings


class Role(StrEnum):
    """Which agents a worker runs."""

    EMBED = "embed"
    RECOMMEND = "recommend"
    ALL = "all"


def worker(
    role: Annotated[Role, typer.Option(help="Which agents: products into vectors, clicks into lists, or both.")] = (
        Role.ALL
    ),
    no_supervise: NoSupervise = False,
) -> None:
    """Run a stream worker. Start as many as there are partitions; each takes its share."""

    def run(settings: "Settings") -> int:
        from streams.processes import run_worker

        return run_worker(settings, role.value)

    run_process(run, is_supervised=not no_supervise)
