"""What listens where Kafka should is waited for, and said to be no Kafka."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator

import pytest

from recsys.errors import UnavailableError
from streams.log import kafka_connection
from streams.log.kafka_connection import connection_options, log_in
from streams.settings import Settings


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of something that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


async def test_a_port_that_is_open_but_no_kafka_is_named_while_it_is_waited_for(
    silent: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kafka_connection, "SAID_AFTER_S", 0.05)
    waiting = asyncio.ensure_future(log_in(connection_options(Settings(broker=f"kafka://{silent}")), patience_s=60))
    with caplog.at_level(logging.WARNING):
        async with asyncio.timeout(20):
            while not caplog.messages:
                await asyncio.sleep(0.01)

    assert f"Waiting for Kafka at {silent}: nothing there answers as a Kafka does" in caplog.messages[0]
    assert not waiting.done()
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting


async def test_in_the_end_it_is_one_sentence_that_names_the_settings(silent: str) -> None:
    with pytest.raises(UnavailableError, match=f"connecting to {silent} failed: .*FRESHET_BROKER.*FRESHET_KAFKA"):
        await log_in(connection_options(Settings(broker=f"kafka://{silent}")), patience_s=0.2)
