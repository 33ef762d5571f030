"""A shop in one process: two workers, a log and a Redis in memory, and a random number generator for all that happens.

At every await of the log and of Redis the seed decides how long it takes, whether it fails before or after its effect
(so that the answer is lost), and whether only a part of it has happened. Between two awaits the seed decides who is
killed, who loses a partition, who does not hear of it (a zombie), when counts are published, and by how much the
workers' clocks are wrong. Nothing else is random: no clock of this machine, no thread, no socket. So a seed replays
exactly.
"""

import asyncio
import json
import random
from hashlib import blake2b

from recsys.candidates import Views
from recsys.errors import OwnershipLostError, UnavailableError
from recsys.item_table import ItemTable
from recsys.trends import Trends
from streams import topics
from streams.agents.recommend import ClickProcessor
from streams.log.base import NewRecord, TopicPartition
from streams.policy import recommend_policy
from streams.settings import Settings
from tests.builders import NOON_MS
from tests.streams.memory_log import MemoryLog

PARTITIONS = 2
WORKERS = 2
SETTINGS = Settings(partitions=PARTITIONS)
POLICY = recommend_policy(SETTINGS)
USERS = ["ann", "bob", "eve", "joe", "kim"]
ITEMS = ["lamp", "chair", "shoe", "boot", "vase"]
KINDS = ["impression", "view", "click", "purchase", "search", "hide", "dislike", "remove_from_cart"]
POISON = [b"{", b"\xff", b"[]", b'{"user_id": "ann"}', None]
AT_ONCE = 6
HOUR_MS = 3_600_000


class World:
    """What outlives the workers: topics, Redis, what is committed, and who owns which partition."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.log = MemoryLog(PARTITIONS)
        self.lists = {}
        self.committed = dict.fromkeys(range(PARTITIONS), 0)
        self.owner = {}
        self.term = dict.fromkeys(range(PARTITIONS), 0)
        self.fails = self.rng.choice((0.0, 0.02, 0.2))
        self.is_healed = False
        self.clocks = random.Random(f"clocks {seed}")
        """Of the workers: each time that one looks, its clock may have been put on or back by an hour."""
        self.versions = {}

    def wall_clock_ms(self):
        return NOON_MS + self.clocks.choice((-HOUR_MS, 0, 0, 0, HOUR_MS))

    async def delay(self):
        for _ in range(self.rng.choice((0, 0, 1, 3, 10))):
            await asyncio.sleep(0)

    async def may_fail(self):
        await self.delay()
        if not self.is_healed and self.rng.random() < self.fails:
            raise UnavailableError("The seed says so.")

    def produce(self, n):
        """Clicks of a shop: some twice, some late, some spoilt."""
        sent = []
        for number in range(n):
            value = self._draw(number)
            if sent and self.rng.random() < 0.2:
                value = self.rng.choice(sent)
            sent.append(value)
            key = b"ann"
            if value and value.startswith(b'{"event_id"'):
                key = json.loads(value)["user_id"].encode()
            self.log.put(NewRecord(topics.CLICKS, key, value), NOON_MS)

    def _draw(self, number):
        rng = self.rng
        if rng.random() < 0.1:
            return rng.choice(POISON)
        event = {"event_id": str(number), "user_id": rng.choice(USERS), "item_id": rng.choice(ITEMS)}
        event |= {"type": rng.choice(KINDS), "ts": NOON_MS - rng.randrange(5_000_000), "context": {"query": "red"}}
        return json.dumps(event).encode()

    def digest(self):
        """Of everything that stands in the log and in Redis."""
        found = blake2b(digest_size=16)
        for (topic, partition), records in sorted(self.log.records.items()):
            found.update(repr((topic, partition, records)).encode())
        found.update(repr(sorted(self.lists.items())).encode())
        return found.hexdigest()


class FencedLog:
    """The log as one life of a worker sees it; it writes to a partition only in the term in which it owns it."""

    def __init__(self, world, name):
        self._world, self._name = world, name
        self.terms = {}

    async def append_many(self, records):
        world, terms = self._world, dict(self.terms)
        await world.may_fail()
        positions = []
        is_broken_off = not world.is_healed and world.rng.random() < world.fails
        for record in records[: world.rng.randrange(len(records) + 1)] if is_broken_off else records:
            self._check(record, terms)
            positions.append(world.log._append(record))
            if world.rng.random() < 0.2:
                await world.delay()
        if is_broken_off:
            raise UnavailableError("Whether all of it is written is not known.")
        await world.delay()
        return positions

    def _check(self, record, terms):
        if record.topic == topics.DEAD_LETTERS:
            return
        partition = record.partition
        if self._world.term[partition] != terms.get(partition) or self._world.owner.get(partition) != self._name:
            raise OwnershipLostError(f"{self._name} has lost {record.topic} [{partition}].")

    async def committed(self, group, topic):
        await self._world.may_fail()
        return dict(self._world.committed)

    async def beginning_offsets(self, topic):
        await self._world.may_fail()
        return await self._world.log.beginning_offsets(topic)

    async def end_offsets(self, topic):
        await self._world.may_fail()
        return await self._world.log.end_offsets(topic)

    def partition_for(self, key, partitions):
        return self._world.log.partition_for(key, partitions)

    def reader(self, offsets):
        return self._world.log.reader(offsets)


class Lists:
    """Redis: takes what is newer, forgets nothing, answers or does not."""

    def __init__(self, world):
        self._world = world

    async def put_lists(self, writes):
        await self._world.may_fail()
        for write in writes:
            if write.list_json is not None and write.version > self._world.lists.get(write.user_id, ("",))[0]:
                self._world.lists[write.user_id] = write.version, write.list_json
        await self._world.may_fail()
        return len(writes)


class Worker:
    """A worker, and after a crash the next one of that name: batches one behind the other, acks in order."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.task = None
        self.start()

    def start(self):
        self.log = FencedLog(self.world, self.name)
        views = Views(ItemTable(ITEMS), Trends(ItemTable(ITEMS), POLICY.trends))
        store = Lists(self.world)
        self.processor = ClickProcessor(SETTINGS, self.log, store, lambda: views, POLICY, self.world.wall_clock_ms)
        self.next = {}
        self.writing = None
        self.task = asyncio.create_task(self._run())

    async def kill(self):
        """Nothing of what it was doing goes on."""
        for task in (self.task, self.writing):
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in (self.task, self.writing) if task), return_exceptions=True)

    def own(self, partition):
        self.log.terms[partition] = self.world.term[partition]
        self.next[partition] = self.world.committed[partition]

    def lose(self):
        """It hears of a rebalance: everything is given up, and what it still has is read back."""
        self.processor.forget()
        self.next = {p: self.world.committed[p] for p in self.next if self.world.owner[p] == self.name}
        self.log.terms = {p: self.world.term[p] for p in self.next}

    async def _run(self):
        while True:
            await self.world.delay()
            await asyncio.sleep(0)
            batch = self._fetch()
            if not batch:
                continue
            terms = dict(self.log.terms)
            refreshes = await self.processor.take(batch)
            if self.writing is not None:
                await self.writing
            if refreshes is not None:
                self.writing = asyncio.create_task(self._finish(batch, refreshes, terms))

    def _fetch(self):
        batch = []
        for partition, start in self.next.items():
            size = self.world.rng.randrange(AT_ONCE + 1)
            batch += self.world.log.records[TopicPartition(topics.CLICKS, partition)][start : start + size]
        for record in batch:
            self.next[record.partition] = record.offset + 1
        return batch

    async def _finish(self, batch, refreshes, terms):
        if not await self.processor.publish(refreshes):
            return
        await self.world.delay()
        for record in batch:
            # The group takes commits from the partition's present owner alone.
            if self.world.term[record.partition] == terms[record.partition]:
                self.world.committed[record.partition] = max(self.world.committed[record.partition], record.offset + 1)
