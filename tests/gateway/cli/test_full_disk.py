"""A disk that is full while the demo runs: one sentence, and what was acknowledged is there when it has room again."""

import asyncio
import json
import os
import resource
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streams.log.embedded import EmbeddedLog
from tests.contracts.log_contract import read_all
from tests.gateway.cli.test_process import ROOT, wait_until
from tests.services.process import free_ports

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits the files of a running process"),
]
ROOM = 100_000


@contextmanager
def demo(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A running demo without a sample shop, its log in `folder`."""
    env = {**os.environ, "FRESHET_DATA_DIR": str(folder / "data"), "FRESHET_PORT": str(port)}
    env |= {"FRESHET_TEXT_ENCODER": "none", "FRESHET_IMAGE_ENCODER": "none"}
    command = [sys.executable, "-m", "gateway.cli.main", "demo", "--empty", "--no-supervise"]
    with (folder / "log.txt").open("ab") as log:
        running = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_until(lambda: is_ready(port))
        yield running
    finally:
        running.kill()
        running.wait()


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def click(port: int, number: int) -> int:
    """The status of a click that is sent; 0 when nobody answers."""
    sent = {"event_id": f"e-{number}", "user_id": "ann", "item_id": "lamp", "type": "search"}
    body = json.dumps({**sent, "context": {"query": "q" * 200}}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/clicks", body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def test_a_full_disk_ends_the_demo_with_one_sentence_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    acknowledged: list[int] = []
    with demo(tmp_path, port) as running:
        size = max(path.stat().st_size for path in (tmp_path / "data").glob("log.db*"))
        _, hard = resource.prlimit(running.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (size + ROOM, hard))
        for number in range(5_000):
            status = click(port, number)
            if status != 202:
                break
            acknowledged.append(number)
        assert status in (0, 503)
        assert running.wait(20) == 75
    said = (tmp_path / "log.txt").read_text()
    assert said.count("could not be written") == 1
    assert "Traceback" not in said

    with demo(tmp_path, port):
        assert click(port, 10_000) == 202
    assert {f"e-{number}" for number in (*acknowledged, 10_000)} <= asyncio.run(events_in(tmp_path / "data" / "log.db"))


async def events_in(path: Path) -> set[str]:
    log = EmbeddedLog.open_read_only(path)
    await log.start()
    try:
        return {json.loads(record.value or b"")["event_id"] for record in await read_all(log, "clicks")}
    finally:
        await log.stop()
