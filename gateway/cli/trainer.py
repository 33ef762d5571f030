"""`freshet trainer`: the periodic fit."""

from typing import TYPE_CHECKING

from gateway.cli.process import NoSupervise, run_process

if TYPE_CHECKING:
    from streams.settings import Settings


def trainer(no_supervise: NoSupervise = False) -> None:
    """Run a trainer. One is active at a time, the others stand by."""

    def run(settings: "Settings") -> int:
        from streams.processes import run_trainer

        return run_trainer(settings)

    run_process(run, is_supervised=not no_supervise)
