"""Products -> `catalog`: words, prices and flags at once, vectors when they are made.

A message's way, in order:

1. Its fields go to `catalog`, before any fetch or network, so that hiding, prices and words never wait for pictures.
2. Its card and the set of hidden products go to Redis.
3. If the encoders have not seen its content yet, it waits in a bounded queue for its picture and its turn.
4. Its vectors go to `catalog`, unless a newer message of the product has overtaken it.
5. It is acknowledged: whatever a crash repeats, the vectors of equal content are found in `catalog` and not made again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from recsys.errors import EncodingError
from recsys.records import SCHEMA, CatalogueVectors, encode_record, pack_vector, vectors_key
from streams import topics
from streams.agents.content import text_of
from streams.agents.embed_state import Job, ProductPartition, recover
from streams.agents.intake import Arrival, Counters, Intake, Planner
from streams.agents.vectors import Part, Vectorizer
from streams.dead_letters import dead_letter
from streams.log.base import Log, NewRecord
from streams.pictures import PictureFetcher
from streams.retry import until_available
from streams.settings import Settings

BATCH = 32
"""Products encoded together at most; their vectors come out together, so more would keep the first waiting."""
MOST_PICTURES = 6
"""Of one product, the main one first; each costs as much as the first."""


class CardStore(Protocol):
    """What the agent writes for readers of Redis; each call raises UnavailableError when Redis does not answer."""

    async def put_cards(self, cards: Mapping[str, Mapping[str, str]]) -> None: ...

    async def delete_cards(self, item_ids: Iterable[str]) -> None: ...

    async def set_hidden(self, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None: ...


@dataclass(frozen=True)
class EmbedLimits:
    """How much may wait; while a queue is full, no more messages are taken in."""

    n_waiting: int = 20_000
    waiting_bytes: int = 64 * 2**20
    """Of their messages, which may hold pictures."""
    n_pictures: int = 32
    """Products whose pictures are fetched or being fetched: each picture takes up to 8 MiB until it is encoded."""
    n_fetches: int = 16


LIMITS = EmbedLimits()


class EmbedProcessor:
    """Takes batches of `products` in, and makes vectors of them in the background.

    Whatever delivers the records calls `process` with records in the order of their partition and keeps `run` running
    beside it; it calls `forget` when partitions are taken away. The acks of a partition come in any order: the first
    that has not come must hold the commit back.
    """

    def __init__(
        self,
        settings: Settings,
        log: Log,
        store: CardStore,
        fetcher: PictureFetcher,
        vectorizer: Vectorizer,
        limits: EmbedLimits = LIMITS,
    ) -> None:
        self.counters = Counters()
        self.partitions: dict[int, ProductPartition] = {}
        self._settings, self._log, self._store = settings, log, store
        self._fetcher, self._vectorizer, self._limits = fetcher, vectorizer, limits
        self._products = settings.topic_prefix + topics.PRODUCTS
        self._catalog = settings.topic_prefix + topics.CATALOG
        self._planner = Planner(settings, vectorizer.text_name, vectorizer.image_name, self.counters)
        self._generation = 0
        self._writing = asyncio.Lock()
        self._room = asyncio.Condition()
        self._n_waiting = self._waiting_bytes = 0
        self._to_fetch: asyncio.Queue[Job] = asyncio.Queue()
        self._ready: deque[Job] = deque()
        self._is_ready = asyncio.Event()
        self._picture_room = asyncio.Semaphore(limits.n_pictures)
        self._fetches = asyncio.Semaphore(limits.n_fetches)

    @property
    def n_waiting(self) -> int:
        """Products whose vectors are not out yet."""
        return self._n_waiting

    async def forget(self) -> None:
        """Drop all partitions; when this returns, nothing more is written or acknowledged for them."""
        self._generation += 1
        async with self._writing:
            for owned in self.partitions.values():
                for job in owned.pending.values():
                    job.is_overtaken = True  # by whoever owns the partition now
            self.partitions.clear()
        async with self._room:
            self._room.notify_all()

    async def process(self, batch: Sequence[Arrival]) -> None:
        """Take messages in: steps 1 and 2 at once, the rest in the background. Returns when there is room for more."""
        generation = self._generation
        for number in sorted({arrival.record.partition for arrival in batch} - self.partitions.keys()):
            recovered = await until_available(partial(recover, self._log, self._products, self._catalog, number))
            if generation != self._generation:
                return
            self.partitions[number] = recovered
        intake = self._planner.plan(batch, self.partitions)
        if not await self._write(generation, lambda: intake.records):
            return
        await until_available(partial(self._show, intake))
        if generation != self._generation:
            return
        for ack in intake.acks:
            ack()
        for job in intake.jobs:
            if not job.is_overtaken:
                await self._enqueue(job)

    async def run(self) -> None:
        """Make vectors until cancelled; raises ConfigError when a network cannot be loaded."""
        try:
            async with self._fetcher:
                await self._vectorizer.load()
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._fetch_all(group))
                    group.create_task(self._encode_all())
        except ExceptionGroup as failures:  # callers tell errors apart by their class
            raise failures.exceptions[0] from failures
        finally:
            self._vectorizer.close()

    async def _show(self, intake: Intake) -> None:
        """Step 2: hide before anything else."""
        hidden = {item_id for item_id, is_hidden in intake.hidden.items() if is_hidden}
        await self._store.set_hidden(add=hidden, remove=intake.hidden.keys() - hidden)
        await self._store.put_cards(intake.cards)
        await self._store.delete_cards(intake.deleted)

    async def _enqueue(self, job: Job) -> None:
        """Step 3: wait for room, then for the picture or, where there is none, for the encoders."""
        limits = self._limits
        async with self._room:
            await self._room.wait_for(
                lambda: (
                    (self._n_waiting < limits.n_waiting and self._waiting_bytes < limits.waiting_bytes)
                    or job.is_overtaken
                )
            )
            self._n_waiting += 1
            self._waiting_bytes += len(job.record.value or b"")
        if self._vectorizer.image and job.product.images:
            self._to_fetch.put_nowait(job)
        else:
            self._make_ready(job)

    async def _fetch_all(self, group: asyncio.TaskGroup) -> None:
        while True:
            job = await self._to_fetch.get()
            await self._picture_room.acquire()
            group.create_task(self._fetch(job))

    async def _fetch(self, job: Job) -> None:
        async with self._fetches:
            for reference in job.product.images[:MOST_PICTURES]:
                if job.is_overtaken:
                    break
                try:
                    job.pictures.append(await self._fetcher.fetch(reference))
                except EncodingError as error:
                    job.picture_fault = job.picture_fault or (error.reason, error.text)
        if not job.pictures:
            self._picture_room.release()
        self._make_ready(job)

    def _make_ready(self, job: Job) -> None:
        self._ready.append(job)
        self._is_ready.set()

    async def _encode_all(self) -> None:
        """Batches grow with the backlog: whatever has become ready while the last batch was encoded."""
        while True:
            await self._is_ready.wait()
            taken = [self._ready.popleft() for _ in range(min(BATCH, len(self._ready)))]
            if not self._ready:
                self._is_ready.clear()
            wanted = [job for job in taken if not job.is_overtaken]
            if wanted:
                await self._encode(wanted)
            for job in taken:
                if job.pictures:
                    self._picture_room.release()
            async with self._room:
                self._n_waiting -= len(taken)
                self._waiting_bytes -= sum(len(job.record.value or b"") for job in taken)
                self._room.notify_all()

    async def _encode(self, jobs: Sequence[Job]) -> None:
        """Steps 4 and 5 for products of the present generation."""
        generation = self._generation
        parts = await self._vectorizer.encode([text_of(job.product) for job in jobs], [job.pictures for job in jobs])
        written: list[tuple[Job, CatalogueVectors]] = []

        def newest() -> list[NewRecord]:
            """Decided at the moment of writing: what has been overtaken by then is left out."""
            written.clear()
            records: list[NewRecord] = []
            for job, (text, image) in zip(jobs, parts, strict=True):
                if not job.is_overtaken:
                    vectors, letters = self._outcome(job, text, image)
                    written.append((job, vectors))
                    key = vectors_key(job.product.item_id)
                    records += [NewRecord(self._catalog, key, encode_record(vectors), job.record.partition), *letters]
            return records

        if await self._write(generation, newest):
            for job, vectors in written:
                self._finish(job, vectors)

    def _outcome(self, job: Job, text: Part, image: Part) -> tuple[CatalogueVectors, list[NewRecord]]:
        """A product's vectors, and a dead letter for each part that could not be made."""
        faults = [("text", text.fault), ("image", image.fault or job.picture_fault)]
        dropped = [(part, *fault) for part, fault in faults if fault]
        vectors = CatalogueVectors(
            SCHEMA,
            job.content,
            job.record.offset,
            self._vectorizer.text_name,
            self._vectorizer.image_name,
            pack_vector(text.vector),
            pack_vector(image.vector),
            tuple(f"{part}:{reason.removeprefix('picture-')}" for part, reason, _ in dropped),
            tuple(map(pack_vector, image.pictures)),
            image.look,
        )
        return vectors, [dead_letter(job.record, reason, detail, self._settings) for _, reason, detail in dropped]

    def _finish(self, job: Job, vectors: CatalogueVectors) -> None:
        """Remember whose vectors stand in `catalog`; acknowledge the messages that waited for them."""
        job.state.content, job.state.vectors_offset = vectors.content, vectors.source_offset
        job.state.has_dropped = bool(vectors.dropped)
        self.counters.embedded += 1
        self.counters.dropped += len(vectors.dropped)
        if job.is_overtaken:  # while its vectors were being written: its acks are another's now
            return
        del self.partitions[job.record.partition].pending[job.product.item_id]
        for ack in job.acks:
            ack()

    async def _write(self, generation: int, records: Callable[[], list[NewRecord]]) -> bool:
        """Append what `records` gives; False if the partitions were taken away."""

        async def attempt() -> bool:
            async with self._writing:
                if generation != self._generation:
                    return False
                await self._log.append_many(records())
                return True

        return await until_available(attempt)
