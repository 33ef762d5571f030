"""`freshet`, which kills itself: `python -m tests.chaos.killed_at POINT COUNT worker --role recommend …`."""

import os
import signal
import sys

from streams import failpoints


def kill_at(point: str, count: int) -> None:
    """End this process by SIGKILL when it reaches a point for the count-th time."""
    assert point in failpoints.POINTS, point
    left = count

    def reached(here: str) -> None:
        nonlocal left
        if here == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    failpoints.reached = reached


if __name__ == "__main__":
    kill_at(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["freshet", *sys.argv[3:]]
    from gateway.cli.main import main

    main()
