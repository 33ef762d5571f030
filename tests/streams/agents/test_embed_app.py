"""The embed agent as a Faust application on the embedded log."""

import asyncio
import contextlib
import time
import tomllib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from faust.transport.drivers import TRANSPORTS

from recsys.errors import ConfigError
from recsys.records import vectors_key
from streams import topics
from streams.agents.embed import EmbedProcessor
from streams.agents.embed_app import embed_app, open_embed_app
from streams.agents.partition import read_to_end
from streams.agents.vectors import Vectorizer
from streams.apps import app_id
from streams.log.base import Log, NewRecord
from streams.log.open import open_log
from streams.pictures import PictureFetcher
from streams.settings import Settings
from streams.stores.embedded import open_redis
from streams.wire.product import encode_product
from tests.builders import a_product
from tests.streams.agents.test_embed import RED, Colour, Letters

DEADLINE_S = 20.0


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests run from the source tree too, where nothing is installed."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    monkeypatch.setitem(TRANSPORTS.aliases, "embedded", project["entry-points"]["faust.transports"]["embedded"])


@pytest.fixture
async def settings_and_log(tmp_path: Path) -> AsyncIterator[tuple[Settings, Log]]:
    settings = Settings(data_dir=tmp_path, partitions=2)
    log = open_log(settings)
    await log.start()
    await log.create(topics.all_topics(settings))
    yield settings, log
    await log.stop()


class Own(Letters):
    """A shop's own encoder."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device


@contextlib.asynccontextmanager
async def running(settings: Settings, log: Log) -> AsyncIterator[EmbedProcessor]:
    async with open_redis(settings) as store:
        processor = EmbedProcessor(settings, log, store, PictureFetcher(), Vectorizer(Letters(), Colour()))
        app = embed_app(settings, processor)
        await app.start()
        try:
            yield processor
        finally:
            await app.stop()


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.01)


async def produce(log: Log, *item_ids: str) -> None:
    products = [a_product(item_id, images=(RED,)) for item_id in item_ids]
    await log.append_many([NewRecord(topics.PRODUCTS, p.item_id.encode(), encode_product(p)) for p in products])


async def keys(log: Log) -> set[bytes]:
    return {record.key or b"" for partition in range(2) for record in await read_to_end(log, topics.CATALOG, partition)}


async def committed(settings: Settings, log: Log) -> int:
    return sum((await log.committed(app_id(settings, "embed"), topics.PRODUCTS)).values())


async def test_products_go_through_are_committed_and_are_not_embedded_again(settings_and_log):
    settings, log = settings_and_log
    await produce(log, *(f"item-{n}" for n in range(20)))

    async with running(settings, log) as processor:
        await until(lambda: processor.counters.embedded == 20)
        await produce(log, "late")
        await until(lambda: processor.counters.embedded == 21)

    assert {vectors_key(f"item-{n}") for n in range(20)} | {vectors_key("late")} <= await keys(log)
    assert await committed(settings, log) == 21

    async with running(settings, log) as again:
        await produce(log, "item-3", "new")
        await until(lambda: again.counters.embedded)

    assert (again.counters.embedded, again.counters.unchanged, again.counters.arrived) == (1, 1, 2)


async def test_what_was_not_embedded_when_the_worker_stopped_comes_again(settings_and_log, monkeypatch):
    settings, log = settings_and_log
    await produce(log, "lamp")

    async def for_ever(*_):
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(Vectorizer, "encode", for_ever)
        async with running(settings, log) as stuck:
            await until(lambda: stuck.n_waiting == 1)
            before = time.monotonic()
        assert time.monotonic() - before < 5, "a stop must not wait for vectors"

    assert await committed(settings, log) == 0
    async with running(settings, log) as again:
        await until(lambda: again.counters.embedded == 1)


async def test_the_settings_name_the_encoders(settings_and_log):
    settings, log = settings_and_log
    chosen = settings.model_copy(
        update={"image_encoder": "none", "text_encoder": "tests.streams.agents.test_embed_app.Own"}
    )
    async with open_redis(settings) as store, open_embed_app(chosen, log, store) as (app, _):
        await produce(log, "lamp")
        await app.start()
        deadline = time.monotonic() + DEADLINE_S
        while vectors_key("lamp") not in (found := await keys(log)):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        await app.stop()

    assert len(found) == 2
    with pytest.raises(ConfigError, match="FRESHET_IMAGE_ENCODER"):
        async with open_embed_app(settings.model_copy(update={"image_encoder": "resnet"}), log, store):
            pass
