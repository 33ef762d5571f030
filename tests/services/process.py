"""A service in its own process: started, waited for, stopped by its own pid, its log kept."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

IS_REQUIRED = os.environ.get("CI") == "true" or os.environ.pop("FRESHET_REQUIRE_SERVICES", "") == "1"
"""Popped, because Freshet refuses to start with a FRESHET_ variable that is no setting."""


def missing(reason: str) -> None:
    """Skip the test and say why; fail it where services are required."""
    if IS_REQUIRED:
        pytest.fail(f"required here, but missing: {reason}", pytrace=False)
    pytest.skip(f"NOT TESTED: {reason}")


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on just now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def answers(port: int) -> bool:
    """Whether something accepts connections on a port of 127.0.0.1."""
    with socket.socket() as attempt:
        attempt.settimeout(1)
        return attempt.connect_ex(("127.0.0.1", port)) == 0


class Service:
    """One process, its log appended to a file; `start` after `kill` continues on the same folder."""

    def __init__(self, command: Sequence[str], folder: Path, log_name: str) -> None:
        self.command, self.folder, self.log = list(command), folder, folder / log_name
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, is_ready: Callable[[], bool], deadline_s: float) -> None:
        """Start the process and return when it is ready.

        Raises
        ------
        RuntimeError
            If it ends or is not ready in time; the message holds the end of its log.
        """
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.command, cwd=self.folder, stdout=log, stderr=log)
        end = time.monotonic() + deadline_s
        while not is_ready():
            ended = self._process.poll()
            if ended is not None or time.monotonic() > end:
                self.kill()
                what = f"ended with {ended}" if ended is not None else f"was not ready after {deadline_s} s"
                raise RuntimeError(f"{self.command[0]} {what}:\n{self.log_tail()}")
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        """Of the process started last; RuntimeError before the first start."""
        if self._process is None:
            raise RuntimeError(f"{self.command[0]} was never started")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return None if self._process is None else self._process.poll()

    def wait(self, deadline_s: float) -> int:
        """Wait for its end; its exit code. Raises subprocess.TimeoutExpired."""
        if self._process is None:
            raise RuntimeError(f"{self.command[0]} was never started")
        return self._process.wait(deadline_s)

    def stop(self) -> None:
        """End it in order (SIGTERM), with force after ten seconds."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def log_tail(self, lines: int = 60) -> str:
        """The last lines that the process logged."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
