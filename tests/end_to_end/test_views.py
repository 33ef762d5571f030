"""Redis is only a view: emptied, it fills itself or is filled by command, on a real Kafka."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.deployment import Deployment, until
from tests.end_to_end.test_processes import (
    ITEMS,
    NO_NETWORKS,
    USERS,
    clicks,
    facts_of,
    lists_answer,
    produce,
    produce_products,
)
from tests.services.kafka import Broker
from tests.services.redis import RedisServer

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]


@pytest.fixture
def shop(tmp_path: Path, kafka_broker: Broker, redis_server: RedisServer, topic_prefix: str) -> Iterator[Deployment]:
    shop = Deployment(tmp_path, kafka_broker.address, redis_server.url, topic_prefix, **NO_NETWORKS)
    try:
        yield shop
    finally:
        shop.kill_all()


async def everything(shop: Deployment) -> dict[bytes, bytes | dict[bytes, bytes]]:
    """Lists, states and cards in Redis."""
    found: dict[bytes, bytes | dict[bytes, bytes]] = {}
    async with shop.redis() as store:
        async for key in store.scan_iter(f"{shop.prefix}freshet:*"):
            name = key.removeprefix(shop.prefix.encode())
            if name.startswith((b"freshet:recs:", b"freshet:user:")):
                found[name] = await store.get(key)
            elif name.startswith(b"freshet:item:"):
                found[name] = await store.hgetall(key)
    return found


async def empty(shop: Deployment) -> None:
    async with shop.redis() as store:
        async for key in store.scan_iter(f"{shop.prefix}freshet:*"):
            await store.delete(key)


async def test_an_emptied_redis_fills_itself_or_is_filled_by_command(shop: Deployment) -> None:
    worker = shop.start("worker", "--no-supervise")
    await worker.wait_ready()
    await produce_products(shop, ITEMS)

    async def cards() -> bool:
        return sum(key.startswith(b"freshet:item:") for key in await everything(shop)) == len(ITEMS)

    await until(cards, "all cards are there")
    await produce(shop, clicks(300))
    facts = await facts_of(shop)
    await until(lambda: lists_answer(shop, facts), "all lists answer the newest clicks")

    before = await everything(shop)
    assert len(before) == 2 * len(USERS) + len(ITEMS)
    await empty(shop)

    async def is_back() -> bool:
        return len(await everything(shop)) == len(before)

    await until(is_back, "the worker has filled Redis again", 30)
    assert (await everything(shop)).keys() == before.keys()
    assert await worker.stop() == 0

    before = await everything(shop)
    await empty(shop)
    outcome = await shop.command("rebuild", "redis")
    assert (outcome.code, outcome.err) == (0, "")
    assert f"{len(USERS)} users and the cards of {len(ITEMS)} products" in outcome.out
    assert await everything(shop) == before
