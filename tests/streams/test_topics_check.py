"""Topics are created when missing and refused when wrong, on either log."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

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


async def test_many_wrong_topics_are_one_sentence_that_lists_them(log_and_settings: tuple[Log, Settings]) -> None:
    log, settings = log_and_settings
    await ensure_topics(log, settings)

    with pytest.raises(ConfigError) as refused:
        await ensure_topics(log, settings.model_copy(update={"partitions": 3}))
    sentence = str(refused.value)
    several = [f"{settings.topic_prefix}{name}" for name in ("products", "clicks", "catalog", "user-state")]
    assert not [name for name in several if sentence.count(f"{name}") != 1]
    assert sentence.count("have 2 partitions, expected 3") == 1
    assert sentence.count("FRESHET_PARTITIONS") == 1


async def test_topics_that_were_given_more_partitions_than_their_state_is_refused(
    log_and_settings: tuple[Log, Settings],
) -> None:
    log, settings = log_and_settings
    await ensure_topics(log, settings)
    more = GivenMorePartitions(log, 2)

    with pytest.raises(ConfigError, match="have 4 partitions, and what was kept was begun with 2"):
        await ensure_topics(more, settings.model_copy(update={"partitions": 4}))


class GivenMorePartitions:
    """A log whose operator has raised the partitions of all topics."""

    def __init__(self, log: Log, times: int) -> None:
        self._log, self._times = log, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def describe(self, names: Iterable[str]) -> dict[str, TopicSpec]:
        found = await self._log.describe(names)
        return {
            name: replace(spec, partitions=spec.partitions * (self._times if spec.partitions > 1 else 1))
            for name, spec in found.items()
        }


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
