"""The store on the embedded server (always) and on Debian's, and what it does when there is none."""

import inspect
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis.exceptions

from recsys.errors import ConfigError, UnavailableError
from streams.stores.embedded import EmbeddedRedis
from streams.stores.redis import RedisStore, redis_errors
from tests.contracts.store_contract import StoreContract, a_write


class TestOnTheEmbeddedServer(StoreContract):
    @pytest.fixture
    async def url(self, tmp_path: Path) -> AsyncIterator[str]:
        server = EmbeddedRedis(tmp_path)
        await server.start()
        yield server.url
        await server.stop()


@pytest.mark.redis
class TestOnDebiansServer(StoreContract):
    @pytest.fixture
    def url(self, redis_server: Any) -> str:
        return str(redis_server.url)


def foreign_errors() -> list[type[Exception]]:
    """Every error class that redis-py defines."""
    return [
        value
        for _, value in inspect.getmembers(redis.exceptions, inspect.isclass)
        if issubclass(value, Exception) and value.__module__ == "redis.exceptions"
    ]


@pytest.mark.parametrize("foreign", foreign_errors(), ids=lambda error: error.__name__)
def test_no_error_of_the_library_slips_by(foreign: type[Exception]) -> None:
    error = foreign.__new__(foreign)
    with pytest.raises(UnavailableError, match="take lists") as caught, redis_errors("take lists"):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("url", ["http://127.0.0.1", "redis://127.0.0.1:port", "127.0.0.1"])
def test_an_address_that_is_none_is_a_setting_at_fault(url: str) -> None:
    with pytest.raises(ConfigError, match="FRESHET_REDIS"):
        RedisStore(url)


async def test_no_server_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    store = RedisStore(f"redis://127.0.0.1:{port}")

    with pytest.raises(UnavailableError):
        await store.put_lists([a_write()])
    with pytest.raises(UnavailableError):
        await anext(store.listen_lists())
    await store.close()
