"""What a worker tells about itself over HTTP."""

import socket
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from recsys.errors import ConfigError
from streams.settings import Settings
from streams.status import status_server


async def test_it_is_live_at_once_and_ready_when_it_is(tmp_path: Path) -> None:
    is_ready = False
    registry = CollectorRegistry()
    Counter("freshet_events", "Events.", registry=registry).inc(3)
    settings = Settings(data_dir=tmp_path, status_port=0)

    async with (
        status_server(settings, lambda: is_ready, registry) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
    ):
        assert (await http.get("/healthz")).status == 200
        assert (await http.get("/readyz")).status == 503
        is_ready = True
        assert (await http.get("/readyz")).status == 200
        assert "freshet_events_total 3.0" in await (await http.get("/metrics")).text()
        assert (await http.get("/other")).status == 404


async def test_without_a_port_there_is_no_server() -> None:
    async with status_server(Settings(), lambda: True) as port:
        assert port is None


async def test_a_port_that_is_taken_is_a_setting_at_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(status_port=taken.getsockname()[1])
        with pytest.raises(ConfigError, match="FRESHET_STATUS_PORT"):
            async with status_server(settings, lambda: True):
                pass
