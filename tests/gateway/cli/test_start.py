"""Whoever is told to stop leaves without a traceback, however early; servers with code 0, other commands with 130."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from recsys.types import Matrix

ROOT = Path(__file__).parents[3]
NUMPY = "_multiarray_umath"
"""A library that each server loads early, and long before it has anything to close."""
DEADLINE_S = 60.0
PROMISED_S = 20.0
"""From the request to stop to the end of a process."""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]


class Endless:
    """A network that is never done."""

    name, dim = "endless", 8

    def __init__(self, device: str) -> None:
        self.device = device

    def encode(self, batch: Sequence[str]) -> Matrix:
        if batch:
            Path(os.environ["FRESHET_DATA_DIR"], "encoding").touch()
            time.sleep(600)
        return np.zeros((0, self.dim), np.float32)


class Command:
    """`freshet` as a terminal starts it: in a process group of its own, which Ctrl-C reaches whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None

    def start(self, *args: str, **env: str) -> "subprocess.Popen[str]":
        settings = {"FRESHET_DATA_DIR": str(self.folder), "FRESHET_PORT": "0", "FRESHET_TEXT_ENCODER": "none"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli.start", *args],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "FRESHET_IMAGE_ENCODER": "none", **settings, **env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self.process

    def has_loaded(self, library: str) -> bool:
        """Whether it or its child has."""
        assert self.process is not None
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return any(library in _maps(one) for one in (str(pid), *children))

    def told(self, number: signal.Signals) -> tuple[int, str]:
        """Its exit code and what it said, after a signal to the group."""
        assert self.process is not None
        os.killpg(self.process.pid, number)
        _, errors = self.process.communicate(timeout=PROMISED_S)
        return self.process.returncode, errors


def _maps(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return ""


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path)
    yield command
    if command.process is not None and command.process.poll() is None:
        os.killpg(command.process.pid, signal.SIGKILL)
        command.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["worker", "trainer", "gateway", "demo"])
def test_a_server_that_is_told_to_stop_while_it_loads_ends_with_code_0_and_says_nothing(
    command: Command, name: str, number: signal.Signals
) -> None:
    command.start(name)
    wait_until(lambda: command.has_loaded(NUMPY))

    assert command.told(number) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_so_does_one_that_nobody_watches(command: Command, number: signal.Signals) -> None:
    command.start("worker", "--no-supervise")
    wait_until(lambda: command.has_loaded(NUMPY))

    assert command.told(number) == (0, "")


def many_events(folder: Path) -> Path:
    file = folder / "events.csv"
    file.write_text("user,item,ts\n" + "".join(f"u{n % 99},i{n % 77},{1_700_000_000 + n}\n" for n in range(300_000)))
    return file


@pytest.mark.parametrize(
    ("name", "library"), [("evaluate", NUMPY), ("replay", "_pydantic_core"), ("replay", "_sqlite3")]
)
def test_ctrl_c_ends_a_command_with_code_130_and_no_traceback(
    command: Command, name: str, library: str, tmp_path: Path
) -> None:
    command.start(name, str(many_events(tmp_path)))
    wait_until(lambda: command.has_loaded(library))

    code, errors = command.told(signal.SIGINT)
    assert code == 130
    assert "Traceback" not in errors


def test_a_stop_does_not_wait_for_a_batch_that_is_being_embedded(command: Command, tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text("id,title\nlamp,A lamp\n")
    command.start("import", str(feed)).communicate(timeout=DEADLINE_S)
    own = f"{__name__}.Endless"
    command.start("worker", "--role", "embed", FRESHET_TEXT_ENCODER=own, FRESHET_LOG_LEVEL="error")
    wait_until((tmp_path / "encoding").exists)

    assert command.told(signal.SIGTERM) == (0, "")
