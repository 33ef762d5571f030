"""Topics are created when missing and refused when wrong, on either log."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from recsys.errors import ConfigError
from streams.log.base import Log, TopicSpec
from streams.log.open import open_log
from streams.settings import Settings
from streams.topics import all_topics
from streams.topics_check import ensure_topics


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
async def log_and_settings(
    request: pytest.FixtureRequest, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[tuple[Log, Settings]]:
    broker = "embedded:" if request.param == "embedded" else f"kafka://{request.getfixturevalue('kafka')}"
    settings = Settings(broker=broker, data_dir=tmp_path, topic_prefix=topic_prefix, partitions=2)
    log = open_log(settings)
    await log.start()
    yield log, settings
    await log.stop()


async def test_all_topics_are_made_once(log_and_settings: tuple[Log, Settings]) -> None:
    log, settings = log_and_settings
    first = await ensure_topics(log, settings)
    again = await ensure_topics(log, settings)

    names = tuple(sorted(spec.name for spec in all_topics(settings)))
    assert (first.present, first.created) == ((), names)
    assert (again.present, again.created) == (names, ())


async def test_a_wrong_number_of_partitions_is_named_and_nothing_is_made(
    log_and_settings: tuple[Log, Settings],
) -> None:
    log, settings = log_and_settings
    clicks, feed = (f"{settings.topic_prefix}{name}" for name in ("clicks", "feed"))
    await log.create([TopicSpec(clicks, 3, "delete", 365 * 86_400_000)])

    with pytest.raises(ConfigError, match=f"{clicks} has 3 partitions, expected 2: set FRESHET_PARTITIONS"):
        await ensure_topics(log, settings)
    assert await log.describe([feed]) == {}


async def test_a_wrong_cleanup_is_named(log_and_settings: tuple[Log, Settings]) -> None:
    log, settings = log_and_settings
    catalog = f"{settings.topic_prefix}catalog"
    await log.create([TopicSpec(catalog, 2, "delete", 1000)])

    with pytest.raises(ConfigError, match=f"{catalog} has cleanup.policy delete, expected compact"):
        await ensure_topics(log, settings)


async def test_another_retention_is_the_operators_choice(log_and_settings: tuple[Log, Settings]) -> None:
    log, settings = log_and_settings
    await log.create([TopicSpec(f"{settings.topic_prefix}feed", 2, "delete", 3_600_000)])

    report = await ensure_topics(log, settings)
    assert report.present == (f"{settings.topic_prefix}feed",)
