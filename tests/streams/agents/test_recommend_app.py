"""The recommend agent's application starts and stops with nothing left over."""

import asyncio
import contextlib
from pathlib import Path

from recsys.candidates import Views
from recsys.item_table import ItemTable
from recsys.trends import Trends
from streams import topics
from streams.agents.recommend import ClickProcessor
from streams.agents.recommend_app import recommend_app
from streams.log.open import open_log
from streams.policy import recommend_policy
from streams.settings import Settings
from tests.builders import NOON_MS


class EndlessRecovery(ClickProcessor):
    """Never gets its partitions back."""

    began: asyncio.Event
    ended: asyncio.Event

    async def own(self, partitions, group):
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()


async def test_a_recovery_that_still_runs_ends_before_the_application_has_stopped(tmp_path: Path):
    settings = Settings(data_dir=tmp_path, partitions=2)
    policy, items = recommend_policy(settings), ItemTable()
    log = open_log(settings)
    await log.start()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(log.stop)
        await log.create(topics.all_topics(settings))
        views = Views(items, Trends(items, policy.trends))
        processor = EndlessRecovery(settings, log, None, lambda: views, policy, lambda: NOON_MS)
        processor.began, processor.ended = asyncio.Event(), asyncio.Event()
        app = recommend_app(settings, processor)
        app.finalize()
        await app.start()
        async with asyncio.timeout(30):
            await processor.began.wait()
            await app.stop()

        assert processor.ended.is_set()
