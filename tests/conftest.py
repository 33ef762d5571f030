"""Fixtures for all tests: real services, real data, a topic prefix for each test.

A test that asks for `kafka`, `redis_server` or `real_data` gets the marker by itself, so that
`-m "not kafka and not redis and not realdata"` leaves what Python alone can run.
"""

import gc
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams import collector
from tests.services import kafka as kafka_service
from tests.services import redis as redis_service
from tests.services.process import Service, missing

MARKER_OF_FIXTURE = {"kafka_broker": "kafka", "redis_server": "redis", "real_data": "realdata"}
REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the services that their fixtures start."""
    for item in items:
        for fixture, marker in MARKER_OF_FIXTURE.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(marker)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Show the end of a service's log with a test that failed on it."""
    report = yield
    if report.failed:
        for fixture, value in getattr(item, "funcargs", {}).items():
            service = getattr(value, "service", None)
            if isinstance(service, Service):
                report.sections.append((f"log of {fixture}", service.log_tail()))
    return report


@pytest.fixture(autouse=True)
def looked_through_again() -> Iterator[None]:
    """A worker in this process has the garbage collector forget all that is there, and hypothesis then misses it."""
    thresholds = gc.get_threshold()
    yield
    if collector._keep in gc.callbacks:
        gc.callbacks.remove(collector._keep)
        gc.set_threshold(*thresholds)
        gc.unfreeze()


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kafka_service.Broker]:
    """A broker of this test run alone; do not kill it, start another for that."""
    if reason := kafka_service.what_is_missing():
        missing(reason)
    try:
        kafka_service.download()
    except RuntimeError as error:
        missing(f"Apache Kafka could not be downloaded: {error}")
    broker = kafka_service.Broker(tmp_path_factory.mktemp("kafka"))
    broker.format()
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def kafka(kafka_broker: kafka_service.Broker) -> str:
    """`host:port` of a real Kafka; topics must be created, and named with `topic_prefix`."""
    return kafka_broker.address


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis_service.RedisServer]:
    """A real Redis of this test run alone; its `url` goes into the settings."""
    if reason := redis_service.what_is_missing():
        missing(reason)
    server = redis_service.RedisServer(tmp_path_factory.mktemp("redis"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def topic_prefix() -> str:
    """A prefix that no other test has: tests share a broker, never a topic."""
    return f"t{uuid.uuid4().hex[:12]}."


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real shop data: SHOP_TEST_DATA, else `../shared/data` beside the repository."""
    folder = Path(os.environ.get("SHOP_TEST_DATA") or REAL_DATA)
    if not folder.is_dir():
        missing(f"real data: SHOP_TEST_DATA or {folder}")
    return folder
