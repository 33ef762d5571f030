"""The whole of Freshet in one process: log, Redis, worker, trainer, gateway, and a shop with shoppers to watch."""

import asyncio
import contextlib
import itertools
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from gateway.demo.panel import DemoFigures, show
from gateway.demo.shop import SampleProduct, sample_shop, write_pictures
from gateway.demo.shoppers import Shoppers
from gateway.serve import background, open_socket, serve
from gateway.state import Gateway
from recsys.errors import UnavailableError
from streams import topics
from streams.apps import app_id
from streams.clock import wall_clock_ms
from streams.log.base import NewRecord
from streams.policy import recommend_policy
from streams.processes import Outside, Worker, outside
from streams.settings import Settings
from streams.shared_views import SharedViews
from streams.trainer import Trainer
from streams.until_stopped import run_until_stopped, running
from streams.wire.lists import decode_list

EVENTS_PER_S = 20.0
PRODUCTS_AT_ONCE = 25
"""Products sent together: their pictures take about 0.2 s to draw."""
FIRST_SHELVES = 100
"""Products after which the first shoppers come in."""
FIRST_FIT_AT = 400
"""Events to the first fit, unless the settings say otherwise: twenty seconds of shoppers."""
COUNT_EVERY_S = 0.5
TASTES = 1
LATENCIES = 2_000
REOPENED = "The shop is open as the last demo left it; events, lists and rates count from this start."
logger = logging.getLogger(__name__)


def run_demo(settings: Settings, empty: bool, exit_after: float | None) -> int:
    """Run the demo until told to stop, or for so many seconds; returns the exit code."""
    logging.getLogger().setLevel(logging.WARNING)  # the panel tells what goes on
    return run_until_stopped(lambda stop: _demo(demo_settings(settings), empty, exit_after, stop))


def demo_settings(settings: Settings) -> Settings:
    """The settings with what the sample shop needs, where the user has not chosen otherwise."""
    update: dict[str, Any] = {}
    if settings.media_dir is None:
        update["media_dir"] = settings.data_dir / "media"
    if "train_min_events" not in settings.model_fields_set:
        update["train_min_events"] = FIRST_FIT_AT
    return settings.model_copy(update=update)


@dataclass
class Watch:
    """What the shoppers see and how long they wait: the figures of the panel."""

    lists: dict[str, list[str]] = field(default_factory=dict)
    waiting_before: int = 0
    """Events of earlier runs that no list knew of when this one began."""
    events: int = 0
    """Events that came since, those of people on the page too."""
    products: int = 0
    asked_at: dict[str, float] = field(default_factory=dict)
    waits_ms: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES))
    note: str = "Starting."

    def note_list(self, user_id: str, item_ids: list[str]) -> None:
        self.lists[user_id] = item_ids
        asked = self.asked_at.pop(user_id, None)
        if asked is not None:
            self.waits_ms.append((time.perf_counter() - asked) * 1000)

    def wait_ms(self, quantile: float) -> float | None:
        return float(np.quantile(list(self.waits_ms), quantile)) if self.waits_ms else None


async def _demo(settings: Settings, empty: bool, exit_after: float | None, stop: asyncio.Event) -> None:
    if exit_after is not None:
        asyncio.get_running_loop().call_later(exit_after, stop.set)
    with open_socket(settings) as listening:
        async with outside(settings) as parts:
            views = SharedViews(settings, parts.log, recommend_policy(settings), "demo")
            gateway = Gateway(settings, parts.log, parts.store, views)
            worker = Worker(parts, views, "all")
            trainer = Trainer(settings, parts.log)
            watch = Watch()
            host, port = listening.getsockname()[:2]
            url = f"http://{host}:{port}"
            shop = Shop(parts, watch)
            count = await Count.begin(parts, watch)
            async with (
                running(views.run(), *background(gateway), count.run(), serve(gateway, parts, listening, stop)),
                running(trainer.run(stop), shop.run(empty)),
                _working(worker),
            ):
                await show(lambda: _figures(url, watch, worker, trainer, shop), stop)


class Count:
    """How many events came since the demo began, as the log says."""

    def __init__(self, parts: Outside, watch: Watch, before: int) -> None:
        self._log, self._topic = parts.log, parts.settings.topic_prefix + topics.CLICKS
        self._watch, self._before = watch, before

    @classmethod
    async def begin(cls, parts: Outside, watch: Watch) -> "Count":
        """Count from now on, and note what an earlier demo has left to do."""
        topic = parts.settings.topic_prefix + topics.CLICKS
        ends = await parts.log.end_offsets(topic)
        committed = await parts.log.committed(app_id(parts.settings, "recommend"), topic)
        watch.waiting_before = sum(end - committed.get(partition, 0) for partition, end in ends.items())
        return cls(parts, watch, sum(ends.values()))

    async def run(self) -> None:
        """Count until cancelled."""
        while True:
            with contextlib.suppress(UnavailableError):
                self._watch.events = sum((await self._log.end_offsets(self._topic)).values()) - self._before
            await asyncio.sleep(COUNT_EVERY_S)


@contextlib.asynccontextmanager
async def _working(worker: Worker) -> AsyncIterator[None]:
    await worker.start()
    try:
        async with running(worker.run()):
            yield
    finally:
        await worker.stop()


class Shop:
    """The sample shop and its shoppers, who use the log as a real shop would."""

    def __init__(self, parts: Outside, watch: Watch) -> None:
        self.shoppers: Shoppers | None = None
        self.is_reopened = False
        self._parts, self._watch = parts, watch
        self._products = [] if parts.settings.media_dir is None else list(sample_shop())

    async def run(self, empty: bool) -> None:
        if empty:
            self._watch.note = "An empty shop: POST /v1/products and /v1/clicks."
            return
        async with running(self._look(), self._shop()):
            await self._open()
            self._watch.note = REOPENED if self.is_reopened else "The shop is open."
            await asyncio.Event().wait()

    async def _open(self) -> None:
        """Draw the pictures and send the products, unless an earlier demo has."""
        settings, log = self._parts.settings, self._parts.log
        topic = settings.topic_prefix + topics.PRODUCTS
        if sum((await log.end_offsets(topic)).values()) >= len(self._products):
            self._let_in(self._products)
            self._watch.products = len(self._products)
            self.is_reopened = True
            return
        assert settings.media_dir is not None
        self._watch.note = "Opening the shop: drawing pictures."
        drawn = write_pictures(self._products, settings.media_dir)
        sent: list[SampleProduct] = []
        while batch := await asyncio.to_thread(_take, drawn, PRODUCTS_AT_ONCE):
            await log.append_many(
                [NewRecord(topic, product.item_id.encode(), msgspec.json.encode(product.message)) for product in batch]
            )
            sent += batch
            if len(sent) >= FIRST_SHELVES:
                self._let_in(sent)
            self._watch.products = len(sent)

    def _let_in(self, products: list[SampleProduct]) -> None:
        """Shoppers come who find the products that are in the shop by now."""
        if self.shoppers is None:
            # Events of their own for each start, so that a second demo goes on with the same people.
            everything = [product.message for product in self._products]
            self.shoppers = Shoppers(wall_clock_ms() % 2**31, products=everything, tastes=TASTES)
        self.shoppers.open_shelves(product.item_id for product in products)

    async def _look(self) -> None:
        """Keep up with the lists that the shoppers are shown."""
        store = self._parts.store
        while True:
            with contextlib.suppress(UnavailableError):
                async for user_id in store.listen_lists():
                    found = await store.get_list(user_id)
                    if found is not None:
                        self._watch.note_list(user_id, [item.item_id for item in decode_list(found).items])
            await asyncio.sleep(1.0)

    async def _shop(self) -> None:
        watch, log = self._watch, self._parts.log
        topic = self._parts.settings.topic_prefix + topics.CLICKS
        while True:
            if self.shoppers is None:
                await asyncio.sleep(0.1)
                continue
            click = self.shoppers.next_action(wall_clock_ms(), watch.lists)
            user_id = click["user_id"]
            if click["type"] not in ("impression", "search"):
                watch.asked_at[user_id] = time.perf_counter()
            await log.append(NewRecord(topic, user_id.encode(), msgspec.json.encode(click)))
            await asyncio.sleep(1 / EVENTS_PER_S)


def _take(products: Iterator[SampleProduct], n: int) -> list[SampleProduct]:
    return list(itertools.islice(products, n))


def _figures(url: str, watch: Watch, worker: Worker, trainer: Trainer, shop: Shop) -> DemoFigures:
    views, processor = worker.views, worker.processor
    handled = processor.counters.applied + processor.counters.refused if processor else 0
    waiting = max(0, watch.waiting_before + watch.events - handled)
    hits = shop.shoppers.hits if shop.shoppers else None
    return DemoFigures(
        url=url,
        products=watch.products,
        searchable=len(views.catalogue),
        embedded=views.n_with_vectors,
        events=watch.events,
        applied=max(0, watch.events - waiting),
        lag=waiting,
        lists=processor.counters.lists if processor else 0,
        click_to_list_p50_ms=watch.wait_ms(0.5),
        click_to_list_p99_ms=watch.wait_ms(0.99),
        choices=hits.choices if hits else 0,
        hit_rate=hits.ours if hits and hits.choices else None,
        popularity_hit_rate=hits.popularity if hits and hits.choices else None,
        model=trainer.status().version,
        note=watch.note,
    )
