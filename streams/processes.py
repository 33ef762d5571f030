"""The long-running processes: a worker and a trainer; their parts opened in order, stopped in the other."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import faust
from prometheus_client import CollectorRegistry

from recsys.errors import ConfigError, RecsysError
from streams import topics
from streams.agents.publish import Publisher
from streams.agents.recommend import ClickProcessor
from streams.agents.recommend_app import recommend_app
from streams.agents.restore import Restorer
from streams.apps import SESSION_TIMEOUT_S
from streams.clock import wall_clock_ms
from streams.collector import walk_once
from streams.log.base import Log
from streams.log.lease import Lease
from streams.log.open import open_log
from streams.metrics import WorkerMetrics
from streams.policy import recommend_policy
from streams.reach import Reach
from streams.retry import named, until_available
from streams.settings import Settings
from streams.shared_views import SharedViews
from streams.stores.embedded import open_redis
from streams.stores.redis import RedisStore
from streams.topics_check import ensure_topics
from streams.until_stopped import ends_in_time, every, run_until_stopped, running
from streams.watchdog import Watchdog, Watched, loop_watched

if TYPE_CHECKING:
    from streams.agents.embed import EmbedProcessor  # loads what fetches and decodes pictures

Role = Literal["embed", "recommend", "all"]
ROLES: tuple[str, ...] = get_args(Role)
WATCH_S = 0.5
PUBLISH_TRENDS_S = 1.0
PUBLISH_OWED_S = 0.25
OWED_AT_STOP_S = 3.0
PUBLISH_TRENDING_S = 2.0
DROP_SIMILAR_S = 20.0
"""All similar items are looked through, some seconds at 100,000 products; hidden ones leave raw lists within 60 s."""
RELIST_S = 5.0
"""Raw lists lose a hidden product within 60 s; the passes over all users' lists are that far apart at least."""
RESTORE_S = 2.0
"""How often a worker asks whether Redis is still the one that it has filled."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outside:
    """The log and Redis, open."""

    settings: Settings
    log: Log
    store: RedisStore


@contextlib.asynccontextmanager
async def outside(settings: Settings) -> AsyncIterator[Outside]:
    """Open the log and Redis, waiting for them as long as it takes, and see that all topics are right."""
    log = open_log(settings)
    await until_available(log.start)  # which says itself what it waits for
    try:
        await named("the topics", until_available(lambda: ensure_topics(log, settings)))
        async with open_redis(settings) as store:
            await named("Redis", until_available(store.ping))
            yield Outside(settings, log, store)
    finally:
        await log.stop()


class Worker:
    """One stream worker: the Faust agents of its roles, on views that it keeps itself.

    `views` are shared with the gateway where both live in one process.
    """

    def __init__(
        self, parts: Outside, views: SharedViews, role: Role, registry: CollectorRegistry | None = None
    ) -> None:
        self.settings = parts.settings
        self.views = views
        self.processor: ClickProcessor | None = None
        self.metrics = WorkerMetrics(views, registry)
        self.apps: list[faust.App] = []
        self.reach = Reach(parts.settings, parts.log, parts.store.check_writable)
        self._watchdog = Watchdog(parts.log, lambda: not self.reach.is_there)
        self._is_started = False
        self._parts = parts
        self._role = role
        self._exit = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Start the agents, once the views are complete: lists made from half a catalogue would be poor ones."""
        await self.views.wait_caught_up()
        walk_once()
        store = self._parts.store
        if self._role in ("recommend", "all"):
            policy = recommend_policy(self.settings)
            lease = Lease(SESSION_TIMEOUT_S)
            log = await self._open_log(lease)
            self.processor = ClickProcessor(self.settings, log, store, self.views.now, policy, wall_clock_ms)
            self.metrics.clicks = self.processor
            self._add(recommend_app(self.settings, self.processor, lease), topics.CLICKS, self.processor)
        if self._role in ("embed", "all"):
            # Only a worker that embeds loads what fetches and decodes pictures.
            from streams.agents.embed_app import open_embed_app

            lease = Lease(SESSION_TIMEOUT_S)
            opened = open_embed_app(self.settings, await self._open_log(lease), store, lease)
            app, embed = await self._exit.enter_async_context(opened)
            self.metrics.products = embed
            self._add(app, topics.PRODUCTS, embed)
        for app in self.apps:
            app.finalize()
            await app.start()
        self._is_started = True

    async def _open_log(self, lease: Lease) -> Log:
        """A log for what the lease's holder alone may write."""
        if self.settings.is_embedded:
            return self._parts.log
        log = open_log(self.settings, lease)
        self._exit.push_async_callback(log.stop)
        await until_available(log.start)
        return log

    def _add(self, app: faust.App, topic: str, processor: "ClickProcessor | EmbedProcessor") -> None:
        name = self.settings.topic_prefix + topic

        def owned() -> set[int]:
            return {at.partition for at in app.consumer.assignment() if at.topic == name}

        self.apps.append(app)
        self._watchdog.watched.append(Watched(app.conf.id, name, owned, lambda: processor.partitions.keys()))

    async def run(self) -> None:
        """Publish what is due; raises when an agent has crashed, for then this process must end."""
        async with running(self._watch(), self._watchdog.run(), *self._publishing()):
            await asyncio.Event().wait()

    def _publishing(self) -> list[Coroutine[Any, Any, None]]:
        """What a worker that recommends does beside its clicks."""
        if self.processor is None:
            return []
        parts = self._parts
        publisher = Publisher(self.settings, parts.store, self.views, self.processor, wall_clock_ms)
        restorer = Restorer(self.settings, parts.log, parts.store, self.views, self.processor, publisher)
        return [
            every(PUBLISH_TRENDS_S, self.processor.publish_trends),
            every(PUBLISH_OWED_S, self.processor.publish_owed),
            every(PUBLISH_TRENDING_S, publisher.publish_trending),
            every(RELIST_S, publisher.relist_hidden),
            every(PUBLISH_TRENDING_S, publisher.relist_short),
            every(DROP_SIMILAR_S, publisher.drop_hidden_similar),
            publisher.publish_similar(),
            every(RESTORE_S, restorer.step),
        ]

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            for app in self.apps:
                if app.crashed:
                    # An error of ours keeps its own sentence and exit code.
                    if isinstance(app.crash_reason, RecsysError):
                        raise app.crash_reason
                    raise RuntimeError(f"{app.conf.id} has crashed.") from app.crash_reason

    async def stop(self) -> None:
        if self.processor is not None:
            # What is still owed when Redis or the broker does not answer comes again with its events.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.processor.publish_owed(all_of_them=True), OWED_AT_STOP_S)
        for app in self.apps:
            await app.stop()
        await self._exit.aclose()

    @property
    def is_ready(self) -> bool:
        return self._is_started and self.reach.is_there


def run_worker(settings: Settings, role: str) -> int:
    """Run a worker until it is told to stop; returns its exit code."""
    if role not in ROLES:
        raise ConfigError(f"--role {role} is none of {', '.join(ROLES)}.")
    return run_until_stopped(lambda stop: _work(settings, role, stop))  # type: ignore[arg-type]


async def _work(settings: Settings, role: Role, stop: asyncio.Event) -> None:
    from streams.status import status_server

    worker: Worker | None = None
    registry = CollectorRegistry()
    async with (
        loop_watched(),
        status_server(settings, lambda: worker is not None and worker.is_ready, registry),
        outside(settings) as parts,
    ):
        views = SharedViews(settings, parts.log, recommend_policy(settings), "worker")
        worker = Worker(parts, views, role, registry)
        async with running(views.run(), worker.reach.run()):
            await worker.start()
            logger.info("Worker %s is ready.", role)
            with ends_in_time():
                async with running(worker.run()):
                    await stop.wait()
            await worker.stop()


def run_trainer(settings: Settings) -> int:
    """Run a trainer until it is told to stop; returns its exit code."""
    return run_until_stopped(lambda stop: _train(settings, stop))


async def _train(settings: Settings, stop: asyncio.Event) -> None:
    from streams.leadership import Leadership
    from streams.status import status_server
    from streams.trainer import Trainer

    reach: Reach | None = None
    async with (
        loop_watched(),
        status_server(settings, lambda: reach is not None and reach.is_there),
        outside(settings) as parts,
        Leadership(settings, parts.log) as leadership,
    ):
        trainer = Trainer(settings, parts.log, leadership=leadership)
        reach = Reach(settings, parts.log, parts.store.ping)
        async with running(reach.run()):
            await trainer.run(stop)
