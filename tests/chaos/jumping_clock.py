"""`freshet` with a wall clock of its own: `python -m tests.chaos.jumping_clock FILE worker --role recommend …`.

At SIGUSR2 it reads from the file by how many seconds its clock is wrong from now on. Clocks that only go on, as
`time.monotonic`, are the machine's.
"""

import signal
import sys
import time
from pathlib import Path
from typing import Any


def follow(path: Path) -> None:
    """Let the wall clock of this process be wrong by what stands in a file, each time that the signal comes."""
    real_s, real_ns = time.time, time.time_ns
    wrong_s = 0

    def jump(*_: Any) -> None:
        nonlocal wrong_s
        wrong_s = int(path.read_text())

    time.time = lambda: real_s() + wrong_s
    time.time_ns = lambda: real_ns() + wrong_s * 10**9
    signal.signal(signal.SIGUSR2, jump)


if __name__ == "__main__":
    follow(Path(sys.argv[1]))  # before anything is imported that keeps a clock by its name
    from gateway.cli.main import main

    sys.argv = ["freshet", *sys.argv[2:]]
    main()
