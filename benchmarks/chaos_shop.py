"""A shop under load whose parts are killed, paused and cut off; and the check that each event counts once."""

import asyncio
import contextlib
import json
import os
import random
import signal
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from aiokafka.errors import KafkaError
from kafka import KafkaAdminClient

from recsys.counts import decode_trend
from recsys.history import decode_state, encode_state
from streams import topics
from streams.agents.partition import COUNTED_TO_KEY
from streams.log.base import Record
from streams.reference import ClicksReference
from tests.end_to_end.deployment import Deployment, Part, until
from tests.end_to_end.log_facts import newest, reference_of, trends_in
from tests.services import kafka, redis

NO_NETWORKS = {"FRESHET_TEXT_ENCODER": "none", "FRESHET_IMAGE_ENCODER": "none"}
USERS = [f"user-{number}" for number in range(200)]
ITEMS = [f"item-{number}" for number in range(60)]
KINDS = ("impression", "view", "view", "click", "click", "add_to_cart", "purchase", "hide", "search")
NOON_MS = 1_700_000_000_000
BATCH = 20
"""Clicks that the shop sends together."""
SETTLED_S = 90.0
"""After the last fault everything must be worked off: a session of 10 s, a start, a wait of 5 s between two tries."""
POISON = (b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"user_id": 1}', b'{"item_id": "x"}', b'{"a":' * 500, b"NaN")


class Failed(AssertionError):
    """What a row promises did not hold."""


@dataclass
class Load:
    """A seeded stream of clicks, some of them sent twice, late or spoilt, at a steady pace."""

    shop: Deployment
    rng: random.Random
    per_s: int = 200
    poison: float = 0.02
    n_sent: int = 0
    n_acknowledged: int = 0
    places: set[tuple[int, int]] = field(default_factory=set)
    """Partition and offset of everything that the broker has acknowledged."""

    def draw(self) -> tuple[bytes, bytes]:
        """The key and value of the next message."""
        rng, number = self.rng, self.n_sent
        self.n_sent += 1
        user_id = rng.choice(USERS)
        if rng.random() < self.poison:
            return user_id.encode(), rng.choice(POISON)
        if rng.random() < 0.1:
            number = rng.randrange(max(0, number - 500), number + 1)
        late_ms = rng.choice((0, 0, 0, rng.randrange(3_600_000)))
        event = {"event_id": f"e-{number}", "user_id": user_id, "item_id": rng.choice(ITEMS), "type": rng.choice(KINDS)}
        event |= {"ts": NOON_MS + 1000 * number - late_ms}
        if event["type"] == "search":
            event["context"] = {"query": "red"}
        return user_id.encode(), json.dumps(event).encode()

    async def send(self, n: int) -> None:
        """Send so many as quickly as the broker takes them."""
        async with self.shop.producer() as producer:
            for _ in range(0, n, BATCH):
                await self._send_batch(producer, BATCH)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep sending while the block lasts; a broker that is away is waited for, and a failure ends the block."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as sending:
            sending.create_task(self._run(stop))
            try:
                yield
            finally:
                stop.set()

    async def _run(self, stop: asyncio.Event) -> None:
        async with self.shop.producer() as producer:
            while not stop.is_set():
                await self._send_batch(producer, BATCH)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), BATCH / self.per_s)

    async def _send_batch(self, producer: Any, n: int) -> None:
        topic = self.shop.prefix + topics.CLICKS
        drawn = [self.draw() for _ in range(n)]
        sent = [await producer.send(topic, value, key) for key, value in drawn]
        for done in await asyncio.gather(*sent):
            self.n_acknowledged += 1
            self.places.add((done.partition, done.offset))


class Shop:
    """A broker, a Redis and the parts of one deployment, with a seed that decides everything that happens to them."""

    def __init__(self, folder: Path, broker: Any, server: redis.RedisServer, seed: str) -> None:
        self.broker, self.server = broker, server
        self.rng = random.Random(seed)
        self.deployment = Deployment(folder, broker.address, server.url, f"c{uuid.uuid4().hex[:8]}.", **NO_NETWORKS)
        self.load = Load(self.deployment, random.Random(f"load {seed}"))
        self.workers: list[Part] = []

    @property
    def running(self) -> list[Part]:
        return [worker for worker in self.workers if worker.is_running]

    def add_worker(self, **settings: str) -> Part:
        """Start a recommend worker without a supervisor: when it starts again is up to the row."""
        worker = self.deployment.start("worker", "--role", "recommend", "--no-supervise", **settings)
        self.workers.append(worker)
        return worker

    async def start(self, n: int) -> None:
        """Start so many workers and wait until they work."""
        self.add_worker()
        await self.workers[0].wait_ready()  # it makes the topics
        for _ in range(n - 1):
            self.add_worker()
        for worker in self.workers:
            await worker.wait_ready()

    async def add_products(self, name: str, n: int = 5, description: str = "") -> None:
        """Put some products on their topic, which an embed worker brings to everybody's index."""
        async with self.deployment.producer() as producer:
            for number in range(n):
                item_id = f"{name}-{number}"
                product = {"item_id": item_id, "title": f"A fine {item_id}", "description": description}
                value = json.dumps(product).encode()
                await producer.send_and_wait(self.deployment.prefix + topics.PRODUCTS, value, item_id.encode())

    async def revive(self) -> None:
        """Start every worker again that has ended, as a supervisor would."""
        for worker in self.workers:
            if not worker.is_running:
                worker.start()

    async def until_ready(self, worker: Part) -> None:
        """Wait until a worker that may end, and is started again then, is ready."""

        async def is_ready() -> bool:
            await self.revive()
            return (await worker.answer("/readyz"))[0] == 200

        await until(is_ready, f"{worker.name} is ready", SETTLED_S, every_s=0.5)

    def signal(self, worker: Part, number: signal.Signals) -> None:
        os.kill(worker.pid, number)

    async def n_applied(self) -> int:
        """Records of states; asked again while a node of the broker's is away."""
        deadline_s = time.monotonic() + SETTLED_S
        while True:
            try:
                return sum((await self.deployment.end_offsets(topics.USER_STATE)).values())
            except KafkaError:
                if time.monotonic() > deadline_s:
                    raise
            await asyncio.sleep(0.5)

    async def moves_on(self) -> None:
        """Wait until more clicks are folded."""
        before = await self.n_applied()

        async def has_moved() -> bool:
            return await self.n_applied() > before

        await until(has_moved, "more clicks are folded", SETTLED_S)

    def committed(self) -> dict[int, int]:
        admin = KafkaAdminClient(bootstrap_servers=self.deployment.broker)
        try:
            group = f"{self.deployment.prefix}freshet-recommend"
            found = admin.list_group_offsets({group: None})[group]
            return {at.partition: answer.offset for at, answer in found.items() if answer.offset >= 0}
        finally:
            admin.close()

    async def settle(self) -> None:
        """Wait until everything sent is committed."""
        ends = {partition: end for partition, end in (await self.deployment.end_offsets(topics.CLICKS)).items() if end}

        async def is_done() -> bool:
            await self.revive()
            committed = await asyncio.to_thread(self.committed)
            return all(committed.get(partition, 0) >= end for partition, end in ends.items())

        await until(is_done, "all clicks are committed", SETTLED_S, every_s=0.5)

    async def check(self) -> dict[str, int]:
        """Compare everything with the reference fold; the counts of what was compared. Raises Failed."""
        await self.settle()
        deployment = self.deployment
        clicks = await deployment.records(topics.CLICKS)
        reference = reference_of(clicks, deployment.settings)
        missing = self.load.places - {(record.partition, record.offset) for record in clicks}
        require(not missing, f"{len(missing)} acknowledged messages are not in the log")
        states = await deployment.records(topics.USER_STATE)
        check_states(states, reference)
        check_trends(await deployment.records(topics.TRENDS))
        await self._counts(reference)
        lists = await deployment.records(topics.RECOMMENDATIONS)
        check_versions("recommendations", [(r.key, json.loads(r.value or b"")["version"]) for r in lists if r.value])
        check_trends(await deployment.records(topics.TRENDS))
        letters = letters_of(await deployment.records(topics.DEAD_LETTERS))
        refused = {(place.partition, place.offset): reason for place, reason in reference.refused.items()}
        require(letters == refused, f"{len(letters)} dead letters, {len(refused)} refused by the reference")
        await self._lists(lists, reference)
        applied = reference.n_clicks
        require(applied + len(letters) == len(clicks), "applied and dead-lettered do not add up to what is in the log")
        return {
            "clicks": len(clicks),
            "acknowledged": self.load.n_acknowledged,
            "applied": applied,
            "dead_letters": len(letters),
            "users": len(reference.states),
            "state_records": len(states),
            "list_records": len(lists),
        }

    async def _counts(self, reference: ClicksReference) -> None:
        """Counts are published once a second: wait for the last, then compare."""

        async def published() -> Any:
            found, complete = trends_in(await self.deployment.records(topics.TRENDS))
            # A mark goes with counts: what came after the last event that counts may have none.
            is_complete = all(complete.get(partition, -1) >= newest for partition, newest in last.items())
            return found if is_complete else None

        last = {
            partition: max(count.offset for count in counts.values())
            for partition, counts in reference.counts.items()
            if counts
        }

        found = await until(published, "all counts are published", SETTLED_S, every_s=0.5)
        difference = first_difference(found, reference.counts)
        require(not difference, f"the counts differ from the reference: {difference}")

    async def _lists(self, lists: Sequence[Record], reference: ClicksReference) -> None:
        """Redis and the topic hold a list of each user that has the user's newest click that makes one."""
        standing = newest(lists)
        async with self.deployment.redis() as store:
            for user_id, state in reference.states.items():
                key = f"{self.deployment.prefix}freshet:"
                packed = await store.get(f"{key}user:{user_id}")
                require(
                    packed is not None and same_state(packed[30:], encode_state(state)),
                    f"Redis has another state of {user_id} than the reference",
                )
                if state.trigger_offset < 0:
                    continue
                shown = await store.get(f"{key}recs:{user_id}")
                require(shown is not None, f"{user_id} has no list in Redis")
                made = json.loads(shown)
                topic_version = json.loads(standing[user_id].value or b"")["version"]
                # Who died between the two wrote Redis alone; the next may cut its batches elsewhere.
                require(made["version"] >= topic_version, f"{user_id}: Redis has {made['version']} < {topic_version}")
                offset = int(topic_version.split("-")[1])
                require(offset >= state.trigger_offset, f"the list of {user_id} is older than the newest click")


def letters_of(records: Sequence[Record]) -> dict[tuple[int, int], str]:
    """Reasons by the place of what was refused; a batch that a crash repeats writes its letters again."""
    letters: dict[tuple[int, int], str] = {}
    for record in records:
        letter = json.loads(record.value or b"")
        place = (letter["partition"], letter["offset"])
        require(letters.setdefault(place, letter["reason"]) == letter["reason"], f"{place} was refused for two reasons")
    return letters


def first_difference(found: Mapping[int, Any], expected: Mapping[int, Any]) -> str:
    """The first item whose counts are not the reference's, and how many there are; "" where all are."""
    wrong = [
        (partition, item_id, found.get(partition, {}).get(item_id), expected.get(partition, {}).get(item_id))
        for partition in sorted({*found, *expected})
        for item_id in sorted({*found.get(partition, {}), *expected.get(partition, {})})
        if found.get(partition, {}).get(item_id) != expected.get(partition, {}).get(item_id)
    ]
    return (
        f"{len(wrong)} items in partitions {sorted({one[0] for one in wrong})}, the first {wrong[0]}" if wrong else ""
    )


def require(condition: bool, text: str) -> None:
    if not condition:
        raise Failed(text)


def same_state(packed: bytes, expected: bytes) -> bool:
    """Whether a state is the expected one; how often its list was made anew since is no matter of the log."""
    state = decode_state(packed)
    state.revision = 0
    return encode_state(state) == expected


def check_states(records: Sequence[Record], reference: ClicksReference) -> None:
    """The changelog ends with the reference's states, and never went back on the way."""
    versions = []
    for record in records:
        state = decode_state(record.value or b"")
        versions.append((record.key, (state.epoch, state.offset, state.revision)))
    check_versions("user-state", versions)
    found = {user_id: record.value or b"" for user_id, record in newest(records).items()}
    require(found.keys() == reference.states.keys(), "the changelog has other users than the reference")
    wrong = [user for user, packed in reference.packed_states().items() if not same_state(found[user], packed)]
    require(not wrong, f"{len(wrong)} states differ from the reference, the first of {wrong[:1]}")


def check_versions(topic: str, versions: Sequence[tuple[bytes | None, Any]]) -> None:
    newest_of: dict[bytes | None, Any] = {}
    for key, version in versions:
        known = newest_of.get(key)
        require(known is None or version >= known, f"{topic}: {key!r} went back from {known} to {version}")
        newest_of[key] = version


def check_trends(records: Sequence[Record]) -> None:
    """No item's counts and no partition's mark ever went back."""
    versions = []
    for record in records:
        if record.value is not None:
            is_mark = record.key == COUNTED_TO_KEY
            offset = int(record.value) if is_mark else decode_trend(record.value).offset
            versions.append((f"{record.partition}/".encode() + (record.key or b""), offset))
    check_versions("trends", versions)


@contextlib.asynccontextmanager
async def open_shop(seed: str, *, on_cluster: bool = False) -> AsyncIterator[Shop]:
    """A shop on a broker, or a cluster of three, and a Redis of its own, which its row may kill."""
    if reason := kafka.what_is_missing() or redis.what_is_missing():
        raise SystemExit(f"This needs {reason}.")
    kafka.download()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for part in ("kafka", "redis"):
            (folder / part).mkdir()
        broker = kafka.Cluster(folder / "kafka") if on_cluster else kafka.Broker(folder / "kafka")
        server = redis.RedisServer(folder / "redis")
        broker.format()
        try:
            broker.start()
            server.start()
            shop = Shop(folder, broker, server, seed)
            try:
                yield shop
            except BaseException as error:
                await keep_what_tells_why(shop, error)
                raise
            finally:
                shop.deployment.kill_all()
        finally:
            server.stop()
            broker.stop()


async def keep_what_tells_why(shop: Shop, error: BaseException) -> None:
    """What the parts logged before a row failed and what stands in the topics, in `build/chaos/logs/`."""
    folder, kept = shop.deployment.folder, Path("build/chaos/logs") / uuid.uuid4().hex[:8]
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "error.txt").write_text(repr(error))
    for worker in shop.running:
        if "tests.chaos.killed_at" in worker.service.command:
            os.kill(worker.pid, signal.SIGUSR1)  # it tells what its tasks wait for
            await asyncio.sleep(1.0)
    for log in folder.glob("**/*.log"):
        if log.parent in (folder, folder / "kafka", folder / "redis") or log.parent.parent == folder / "kafka":
            (kept / log.name).write_bytes(log.read_bytes())
    with contextlib.suppress(TimeoutError, OSError, KafkaError):
        async with asyncio.timeout(20.0):
            for topic in (topics.CLICKS, topics.USER_STATE, topics.TRENDS):
                rows = [
                    (r.partition, r.offset, r.timestamp_ms, r.key, r.value)
                    for r in await shop.deployment.records(topic)
                ]
                (kept / f"{topic}.msgpack").write_bytes(msgspec.msgpack.encode(rows))
    print(f"what tells why is in {kept}", flush=True)


Row = Callable[[Shop, int], Any]
