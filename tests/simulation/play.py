"""Play one seed, compare what is left with the reference fold: `python -m tests.simulation.play FIRST LAST`."""

import asyncio
import json
import logging
import sys

from recsys.counts import decode_trend
from recsys.errors import OwnershipLostError
from recsys.history import decode_state
from streams import retry, topics
from streams.agents.partition import COUNTED_TO_KEY
from streams.reference import ClicksReference
from tests.end_to_end.log_facts import states_in, trends_in
from tests.simulation.world import PARTITIONS, POLICY, WORKERS, Worker, World

STEPS = 25
CLICKS = 40
PATIENCE = 20_000
"""Turns of the event loop after which a world that does not come to rest has hung."""


def play(seed):
    """The digest of what a seed leaves behind; AssertionError where it is not what it must be."""
    retry.LONGEST_WAIT_S = 0.0  # waits would be decided by the clock
    return asyncio.run(_play(seed))


async def _play(seed):
    world = World(seed)
    workers = [Worker(world, name) for name in range(WORKERS)]
    try:
        for partition in range(PARTITIONS):
            give(world, workers, partition)
        for _ in range(STEPS):
            world.produce(world.rng.randrange(2 * CLICKS // STEPS + 1))
            await step(world, workers)
            for _ in range(world.rng.choice((1, 5, 30))):
                await asyncio.sleep(0)
            await bury(world, workers)
        world.is_healed = True
        await rest(world, workers)
    finally:
        for worker in workers:
            await worker.kill()
    check(world)
    return world.digest()


def give(world, workers, partition):
    """Give a partition to some worker; whoever had it may hear of it later."""
    world.term[partition] += 1
    world.owner[partition] = world.rng.randrange(WORKERS)
    workers[world.owner[partition]].own(partition)


async def step(world, workers):
    match world.rng.choice(("go on", "kill", "move", "move", "counts", "counts", "commit lost")):
        case "kill":
            await restart(world, world.rng.choice(workers))
        case "move":
            move(world, workers, world.rng.randrange(PARTITIONS), is_told=world.rng.random() < 0.6)
        case "counts":
            await publish_counts(world.rng.choice(workers))
        case "commit lost":
            world.fails = world.rng.choice((0.0, 0.05, 0.4))


def move(world, workers, partition, *, is_told):
    """Move a partition to another worker; a zombie is one who is not told."""
    before = workers[world.owner[partition]]
    world.term[partition] += 1
    world.owner[partition] = (before.name + 1) % WORKERS
    after = workers[world.owner[partition]]
    after.lose()
    after.own(partition)
    if is_told:
        before.lose()


async def restart(world, worker):
    await worker.kill()
    worker.start()
    for partition, owner in world.owner.items():
        if owner == worker.name:
            world.term[partition] += 1
            worker.own(partition)


async def bury(world, workers):
    """A process that found out that it has lost what it owned ends, and is started again."""
    for worker in workers:
        for task in (worker.task, worker.writing):
            if task is not None and task.done() and not task.cancelled() and task.exception() is not None:
                if not isinstance(task.exception(), OwnershipLostError):
                    raise task.exception()
                await restart(world, worker)
                break


async def publish_counts(worker):
    try:
        await worker.processor.publish_trends()
    except OwnershipLostError:
        await restart(worker.world, worker)


async def rest(world, workers):
    """Wait until everything is committed, then publish the last counts."""
    for _ in range(PATIENCE):
        await asyncio.sleep(0)
        await bury(world, workers)
        ends = await world.log.end_offsets(topics.CLICKS)
        if all(world.committed[partition] >= end for partition, end in ends.items()):
            break
    else:
        raise AssertionError(f"hung: {world.committed} of {ends} are committed")
    await asyncio.sleep(0)
    for partition, owner in world.owner.items():
        worker = workers[owner]
        worker.lose()
        await worker.processor.own([partition], "recommend")
        await worker.processor.publish_trends()


def check(world):
    log = world.log
    reference = ClicksReference(POLICY)
    for record in log.all(topics.CLICKS):
        reference.put(record)
    assert states_in(log.all(topics.USER_STATE)) == reference.packed_states(), "states"
    counts, _ = trends_in(log.all(topics.TRENDS))
    found, expected = ({p: c for p, c in each.items() if c} for each in (counts, reference.counts))
    assert found == expected, "counts"
    letters = {(made["partition"], made["offset"]): made["reason"] for made in read(log.all(topics.DEAD_LETTERS))}
    assert letters == reference.refused, "dead letters"
    lists = read(log.all(topics.RECOMMENDATIONS))
    rises([(made["user_id"], made["version"]) for made in lists], "lists")
    rises([(record.key, versions(record)) for record in log.all(topics.USER_STATE)], "states")
    rises([counted(record) for record in log.all(topics.TRENDS)], "counts")
    newest = {made["user_id"]: made["version"] for made in lists}
    for user_id, state in reference.states.items():
        if state.trigger_offset < 0:
            continue
        shown, _ = world.lists[user_id]
        # Who died between the two wrote Redis alone; the next may cut its batches elsewhere, before an impression.
        assert shown >= newest[user_id], f"Redis is behind the topic: {user_id}"
        for version in (shown, newest[user_id]):
            assert state.trigger_offset <= int(version.split("-")[1]) <= state.offset, f"the list of {user_id}"


def read(records):
    return [json.loads(record.value) for record in records]


def versions(record):
    state = decode_state(record.value)
    return state.epoch, state.offset, state.revision


def counted(record):
    is_mark = record.key == COUNTED_TO_KEY
    return (record.partition, record.key), int(record.value) if is_mark else decode_trend(record.value).offset


def rises(pairs, what):
    """No version of any key ever goes back."""
    newest = {}
    for key, version in pairs:
        assert key not in newest or version >= newest[key], f"{what}: {key} went back to {version}"
        newest[key] = version


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # of every try again
    for number in range(int(sys.argv[1]), int(sys.argv[-1]) + 1):
        print(number, play(number))
