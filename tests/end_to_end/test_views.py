"""Redis is only a view: emptied, it fills itself or is filled by command, on a real Kafka."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams import topics
from tests.end_to_end.deployment import Deployment, until
from tests.end_to_end.test_processes import (
    ITEMS,
    NO_NETWORKS,
    USERS,
    clicks,
    committed,
    ends_of,
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


async def is_whole(shop: Deployment) -> bool:
    """Whether the worker has written everything that this life of Redis has to hold: it fills a new one as well."""
    async with shop.redis() as store:
        life = (await store.info("server"))["run_id"].encode()
        marks = await store.hgetall(f"{shop.prefix}freshet:whole")
    return len(marks) == 1 + shop.settings.partitions and set(marks.values()) == {life}


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


async def test_a_deployment_equals_a_replay_of_its_log_until_something_is_altered(shop: Deployment) -> None:
    worker = shop.start("worker", "--no-supervise")
    await worker.wait_ready()
    await produce_products(shop, ITEMS)
    async with shop.producer() as producer:
        await producer.send_and_wait(shop.prefix + topics.PRODUCTS, b"{", b"lamp")
        await producer.send_and_wait(shop.prefix + topics.PRODUCTS, None, ITEMS[-1].encode())
        await producer.send_and_wait(shop.prefix + topics.CLICKS, b"[]", b"ann")
    await produce(shop, clicks(1000))
    facts = await facts_of(shop)
    await until(lambda: lists_answer(shop, facts), "all lists answer the newest clicks")
    await until(lambda: committed(shop) == ends_of(facts), "all clicks are committed")

    async def equal() -> dict[str, Any] | None:
        outcome = await shop.command("verify", "--json")
        report = json.loads(outcome.out)
        assert (outcome.code, outcome.err) == (0, ""), report
        return report if not report["notes"] and report["checks"]["counts"]["equal"] >= len(ITEMS) else None

    report = await until(equal, "everything is acknowledged, and compared")
    checks = report["checks"]
    assert checks["states"]["equal"] == checks["states in Redis"]["equal"] == len(USERS)
    assert checks["dead letters"]["equal"] == 2
    assert checks["catalogue"]["equal"] == checks["hidden"]["equal"] == checks["cards"]["equal"] == len(ITEMS)
    assert checks["lists"]["equal"] == 2 * len(USERS)
    assert checks["list contents"]["equal"] > 0, checks["list contents"]

    await until(lambda: is_whole(shop), "nothing that is altered now is written anew")
    async with shop.redis() as store:
        list_json = json.loads(await store.get(f"{shop.prefix}freshet:recs:{USERS[0]}"))
        list_json["items"] = list_json["items"][::-1]
        await store.set(f"{shop.prefix}freshet:recs:{USERS[0]}", json.dumps(list_json, separators=(",", ":")))
        await store.delete(f"{shop.prefix}freshet:recs:{USERS[1]}", f"{shop.prefix}freshet:user:{USERS[1]}")
        await store.sadd(f"{shop.prefix}freshet:hidden", ITEMS[0])
        await store.hset(f"{shop.prefix}freshet:item:{ITEMS[1]}", "title", "Another")
    outcome = await shop.command("verify")
    assert outcome.code == 1
    for sentence in (
        f"lists: Redis has none of {USERS[1]}",
        f"states in Redis: {USERS[1]} has none.",
        f"hidden: {ITEMS[0]} is in the set.",
        f"cards: {ITEMS[1]} differs in title.",
        f"list contents: Redis, {USERS[0]} at",
    ):
        assert sentence in outcome.out, outcome.out


async def test_lists_made_with_factors_are_made_again(shop: Deployment) -> None:
    worker = shop.start("worker", "--no-supervise")
    trainer = shop.start("trainer", "--no-supervise", FRESHET_TRAIN_MIN_EVENTS="500")
    for part in (worker, trainer):
        await part.wait_ready()
    await produce_products(shop, ITEMS)
    await produce(shop, clicks(600))
    await until(lambda: "are in use" in worker.log(), "the worker has factors")
    await produce(shop, clicks(300, "later"))
    facts = await facts_of(shop)
    await until(lambda: lists_answer(shop, facts), "all lists answer the newest clicks")
    assert await trainer.stop() == 0

    async def equal() -> dict[str, Any] | None:
        outcome = await shop.command("verify", "--json")
        report = json.loads(outcome.out)
        assert (outcome.code, outcome.err) == (0, ""), report
        return report["checks"]["list contents"] if not report["notes"] else None

    contents = await until(equal, "everything is acknowledged, and compared")
    assert contents["equal"] >= len(USERS), contents
