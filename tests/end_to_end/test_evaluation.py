"""What `freshet evaluate` measures is what the processes do: the same clicks give the same lists through Kafka."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recsys.item_table import ItemTable
from recsys.learner import Learner
from recsys.ranker_weights import LEARNED
from recsys.refresh import rank_for
from streams import topics
from streams.agents.recommend import parse_record
from streams.policy import recommend_policy
from streams.wire.factors import FactorAssembler
from streams.wire.lists import decode_list
from streams.wire.ranker import IN_USE_KEY, decode_ranker
from tests.end_to_end.deployment import Deployment, until
from tests.end_to_end.log_facts import trends_in
from tests.end_to_end.test_processes import ITEMS, NO_NETWORKS, USERS, clicks, produce, produce_products
from tests.services.kafka import Broker
from tests.services.redis import RedisServer

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]


@pytest.fixture
def shop(tmp_path: Path, kafka_broker: Broker, redis_server: RedisServer, topic_prefix: str) -> Iterator[Deployment]:
    one_partition = {"FRESHET_PARTITIONS": "1", "FRESHET_TRAIN_MIN_EVENTS": "400", "FRESHET_TRAIN_FACTORS": "8"}
    shop = Deployment(
        tmp_path, kafka_broker.address, redis_server.url, topic_prefix, **{**NO_NETWORKS, **one_partition}
    )
    try:
        yield shop
    finally:
        shop.kill_all()


async def list_of(shop: Deployment, user_id: str) -> Any:
    async with shop.redis() as store:
        found = await store.get(f"{shop.prefix}freshet:recs:{user_id}")
    return None if found is None else decode_list(found)


async def test_lists_through_kafka_are_those_of_an_evaluation(shop: Deployment) -> None:
    worker, trainer = shop.start("worker", "--no-supervise"), shop.start("trainer")
    for part in (worker, trainer):
        await part.wait_ready()
    await produce_products(shop, ITEMS)
    await produce(shop, clicks(600))

    assembler = FactorAssembler()

    async def model() -> Any:
        for topic in (topics.ITEM_FACTORS, topics.MODELS):
            for record in await shop.records(topic):
                if (found := assembler.feed(record)) is not None:
                    return found
        return None

    factors = await until(model, "the trainer has published factors")
    assert await trainer.stop() == 0
    kept = {record.key: record.value for record in await shop.records(topics.MODELS)}
    record = decode_ranker(kept[IN_USE_KEY] or b"") if IN_USE_KEY in kept else None
    weights = (record.weights() if record is not None else None) or LEARNED
    learned = [parse_record(record) for record in await shop.records(topics.CLICKS)]

    async def counted() -> bool:
        _, complete = trends_in(await shop.records(topics.TRENDS))
        return complete.get(0, -1) >= len(learned) - 1

    await until(counted, "all counts are published")
    read_to = str((await shop.end_offsets(topics.TRENDS))[0])
    number = 0

    async def has_read_all() -> bool:
        """Ask by an event that counts for nothing and makes a list."""
        nonlocal number
        number += 1
        event = {"event_id": f"probe-{number}", "user_id": "probe", "item_id": ITEMS[0], "type": "remove_from_cart"}
        await produce(shop, [{**event, "ts": 1_700_000_000_000}])
        found = await list_of(shop, "probe")
        names = None if found is None else found.model
        return names is not None and (names.trends, names.als, names.ranker) == (
            read_to,
            factors.version,
            weights.version,
        )

    await until(has_read_all, "the worker ranks by all of it", every_s=0.2)
    purchases = [
        {
            "event_id": f"last-{user}",
            "user_id": user,
            "item_id": ITEMS[place % 7],
            "type": "click",
            "ts": 1_700_000_900_000,
        }
        for place, user in enumerate(USERS)
    ]
    await produce(shop, purchases)
    events = [parse_record(record) for record in await shop.records(topics.CLICKS)]

    settings = shop.settings
    items = ItemTable()
    for offset, product in enumerate(await shop.records(topics.PRODUCTS)):
        items.show((product.key or b"").decode(), offset=offset)
    policy = recommend_policy(settings)
    evaluated = Learner(policy, items, factors, refresh_every=1, start=weights)
    for click in learned:
        evaluated.learn(click)
    evaluated.look()
    for click in events[len(learned) :]:
        evaluated.learn(click)

    async def answered() -> bool:
        found = [await list_of(shop, user) for user in USERS]
        return all(made is not None and made.trigger and made.trigger.event_id.startswith("last-") for made in found)

    await until(answered, "all users have a list for the last click")
    n_compared = 0
    for user in USERS:
        made = await list_of(shop, user)
        if made.model.trends == read_to:  # not so where counts were published between two of the last clicks
            n_compared += 1
            expected = rank_for(evaluated.states[user], evaluated.views, policy, n=policy.top_k)
            assert [(item.item_id, item.reason) for item in made.items] == [
                (item.item_id, item.reason) for item in expected.items
            ], json.dumps({"user": user})
            assert [item.score for item in made.items] == [item.score for item in expected.items]
    assert n_compared >= len(USERS) // 2
