"""The panel's figures are of this start, also where an earlier demo has left a log behind."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gateway.demo.run import Count, Watch, _figures
from streams import topics
from streams.apps import app_id
from streams.log.base import Log, NewRecord, TopicPartition
from streams.log.open import open_log
from streams.settings import Settings
from streams.until_stopped import running
from tests.streams.test_reach import until


async def test_events_of_an_earlier_demo_are_waited_for_and_not_counted(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, partitions=1)
    log = open_log(settings)
    await log.start()
    await log.create(topics.all_topics(settings))
    await send(log, 10)
    await log.commit(app_id(settings, "recommend"), {TopicPartition(topics.CLICKS, 0): 7})
    watch = Watch()
    count = await Count.begin(SimpleNamespace(log=log, settings=settings), watch)  # type: ignore[arg-type]
    assert shown(watch, handled=0) == (0, 0, 3)

    async with running(count.run()):
        await send(log, 4)
        await until(lambda: watch.events == 4)

    assert shown(watch, handled=2) == (4, 0, 5)
    assert shown(watch, handled=5) == (4, 2, 2)
    assert shown(watch, handled=7) == (4, 4, 0)
    assert shown(watch, handled=9) == (4, 4, 0)
    await log.stop()


async def send(log: Log, n: int) -> None:
    await log.append_many([NewRecord(topics.CLICKS, b"ann", b"click")] * n)


def shown(watch: Watch, handled: int) -> tuple[int, int, int]:
    """Events, applied and lag, once a worker has handled so many."""
    counters = SimpleNamespace(applied=handled, refused=0, lists=0)
    views = SimpleNamespace(catalogue=(), n_with_vectors=0)
    worker: Any = SimpleNamespace(views=views, processor=SimpleNamespace(counters=counters))
    trainer: Any = SimpleNamespace(status=lambda: SimpleNamespace(version=None))
    figures = _figures("http://x", watch, worker, trainer, SimpleNamespace(shoppers=None))  # type: ignore[arg-type]
    return figures.events, figures.applied, figures.lag
