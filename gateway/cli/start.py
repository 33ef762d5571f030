"""Where `freshet` begins: told to stop while it is still loading, it leaves at once and without a traceback."""

import contextlib
import os
import signal
import sys
from functools import partial

SERVERS = frozenset({"worker", "trainer", "gateway", "demo"})
"""Commands that run until they are told to stop, which is no fault of theirs: exit code 0."""
INTERRUPTED = 130
"""Exit code of a command that Ctrl-C has cut short, as shells have it: 128 and the signal's number."""


def main() -> None:
    """Load and run the command line.

    Loading takes seconds, torch above all, and libraries written in C turn an interrupt into errors of their own. So
    until a process has its event loop, or a command its work, whoever is told to stop just leaves: nothing is open yet.
    """
    is_server = next((word for word in sys.argv[1:] if not word.startswith("-")), "") in SERVERS
    code = 0 if is_server else INTERRUPTED
    for number in (signal.SIGINT, signal.SIGTERM) if is_server else (signal.SIGINT,):
        signal.signal(number, partial(_leave, code))
    from gateway.cli.main import main as run

    if not is_server:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run()
    except SystemExit as end:
        if not is_server:
            raise
        # All is closed in order by now. A thread that still loads a network is not waited for, nor is it told to stop.
        _leave(end.code if isinstance(end.code, int) else int(end.code is not None))


def _leave(code: int, *_: object) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # nobody reads it, or it is being written to
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
