"""A Redis that was emptied, started anew, frozen or filled up is made whole again, and newer lists always win."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis.asyncio

from recsys.records import SCHEMA, CatalogueFields, encode_record, fields_key
from streams import rebuild, topics
from streams.agents.publish import Publisher
from streams.agents.recommend import ClickProcessor
from streams.agents.restore import Restorer
from streams.log.base import NewRecord, Record
from streams.log.open import open_log
from streams.policy import recommend_policy
from streams.rebuild import Rebuild
from streams.settings import Settings
from streams.shared_views import SharedViews
from streams.stores.redis import RedisStore
from streams.until_stopped import running
from streams.wire.click import encode_click
from tests.builders import NOON_MS, a_click, a_product
from tests.services.process import missing
from tests.services.redis import RedisServer, what_is_missing

ITEMS = ["lamp", "chair", "shoe", "boot"]
USERS = [f"user-{number}" for number in range(30)]

pytestmark = pytest.mark.redis


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    if reason := what_is_missing():
        missing(reason)
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.service.pid, signal.SIGCONT)
        server.stop()


class Shop:
    """One worker without Faust, and the Redis that it fills."""

    def __init__(self, settings, log, store, raw, views):
        self.settings, self.log, self.store, self.raw, self.views = settings, log, store, raw, views
        policy = recommend_policy(settings)
        self.worker = ClickProcessor(settings, log, store, views.now, policy, lambda: NOON_MS)
        publisher = Publisher(settings, store, views, self.worker, lambda: NOON_MS)
        self.restorer = Restorer(settings, log, store, views, self.worker, publisher)
        self.rebuild = Rebuild(settings, log, store, views)

    async def click(self, *clicks):
        batch = []
        for click in clicks:
            new = NewRecord(topics.CLICKS, click.user_id.encode(), encode_click(click))
            at = await self.log.append(new)
            batch.append(Record(at.topic, at.partition, at.offset, NOON_MS + 10**6, new.key, new.value, ()))
        await self.worker.process(batch)

    async def put(self, item_id, **changes):
        fields = CatalogueFields(SCHEMA, a_product(item_id, **changes), 10**6, b"c")
        at = await self.log.append(NewRecord(topics.CATALOG, fields_key(item_id), encode_record(fields), 0))
        async with asyncio.timeout(20):
            while self.views.catalog.offsets.get(0, 0) <= at.offset:
                await asyncio.sleep(0.01)

    async def everything(self):
        """All that a reader can find, but for how long it will live."""
        keys = sorted(await self.raw.keys("*"))
        found = {}
        for key in keys:
            match await self.raw.type(key):
                case b"string":
                    found[key] = await self.raw.get(key)
                case b"hash" if key != b"freshet:whole":
                    found[key] = await self.raw.hgetall(key)
                case b"set":
                    found[key] = await self.raw.smembers(key)
        return found


@pytest.fixture
async def shop(tmp_path: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.setattr(rebuild, "SETTLED_S", 0.1)
    settings = Settings(data_dir=tmp_path, partitions=2, redis=server.url)
    log = open_log(settings)
    await log.start()
    await log.create(topics.all_topics(settings))
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(log.stop)
        store = RedisStore(settings.redis)
        stack.push_async_callback(store.close)
        raw = redis.asyncio.Redis.from_url(server.url)
        stack.push_async_callback(raw.aclose)
        views = SharedViews(settings, log, recommend_policy(settings), name=None)
        await stack.enter_async_context(running(views.run()))
        await views.wait_caught_up()
        shop = Shop(settings, log, store, raw, views)
        for item_id in ITEMS:
            await shop.put(item_id)
        await shop.click(*(a_click(user, ITEMS[n % 4]) for n, user in enumerate(USERS)))
        await shop.restorer.step()
        yield shop


async def test_a_redis_that_was_emptied_is_filled_with_the_same_lists_states_cards_and_hidden_items(shop: Shop):
    await shop.put("boot", available=False)
    await shop.store.set_hidden(add=["boot"])
    await shop.raw.delete("freshet:whole")
    await shop.restorer.step()
    before = await shop.everything()
    assert {b"freshet:recs:user-0", b"freshet:user:user-0", b"freshet:item:lamp", b"freshet:hidden"} <= before.keys()

    await shop.raw.flushall()
    await shop.restorer.step()

    assert await shop.everything() == before


async def test_deleted_products_are_hidden_again(shop: Shop):
    await shop.log.append(NewRecord(topics.PRODUCTS, b"gone", b'{"item_id": "gone", "title": "Gone"}'))
    await shop.log.append(NewRecord(topics.PRODUCTS, b"gone", None))
    await shop.log.append(NewRecord(topics.PRODUCTS, b"lamp", None))
    await shop.log.append(NewRecord(topics.PRODUCTS, b"lamp", b'{"item_id": "lamp", "title": "Lamp"}'))
    await shop.raw.flushall()

    await shop.restorer.step()

    assert await shop.store.get_hidden() == {"gone"}


async def test_a_redis_that_came_back_with_old_data_is_brought_up_to_date(shop: Shop, server: RedisServer):
    stood = await shop.store.get_list("user-0")
    await shop.raw.delete("freshet:recs:user-0")
    server.kill()
    server.start()

    await shop.restorer.step()

    assert await shop.store.get_list("user-0") == stood


async def test_nothing_is_written_while_redis_is_whole(shop: Shop):
    await shop.raw.delete("freshet:recs:user-0")

    await shop.restorer.step()

    assert await shop.store.get_list("user-0") is None


async def test_a_list_that_names_a_hidden_product_is_not_restored_but_made_anew(shop: Shop):
    await shop.raw.flushall()
    await shop.put("boot", available=False)

    await shop.restorer.step()

    for user_id in USERS:
        made = json.loads(await shop.store.get_list(user_id))
        assert "boot" not in {item["item_id"] for item in made["items"]}


async def test_a_list_made_meanwhile_wins_over_the_one_that_is_restored(shop: Shop):
    states = shop.worker.partitions
    older = {partition: dict(owned.states) for partition, owned in states.items()}
    stood = {partition: await shop.log.end_offsets(topics.RECOMMENDATIONS) for partition in states}
    shop.rebuild = Rebuild(shop.settings, FrozenEnds(shop.log, next(iter(stood.values()))), shop.store, shop.views)
    await shop.click(a_click("user-0", "shoe"))
    newest = await shop.store.get_list("user-0")

    for partition, known in older.items():
        await shop.rebuild.lists(partition, known, never)

    assert await shop.store.get_list("user-0") == newest


async def never(users):
    raise AssertionError(f"{users} name nothing that is hidden")


class FrozenEnds:
    """A log as it was before."""

    def __init__(self, log, ends):
        self._log, self._ends = log, ends

    def __getattr__(self, name):
        return getattr(self._log, name)

    async def end_offsets(self, topic):
        return self._ends


async def test_a_redis_that_is_frozen_is_waited_for(shop: Shop, server: RedisServer):
    await shop.raw.flushall()
    os.kill(server.service.pid, signal.SIGSTOP)
    restoring = asyncio.create_task(shop.restorer.step())
    done, _ = await asyncio.wait({restoring}, timeout=1)
    assert not done

    os.kill(server.service.pid, signal.SIGCONT)
    async with asyncio.timeout(60):
        await restoring

    assert all([await shop.store.get_list(user_id) for user_id in USERS])


async def test_a_redis_that_is_full_holds_the_clicks_back_until_there_is_room(shop: Shop):
    await shop.raw.config_set("maxmemory-policy", "noeviction")
    await shop.raw.config_set("maxmemory", "1")
    clicking = asyncio.create_task(shop.click(a_click("user-0", "shoe")))
    done, _ = await asyncio.wait({clicking}, timeout=1)
    assert not done, "what Redis has not taken is not acknowledged"

    await shop.raw.config_set("maxmemory", "0")
    async with asyncio.timeout(30):
        await clicking

    made = json.loads(await shop.store.get_list("user-0"))
    assert made["items"][0]["item_id"]
