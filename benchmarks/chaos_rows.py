"""The faults, a row each: what is done to a shop under load in a number of cycles. The shop is checked afterwards."""

import asyncio
import os
import signal

from benchmarks.chaos_cluster import cluster
from benchmarks.chaos_disk import disk
from benchmarks.chaos_shop import SETTLED_S, Row, Shop, require
from streams import failpoints
from tests.end_to_end.deployment import Part, until
from tests.services.process import free_ports
from tests.services.proxy import Fault, Proxy

SESSION_S = 10.0
JUMP_S = 3_700
"""Kafka takes no record that a client has stamped more than an hour ahead."""


async def kill_workers(shop: Shop, cycles: int) -> None:
    """One to three workers; one of them is killed at a random instant and started again."""
    await shop.start(shop.rng.randint(1, 3))
    async with shop.load.running():
        for _ in range(cycles):
            await asyncio.sleep(shop.rng.uniform(0.2, 3.0))
            victim = shop.rng.choice(shop.running)
            victim.service.kill()
            victim.start()
            await shop.moves_on()
            if shop.rng.random() < 0.3:
                await change_number(shop, 3)


async def stop(worker: Part) -> None:
    """Tell a worker to stop; one that has only just been started dies of the signal, as any program does."""
    code = await worker.stop()
    require(code in (0, -signal.SIGTERM), f"{worker.name} was told to stop and ended with {code}")


async def change_number(shop: Shop, most: int) -> None:
    """Add a worker or take one away, within one and `most`."""
    if len(shop.running) < most and shop.rng.random() < 0.5:
        await shop.add_worker().wait_ready()
    elif len(shop.running) > 1:
        leaving = shop.rng.choice(shop.running)
        await stop(leaving)
        shop.workers.remove(leaving)


async def membership(shop: Shop, cycles: int) -> None:
    """Three workers join, leave in order and are killed, one after the other."""
    await shop.start(3)
    async with shop.load.running():
        for _ in range(cycles):
            victim = shop.rng.choice(shop.running)
            if shop.rng.random() < 0.5:
                victim.service.kill()
            else:
                await stop(victim)
            await asyncio.sleep(shop.rng.uniform(0.0, 3.0))
            victim.start()
            await asyncio.sleep(shop.rng.uniform(0.0, 5.0))
        await shop.moves_on()


async def zombies(shop: Shop, cycles: int) -> None:
    """An owner is paused beyond its session, another goes on, then the first wakes up."""
    await shop.start(2)
    async with shop.load.running():
        for _ in range(cycles):
            await shop.moves_on()
            victim = shop.rng.choice(shop.running)
            shop.signal(victim, signal.SIGSTOP)
            await asyncio.sleep(SESSION_S * shop.rng.choice((1.2, 1.5, 2.5)))
            await shop.moves_on()
            shop.signal(victim, signal.SIGCONT)
            await asyncio.sleep(shop.rng.uniform(1.0, 4.0))
            await shop.until_ready(victim)


async def clock(shop: Shop, cycles: int) -> None:
    """The wall clocks of two workers jump by more than an hour; now and then the other goes on from what is left."""
    clocks = {}
    for _ in range(2):
        worker = shop.deployment.part("worker", "--role", "recommend", "--no-supervise")
        clocks[worker] = shop.deployment.folder / f"{worker.name}.clock"
        worker.service.command = by_way_of("tests.chaos.jumping_clock", worker.service.command, str(clocks[worker]))
        worker.start()
        shop.workers.append(worker)
        await worker.wait_ready()
    async with shop.load.running():
        for _ in range(cycles):
            await shop.moves_on()
            victim = shop.rng.choice(shop.workers)
            clocks[victim].write_text(str(shop.rng.choice((-JUMP_S, 0, JUMP_S))))
            shop.signal(victim, signal.SIGUSR2)
            await asyncio.sleep(shop.rng.uniform(0.5, 5.0))
            await shop.moves_on()
            require(len(shop.running) == 2, "a worker has ended as its clock jumped")
            if shop.rng.random() < 0.3:
                victim.service.kill()
                await shop.moves_on()
                victim.start()
                await shop.until_ready(victim)


async def broker(shop: Shop, cycles: int) -> None:
    """The broker is killed, is away for some seconds, and comes back; no process is started again by hand."""
    await shop.start(2)
    pids = [worker.pid for worker in shop.workers]
    async with shop.load.running():
        for _ in range(cycles):
            await shop.moves_on()
            shop.broker.kill()
            await asyncio.sleep(shop.rng.uniform(2.0, 30.0))
            await asyncio.to_thread(shop.broker.start)
            await shop.moves_on()
            for worker in shop.workers:
                await worker.wait_ready(30.0)
    require([worker.pid for worker in shop.workers] == pids, "a worker was started again")
    require(len(shop.running) == 2, "a worker has ended while the broker was away")


async def network(shop: Shop, cycles: int) -> None:
    """One of two workers reaches the broker, later Redis, by a network that is half-open, cut or slow for a while."""
    to_broker = Proxy(shop.broker.proxy, shop.broker.behind_proxy)
    to_redis = Proxy(free_ports(1)[0], shop.server.port)
    each: list[Fault] = ["half-open", "cut", "slow"]
    faults = [(proxy, fault) for proxy in (to_broker, to_redis) for fault in each]
    addresses = {
        "FRESHET_BROKER": f"kafka://127.0.0.1:{to_broker.port}",
        "FRESHET_REDIS": f"redis://127.0.0.1:{to_redis.port}/0",
    }
    async with to_broker.running(), to_redis.running():
        await shop.start(1)
        behind = shop.add_worker(**addresses)
        await behind.wait_ready()
        async with shop.load.running():
            for cycle in range(cycles):
                await shop.moves_on()
                proxy, fault = faults[cycle % len(faults)]
                async with proxy.fault(fault):
                    await asyncio.sleep(SESSION_S * shop.rng.choice((0.5, 1.2, 1.5)))
                    await shop.moves_on()
                await shop.until_ready(behind)
            await shop.moves_on()
        await stop(behind)
        shop.workers.remove(behind)


async def redis(shop: Shop, cycles: int) -> None:
    """Redis is killed, emptied, frozen or full, and then itself again; lists come back by themselves."""
    await shop.start(1)
    (worker,) = shop.workers
    pid = worker.pid
    faults = ["kill", "wipe", "freeze", "full"]
    shop.rng.shuffle(faults)
    async with shop.load.running():
        for cycle in range(cycles):
            await shop.moves_on()
            await redis_fault(shop, faults[cycle % len(faults)])
            await worker.wait_ready(30.0)
            await shop.moves_on()
    require(worker.is_running and worker.pid == pid, "the worker has ended while Redis was not itself")
    await whole(shop)


async def redis_fault(shop: Shop, fault: str) -> None:
    server = shop.server
    if fault == "kill":
        server.kill()
        await asyncio.sleep(shop.rng.uniform(1.0, 10.0))
        await asyncio.to_thread(server.start)
    elif fault == "freeze":
        await frozen(server.service.pid, shop.rng.uniform(5.0, 30.0))
    else:
        async with shop.deployment.redis() as store:
            if fault == "wipe":
                await store.flushall()
            else:
                await store.config_set("maxmemory", 1)
                await asyncio.sleep(shop.rng.uniform(5.0, 20.0))
                await store.config_set("maxmemory", 0)


async def frozen(pid: int, seconds: float) -> None:
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)


async def whole(shop: Shop) -> None:
    """Wait until workers say that Redis has everything again."""

    async def is_whole() -> bool:
        async with shop.deployment.redis() as store:
            info = await store.info("server")
            marks = await store.hgetall(f"{shop.deployment.prefix}freshet:whole")
            lists = [value.decode() for name, value in marks.items() if name.startswith(b"lists:")]
            return len(lists) == 4 and all(mark == info["run_id"] for mark in lists)

    await until(is_whole, "Redis is whole again", 60.0)


async def poison(shop: Shop, cycles: int) -> None:
    """As many bad messages as good ones; `cycles` of each."""
    await shop.start(1)
    (worker,) = shop.workers
    pid = worker.pid
    shop.load.poison = 0.5
    await shop.load.send(2 * cycles)
    await shop.settle()
    require(worker.is_running and worker.pid == pid, "the worker has ended under bad input")


async def duplicates(shop: Shop, cycles: int) -> None:
    """`cycles` thousand messages in which each event comes up to five times, out of order and late."""
    await shop.start(2)
    load = shop.load
    plain, waiting = load.draw, []

    def draw() -> tuple[bytes, bytes]:
        while len(waiting) < 1000:
            waiting.extend([plain()] * load.rng.randint(1, 5))
        return waiting.pop(load.rng.randrange(len(waiting)))

    load.draw = draw  # type: ignore[method-assign]
    await load.send(1000 * cycles)


async def points(shop: Shop, cycles: int) -> None:
    """A worker is killed at each of the twelve named points, one after the other, `cycles` times."""
    shop.load.poison = 0.1
    await shop.start(1)
    embed = shop.deployment.start("worker", "--role", "embed", "--no-supervise")
    await embed.wait_ready()
    (worker,) = shop.workers
    command = list(worker.service.command)
    async with shop.load.running():
        await shop.moves_on()
        await stop(worker)
        for cycle in range(cycles):
            for point in failpoints.POINTS:
                await shop.add_products(f"{point}-{cycle}")
                count = COUNTS.get(point) or shop.rng.randint(1, 4)
                worker.service.command = by_way_of("tests.chaos.killed_at", command, point, str(count))
                worker.start()
                if point == failpoints.IN_REBALANCE:
                    await shop.moves_on()
                    shop.add_worker()
                await until(lambda: not worker.is_running, f"the worker is killed at {point}", SETTLED_S)
                code = worker.service.exit_code
                require(code == -signal.SIGKILL, f"{point}: the worker ended with {code}: {worker.service.log_tail(5)}")
                if point == failpoints.IN_REBALANCE:
                    await stop(shop.workers.pop())
        worker.service.command = command
        worker.start()
        await shop.moves_on()
    require(embed.is_running, "the embed worker has ended")


def by_way_of(program: str, command: list[str], *args: str) -> list[str]:
    """The command of a part, by way of a program that changes something and then runs it."""
    at = command.index("gateway.cli.main")
    return [*command[:at], program, *args, *command[at + 1 :]]


COUNTS = {failpoints.IN_RECOVERY: 1, failpoints.IN_REBALANCE: 2, failpoints.SNAPSHOT: 1}
"""For points that a start passes so often; nothing is revoked at the first join, and yet it is said."""


ROWS: dict[str, tuple[Row, int]] = {
    "kill": (kill_workers, 8),
    "membership": (membership, 8),
    "zombies": (zombies, 1),
    "points": (points, 1),
    "broker": (broker, 1),
    "cluster": (cluster, 0),
    "network": (network, 2),
    "redis": (redis, 2),
    "clock": (clock, 3),
    "disk": (disk, 2),
    "poison": (poison, 5_000),
    "duplicates": (duplicates, 50),
}
"""By name: the row, and how many cycles of it every change is tested with; 0 for one that runs on demand alone."""
ON_DEMAND = 3
"""Cycles of such a row where no number is given."""
ON_A_CLUSTER = frozenset({"cluster"})
