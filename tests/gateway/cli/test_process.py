"""Exit codes say whether another start is of use; a real process starts again after a kill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from gateway.cli import process
from recsys.errors import ConfigError, LogFailedError, OwnershipLostError, StateError, UnavailableError
from streams.settings import Settings

ROOT = Path(__file__).parents[3]


def code_of(error: BaseException, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    monkeypatch.setenv("FRESHET_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("streams.logs.configure_logging", lambda *_: None)

    def run(_: Settings) -> int:
        raise error

    with pytest.raises(typer.Exit) as ended:
        process.run_process(run, is_supervised=False)
    return ended.value.exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OwnershipLostError("lost"), 75),
        (StateError("contradicts"), 75),
        (ExceptionGroup("tasks", [ExceptionGroup("inner", [StateError("contradicts")])]), 75),
        (ExceptionGroup("tasks", [LogFailedError("full")]), 75),
        (UnavailableError("down"), 70),
        (ZeroDivisionError("bug"), 70),
    ],
)
def test_what_a_restart_may_mend_is_said_by_the_exit_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert code_of(error, monkeypatch, tmp_path) == code


@pytest.mark.parametrize("error", [ConfigError("wrong"), ExceptionGroup("tasks", [ConfigError("wrong")])])
def test_a_wrong_setting_is_left_to_the_one_sentence(
    error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="wrong"):
        code_of(error, monkeypatch, tmp_path)


def wait_until(condition: Callable[[], bool], deadline_s: float = 60) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the child in /proc")
def test_a_gateway_that_was_killed_answers_again_and_stops_when_told(tmp_path: Path) -> None:
    import json
    import socket
    import urllib.request

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {**os.environ, "FRESHET_DATA_DIR": str(tmp_path), "FRESHET_PORT": str(port)}
    env |= {"FRESHET_TEXT_ENCODER": "none", "FRESHET_IMAGE_ENCODER": "none"}
    supervisor = subprocess.Popen([sys.executable, "-m", "gateway.cli.main", "gateway"], cwd=ROOT, env=env)

    def holder() -> int | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):
                return int(json.loads((tmp_path / "log.db.lock").read_text())["pid"])
        except OSError:
            return None

    try:
        wait_until(lambda: holder() is not None)
        first = holder()
        assert first is not None
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: holder() not in (None, first))

        supervisor.terminate()
        assert supervisor.wait(25) == 0
        assert holder() is None
    finally:
        supervisor.kill()
        supervisor.wait()
