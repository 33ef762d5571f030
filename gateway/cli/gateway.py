"""`freshet gateway`: HTTP."""

from typing import TYPE_CHECKING

from gateway.cli.process import NoSupervise, run_process

if TYPE_CHECKING:
    from streams.settings import Settings


def gateway(no_supervise: NoSupervise = False) -> None:
    """Run an HTTP gateway: the API, the web shop, search. Start as many as needed, behind any load balancer."""

    def run(settings: "Settings") -> int:
        from gateway.serve import run_gateway

        return run_gateway(settings)

    run_process(run, is_supervised=not no_supervise)
