"""Keeps a process alive: starts it as a child, starts it again after a crash, stops it when told to.

`python -m streams.supervise PARENT MODULE ARGS…` is the child's side: it dies with its parent, so that a killed
supervisor leaves nobody behind who holds the log.
"""

import ctypes
import logging
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

logger = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
GRACE_S = 20
"""From the request to stop to the end by force."""
BACKOFF_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
STEADY_S = 60.0
"""Who ran for this long before a crash starts again with the shortest wait."""

FINE, FAULT, USAGE = 0, 1, 2
CRASHED = 70
"""Exit code of a process that ended by an error nobody foresaw: it is started again."""
LOST_OWNERSHIP = 75
"""Exit code on lost ownership, contradicted state or no progress: it is started again."""


def supervised(module: str, args: Sequence[str], backoff_s: Sequence[float] = BACKOFF_S, grace_s: int = GRACE_S) -> int:
    """Run a module as a child process until it ends on purpose; returns the exit code.

    Exit codes 0, 1 and 2 are on purpose (done, a fault that the next start would meet again, wrong usage); any other
    and any signal is a crash. SIGTERM and SIGINT reach the child as SIGTERM; it has 20 s then, and a second one ends it
    at once.
    """
    # -P: what lies in the present folder, a redis.py or another checkout, is none of ours.
    command = [sys.executable, "-P", "-m", "streams.supervise", str(os.getpid()), module, *args]
    return _Supervisor(command, backoff_s, grace_s).run()


class _Supervisor:
    def __init__(self, command: list[str], backoff_s: Sequence[float], grace_s: int) -> None:
        self._command, self._backoff_s, self._grace_s = command, backoff_s, grace_s
        self._child: subprocess.Popen[bytes] | None = None
        self._is_stopping: bool = False  # set by signal handlers, between any two statements

    def run(self) -> int:
        previous = {
            number: signal.signal(number, handler)
            for number, handler in (
                (signal.SIGTERM, self._stop),
                (signal.SIGINT, self._stop),
                (signal.SIGALRM, self._kill),
            )
        }
        try:
            return self._keep_alive()
        finally:
            signal.alarm(0)
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _keep_alive(self) -> int:
        crashes = 0
        while True:
            started = time.monotonic()
            code = self._run_child()
            if self._is_stopping:
                return FINE if code in (FINE, -signal.SIGTERM, -signal.SIGINT) else FAULT
            if code in (FINE, FAULT, USAGE):
                return code
            if time.monotonic() - started >= STEADY_S:
                crashes = 0
            wait_s = self._backoff_s[min(crashes, len(self._backoff_s) - 1)]
            crashes += 1
            logger.error("Ended with %s, starts again in %g s.", _named(code), wait_s)
            if self._was_stopped_within(wait_s):
                return FINE

    def _run_child(self) -> int:
        # Ctrl-C in a terminal reaches the child too, where Python would answer with a traceback while it loads. It
        # begins deaf to that, and is told by SIGTERM.
        self._child = subprocess.Popen(self._command, preexec_fn=_ignore_interrupts)
        if self._is_stopping:  # told so between two lives
            self._child.terminate()
        try:
            return self._child.wait()
        finally:
            self._child = None

    def _was_stopped_within(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not self._is_stopping and time.monotonic() < end:
            time.sleep(0.05)
        return self._is_stopping

    def _stop(self, number: int, _: FrameType | None) -> None:
        if self._is_stopping:
            self._kill(number, None)
            return
        self._is_stopping = True
        signal.alarm(self._grace_s)
        if self._child is not None:
            self._child.terminate()

    def _kill(self, _: int, __: FrameType | None) -> None:
        if self._child is not None:
            self._child.kill()


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _named(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, however; only Linux knows how."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before we asked
            os._exit(FAULT)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
