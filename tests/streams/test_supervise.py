"""A crashed child is started again, a stop reaches it, and nobody outlives a killed supervisor."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SUPERVISOR = """
import sys
from streams.supervise import supervised
sys.exit(supervised("child", sys.argv[1:], backoff_s=(0.05,), grace_s=1))
"""

CHILD = """
import os, pathlib, signal, sys, time
lives = pathlib.Path("lives")
with lives.open("a") as file:
    print(os.getpid(), file=file)
kind = sys.argv[1]
count = len(lives.read_text().splitlines())
if kind == "code":
    sys.exit(int(sys.argv[2]))
if kind == "crash-twice":
    if count == 1:
        sys.exit(75)
    if count == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(0)
if kind == "polite":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if kind == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path("ready").touch()
time.sleep(60)
"""


class Supervisor:
    """A supervisor in a folder of its own, with a child module that notes each of its lives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "child.py").write_text(CHILD)
        self.process: subprocess.Popen[str] | None = None

    def start(self, *args: str, folder: str = ".") -> "subprocess.Popen[str]":
        path = f"{Path(__file__).parents[2]}{os.pathsep}{self.folder}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, *args],
            cwd=self.folder / folder,
            env={**os.environ, "PYTHONPATH": path},
            stderr=subprocess.PIPE,
            text=True,
        )
        return self.process

    def lives(self) -> list[int]:
        return [int(line) for line in (self.folder / "lives").read_text().split()]

    def wait_until_ready(self) -> None:
        wait_until((self.folder / "ready").exists)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path)
    yield supervisor
    if supervisor.process is not None:
        supervisor.process.kill()
        supervisor.process.communicate()


def test_a_crash_starts_it_again_until_it_ends_on_purpose(supervisor: Supervisor) -> None:
    process = supervisor.start("crash-twice")

    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert len(supervisor.lives()) == 3
    assert "exit code 75" in errors
    assert "SIGKILL" in errors


@pytest.mark.parametrize("code", [0, 1, 2])
def test_an_end_on_purpose_is_passed_on(supervisor: Supervisor, code: int) -> None:
    assert supervisor.start("code", str(code)).wait(30) == code
    assert len(supervisor.lives()) == 1


@pytest.mark.parametrize("kind", ["polite", "default"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_reaches_the_child(supervisor: Supervisor, kind: str, number: signal.Signals) -> None:
    process = supervisor.start(kind)
    supervisor.wait_until_ready()

    process.send_signal(number)

    assert process.wait(30) == 0
    assert not is_running(supervisor.lives()[0])


def test_a_child_that_does_not_stop_is_ended_by_force(supervisor: Supervisor) -> None:
    process = supervisor.start("stubborn")
    supervisor.wait_until_ready()

    process.terminate()

    assert process.wait(30) == 1
    assert not is_running(supervisor.lives()[0])


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise is Linux's")
def test_a_killed_supervisor_leaves_no_child(supervisor: Supervisor) -> None:
    process = supervisor.start("stubborn")
    supervisor.wait_until_ready()

    process.kill()
    process.wait(30)

    (child,) = supervisor.lives()
    wait_until(lambda: not is_running(child))


def test_what_lies_in_the_present_folder_is_none_of_ours(supervisor: Supervisor) -> None:
    (supervisor.folder / "here").mkdir()
    (supervisor.folder / "here" / "runpy.py").write_text("raise SystemExit(2)")

    assert supervisor.start("code", "0", folder="here").wait(30) == 0
