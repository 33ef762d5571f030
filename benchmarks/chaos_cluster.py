"""The row `cluster`: nodes of a Kafka of three are killed, one or two at a time."""

import asyncio
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from benchmarks.chaos_shop import SETTLED_S, Shop, require
from streams import topics
from tests.end_to_end.deployment import until

READY_S = 60.0
"""For a worker whose broker is back: the group's topic is read anew by its new coordinator."""


async def cluster(shop: Shop, cycles: int) -> None:
    """The leader of a partition, the controller, or two of three nodes are killed and come back."""
    await shop.start(2)
    pids = [worker.pid for worker in shop.workers]
    faults = ["leader", "controller", "two"]
    shop.rng.shuffle(faults)
    nodes = shop.broker.nodes
    async with shop.load.running():
        for cycle in range(cycles):
            await shop.moves_on()
            victims = await asyncio.to_thread(victims_of, shop, faults[cycle % len(faults)])
            for victim in victims:
                nodes[victim].kill()
            await asyncio.sleep(shop.rng.uniform(2.0, 15.0))
            if len(victims) == 1:
                await shop.moves_on()
            for victim in victims:
                shop.broker.start_node(victim)
            for victim in victims:
                await asyncio.to_thread(shop.broker.wait_ready, victim)
            await shop.moves_on()
            await until(lambda: asyncio.to_thread(is_in_sync, shop), "all replicas are in sync", SETTLED_S, every_s=0.5)
            for worker in shop.workers:
                await worker.wait_ready(READY_S)
    require([worker.pid for worker in shop.workers] == pids, "a worker was started again")
    require(len(shop.running) == 2, "a worker has ended while a node was away")


def victims_of(shop: Shop, fault: str) -> list[int]:
    """Indices of the nodes to be killed."""
    if fault == "two":
        return shop.rng.sample(range(len(shop.broker.nodes)), 2)
    admin = KafkaAdminClient(bootstrap_servers=shop.deployment.broker)
    try:
        if fault == "leader":
            return [shop.rng.choice(partitions_of(shop, admin, topics.CLICKS))["leader_id"] - 1]
        (quorum,) = admin.describe_metadata_quorum()["topics"]
        return [quorum["partitions"][0]["leader_id"] - 1]
    finally:
        admin.close()


def is_in_sync(shop: Shop) -> bool:
    """Whether every replica of the topics that matter is in sync; two of each must be, for anything to be written."""
    try:
        admin = KafkaAdminClient(bootstrap_servers=shop.deployment.broker)
    except KafkaError:
        return False
    try:
        return all(
            len(partition["isr_nodes"]) == len(shop.broker.nodes)
            for name in (topics.CLICKS, topics.USER_STATE, topics.RECOMMENDATIONS)
            for partition in partitions_of(shop, admin, name)
        )
    except KafkaError:
        return False
    finally:
        admin.close()


def partitions_of(shop: Shop, admin: Any, topic: str) -> list[dict[str, Any]]:
    partitions: list[dict[str, Any]] = admin.describe_topics([shop.deployment.prefix + topic])[0]["partitions"]
    return partitions
