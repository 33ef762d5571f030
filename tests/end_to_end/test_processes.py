"""Processes that are killed, stopped, started too early, left alone by Redis: nothing is lost or counted twice."""

import asyncio
import json
import os
import random
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient

from streams import topics
from streams.log.base import Record
from streams.reference import ClicksReference
from tests.end_to_end.deployment import Deployment, Part, until
from tests.end_to_end.log_facts import reference_of, states_in, trends_in
from tests.services.kafka import Broker
from tests.services.redis import RedisServer

NO_NETWORKS = {"FRESHET_TEXT_ENCODER": "none", "FRESHET_IMAGE_ENCODER": "none"}
"""Nothing here depends on vectors, and a process without networks starts in two seconds."""
ITEMS = [f"item-{number}" for number in range(30)]
USERS = [f"user-{number}" for number in range(40)]
NOON_MS = 1_700_000_000_000
BACK_WITHIN_S = 30.0
"""Promised: work goes on this long after the broker or Redis is back."""

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]


def clicks(n: int, name: str = "event") -> list[dict[str, Any]]:
    """Seeded clicks of all users; every tenth comes twice, as a client sends it that heard no answer."""
    rng = random.Random(0)
    made: list[dict[str, Any]] = []
    for number in range(n):
        if number % 10 == 9:
            made.append(made[-1])
            continue
        kind = rng.choice(("view", "click", "purchase"))
        event = {"event_id": f"{name}-{number}", "user_id": rng.choice(USERS), "item_id": rng.choice(ITEMS)}
        made.append({**event, "type": kind, "ts": NOON_MS + 1000 * number})
    return made


async def produce(shop: Deployment, events: Sequence[dict[str, Any]]) -> None:
    async with shop.producer() as producer:
        topic = shop.prefix + topics.CLICKS
        sent = [await producer.send(topic, json.dumps(e).encode(), e["user_id"].encode()) for e in events]
        await asyncio.gather(*sent)


async def produce_products(shop: Deployment, item_ids: Sequence[str]) -> None:
    async with shop.producer() as producer:
        for item_id in item_ids:
            value = json.dumps({"item_id": item_id, "title": f"A fine {item_id}"}).encode()
            await producer.send(shop.prefix + topics.PRODUCTS, value, item_id.encode())
        await producer.flush()


async def facts_of(shop: Deployment) -> ClicksReference:
    return reference_of(await shop.records(topics.CLICKS), shop.settings)


async def lists_answer(shop: Deployment, facts: ClicksReference) -> bool:
    """Whether each user's list in Redis answers that user's newest click."""
    async with shop.redis() as store:
        for user_id, (_, offset) in facts.last.items():
            found = await store.get(f"{shop.prefix}freshet:recs:{user_id}")
            if found is None or int(json.loads(found)["version"].split("-")[1]) < offset:
                return False
    return True


async def check_once_each(shop: Deployment, facts: ClicksReference) -> None:
    """States and counts equal those of a plain fold: byte for byte, whatever crashed in between."""
    await until(lambda: lists_answer(shop, facts), "all lists answer the newest clicks")

    async def states() -> bool:
        return states_in(await shop.records(topics.USER_STATE)).keys() == facts.states.keys()

    await until(states, "all states stand in their topic")
    assert states_in(await shop.records(topics.USER_STATE)) == facts.packed_states()

    async def counts() -> Any:
        found, complete = trends_in(await shop.records(topics.TRENDS))
        is_complete = all(complete.get(partition, -1) >= offset for partition, offset in facts.last.values())
        return found if is_complete else None

    assert await until(counts, "all counts are published") == facts.counts


@pytest.fixture
def shop(tmp_path: Path, kafka_broker: Broker, redis_server: RedisServer, topic_prefix: str) -> Iterator[Deployment]:
    shop = Deployment(tmp_path, kafka_broker.address, redis_server.url, topic_prefix, **NO_NETWORKS)
    try:
        yield shop
    finally:
        shop.kill_all()


async def test_a_killed_worker_is_started_again_and_nothing_is_lost_or_counted_twice(shop: Deployment) -> None:
    embed = shop.start("worker", "--role", "embed", "--no-supervise")
    recommend = shop.start("worker", "--role", "recommend")
    for part in (embed, recommend):
        await part.wait_ready()
    await produce_products(shop, ITEMS)
    events = clicks(2000)
    first_life = recommend.child_pid
    assert first_life is not None
    await produce(shop, events[:100])
    await until(lambda: n_written(shop), "the first clicks are folded")

    producing = asyncio.create_task(produce_slowly(shop, events[100:]))
    n_before = await n_written(shop)
    await until(lambda: n_is_above(shop, n_before), "more clicks are folded", every_s=0.002)
    os.kill(first_life, signal.SIGKILL)
    assert not producing.done(), "killed too late to be in the middle"
    await producing

    facts = await facts_of(shop)
    assert facts.n_clicks == 2000
    await until(lambda: recommend.child_pid not in (None, first_life), "the supervisor starts another")
    await check_once_each(shop, facts)
    assert "SIGKILL" in recommend.log()
    assert [await part.stop() for part in (embed, recommend)] == [0, 0]


async def produce_slowly(shop: Deployment, events: Sequence[dict[str, Any]]) -> None:
    """In parts, each acknowledged before the next: some of them before the kill, some after."""
    for start in range(0, len(events), 50):
        await produce(shop, events[start : start + 50])


async def n_written(shop: Deployment) -> int:
    """Records in the changelog of the users' states."""
    return sum((await shop.end_offsets(topics.USER_STATE)).values())


async def n_is_above(shop: Deployment, n: int) -> bool:
    return await n_written(shop) > n


async def test_every_process_ends_within_20_seconds_when_told(shop: Deployment) -> None:
    parts = [
        shop.start("gateway", "--no-supervise"),
        shop.start("worker", "--role", "embed", "--no-supervise"),
        shop.start("worker", "--role", "recommend", "--no-supervise"),
        shop.start("worker"),
        shop.start("trainer", "--no-supervise"),
        shop.start("trainer"),
    ]
    for part in parts:
        await part.wait_ready()
    await produce(shop, clicks(200))

    codes = await asyncio.gather(*(part.stop() for part in parts))

    assert dict(zip((part.name for part in parts), codes, strict=True)) == {part.name: 0 for part in parts}


@pytest.fixture
def late_broker(kafka_broker: Broker, tmp_path: Path) -> Iterator[Broker]:
    """A broker that has yet to be started; `kafka_broker` has seen to it that Kafka is installed."""
    folder = tmp_path / "kafka"
    folder.mkdir()
    broker = Broker(folder)
    broker.format()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def own_redis(redis_server: RedisServer, tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that may be killed."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


async def test_a_broker_that_is_late_or_away_for_a_while_is_waited_for(
    tmp_path: Path, late_broker: Broker, redis_server: RedisServer, topic_prefix: str
) -> None:
    shop = Deployment(tmp_path, late_broker.address, redis_server.url, topic_prefix, **NO_NETWORKS)
    parts = [shop.start(name, "--no-supervise") for name in ("worker", "trainer", "gateway")]
    try:
        for part in parts:
            await until(lambda part=part: late_broker.address in part.log(), f"{part.name} names what it waits for")
            assert (await part.answer("/healthz"))[0] == 200
            assert await is_not_ready(part)
            assert part.is_running
            assert (await part.answer("/readyz"))[0] != 200
        for part in parts[:2]:  # a probe must not kill what only waits
            assert (await part.answer("/healthz"))[0] == 200

        late_broker.start()

        for part in parts:
            await part.wait_ready(BACK_WITHIN_S)
        await produce(shop, clicks(500, "before"))
        await until(lambda: n_written(shop), "the first clicks are folded")

        late_broker.kill()
        for part in parts:
            await until(lambda part=part: is_not_ready(part), f"{part.name} says that it is not ready")
        late_broker.start()

        for part in parts:
            await part.wait_ready(BACK_WITHIN_S)
        await produce(shop, clicks(500, "after"))
        await check_once_each(shop, await facts_of(shop))
        assert [await part.stop() for part in parts] == [0, 0, 0]
    finally:
        shop.kill_all()


async def test_while_redis_is_gone_the_batch_is_held(
    tmp_path: Path, kafka_broker: Broker, own_redis: RedisServer, topic_prefix: str
) -> None:
    shop = Deployment(tmp_path, kafka_broker.address, own_redis.url, topic_prefix, **NO_NETWORKS)
    worker = shop.start("worker", "--role", "recommend", "--no-supervise")
    try:
        await worker.wait_ready()
        await produce(shop, clicks(100, "before"))
        facts = await facts_of(shop)
        await until(lambda: lists_answer(shop, facts), "all lists answer the newest clicks")
        await until(lambda: committed(shop) == ends_of(facts), "all clicks are committed")

        own_redis.kill()
        await produce(shop, clicks(100, "during"))
        await until(lambda: "Redis could not take lists" in worker.log(), "the worker says what it waits for")
        await until(lambda: is_not_ready(worker), "the worker says that it is not ready")
        assert worker.is_running
        assert committed(shop) == ends_of(facts), "what Redis has not is not acknowledged"

        own_redis.start()
        facts = await facts_of(shop)
        await until(lambda: lists_answer(shop, facts), "lists come after Redis is back", BACK_WITHIN_S)
        await worker.wait_ready(BACK_WITHIN_S)
        await check_once_each(shop, facts)
    finally:
        shop.kill_all()


async def is_not_ready(part: Part) -> bool:
    assert part.is_running, part.service.log_tail()
    return (await part.answer("/readyz"))[0] == 503


async def test_a_process_that_waits_for_redis_or_the_broker_can_be_stopped(
    tmp_path: Path, late_broker: Broker, own_redis: RedisServer, topic_prefix: str
) -> None:
    shop = Deployment(tmp_path, late_broker.address, own_redis.url, topic_prefix, **NO_NETWORKS)
    early = [shop.start(name, "--no-supervise") for name in ("worker", "trainer", "gateway")]
    try:
        for part in early:
            await until(lambda part=part: late_broker.address in part.log(), f"{part.name} names what it waits for")
            assert (await part.answer("/healthz"))[0] == 200
            assert await is_not_ready(part)
        assert await asyncio.gather(*(part.stop() for part in early)) == [0, 0, 0]

        late_broker.start()
        worker = shop.start("worker", "--role", "recommend", "--no-supervise")
        await worker.wait_ready()
        own_redis.kill()
        await produce(shop, clicks(100))
        await until(lambda: "Redis could not take lists" in worker.log(), "the worker holds a batch")
        assert await worker.stop() == 0
    finally:
        shop.kill_all()


def committed(shop: Deployment) -> dict[int, int]:
    """How far the recommend workers have acknowledged `clicks`, as the broker knows it."""
    admin = KafkaAdminClient(bootstrap_servers=shop.broker)
    try:
        group = f"{shop.prefix}freshet-recommend"
        found = admin.list_group_offsets({group: None})[group]
        return {at.partition: answer.offset for at, answer in found.items() if answer.offset > 0}
    finally:
        admin.close()


def ends_of(facts: ClicksReference) -> dict[int, int]:
    ends: dict[int, int] = {}
    for partition, offset in facts.last.values():
        ends[partition] = max(ends.get(partition, 0), offset + 1)
    return ends


FEED = """id,title,price,availability
lamp,Lamp,12.50 EUR,in stock
,Nameless,1 EUR,in stock
shoe,红鞋,80 EUR,out of stock
"""
EVENTS = """user,item,ts,basket
ann,lamp,1291192560,b1
ann,shoe,1291192560,b1
bob,,1291192561,b2
bob,lamp,1291192562,b2
"""


async def test_commands_work_on_a_real_broker(shop: Deployment, tmp_path: Path) -> None:
    (tmp_path / "feed.csv").write_text(FEED)
    (tmp_path / "events.csv").write_text(EVENTS)
    before = await shop.command("doctor")
    assert before.code == 1
    assert "freshet topics" in before.out

    made, again = [await shop.command("topics") for _ in range(2)]
    assert (made.code, again.code) == (0, 0)
    assert "created" in made.out
    assert "created" not in again.out
    sound = await shop.command("doctor")
    assert sound.code == 0, sound.out
    assert "✗" not in sound.out

    imported = await shop.command("import", "feed.csv")
    assert "2 products taken, 1 rows refused" in imported.out
    assert {record.key for record in await shop.records(topics.PRODUCTS)} == {b"lamp", b"shoe"}
    replayed = await shop.command("replay", "events.csv")
    assert "3 events taken, 1 rows refused" in replayed.out
    assert sorted(record.key or b"" for record in await shop.records(topics.CLICKS)) == [b"ann", b"ann", b"bob"]


async def test_dead_letters_are_listed_shown_and_sent_again(shop: Deployment) -> None:
    worker = shop.start("worker", "--no-supervise")
    await worker.wait_ready()
    async with shop.producer() as producer:
        await producer.send_and_wait(shop.prefix + topics.PRODUCTS, b"{", b"lamp")
        await producer.send_and_wait(shop.prefix + topics.CLICKS, b"[]", b"ann")

    async def letters() -> list[Record]:
        found = await shop.records(topics.DEAD_LETTERS)
        return found if len(found) == 2 else []

    by_topic = {json.loads(record.value or b"")["topic"]: record for record in await until(letters, "two letters")}
    letter = by_topic[shop.prefix + topics.PRODUCTS]
    place = f"{letter.partition}:{letter.offset}"

    listed = await shop.command("dead-letters", "list")
    assert place in listed.out
    assert "malformed-json" in listed.out
    assert "not-an-object" in listed.out
    of_clicks = await shop.command("dead-letters", "list", "--topic", "clicks")
    assert "not-an-object" in of_clicks.out
    assert "malformed-json" not in of_clicks.out
    shown = await shop.command("dead-letters", "show", place)
    assert json.loads(shown.out)["original"] == "{"

    resent = await shop.command("dead-letters", "resend", place)
    assert "1 sent again" in resent.out
    assert [record.value for record in await shop.records(topics.PRODUCTS)] == [b"{", b"{"]

    async def refused_again() -> bool:
        return len(await shop.records(topics.DEAD_LETTERS)) == 3

    await until(refused_again, "what is still wrong is refused again")
    assert await worker.stop() == 0
