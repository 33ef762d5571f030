"""A version is chosen by hand, stays until somebody lets it go, and can be taken back."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from recsys.errors import ConfigError
from streams import topics
from streams.log.base import Log, NewRecord
from streams.log.open import open_log
from streams.rankers import let_go, put_in_use, read_rankers
from streams.settings import Settings
from streams.wire.ranker import IN_USE_KEY, encode_ranker, slot_key
from tests.streams.wire.test_ranker import a_ranker


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(broker=f"embedded://{tmp_path}/log", data_dir=tmp_path, partitions=1)


@pytest.fixture
async def log(settings: Settings) -> AsyncIterator[Log]:
    log = open_log(settings)
    await log.start()
    await log.create(topics.all_topics(settings))
    for generation in (1, 2, 3):
        value = encode_ranker(a_ranker(generation))
        await log.append_many([NewRecord(topics.MODELS, key, value, 0) for key in (slot_key(generation), IN_USE_KEY)])
    yield log
    await log.stop()


async def test_what_is_kept_and_what_is_in_use_is_read_back(log: Log, settings: Settings):
    found = await read_rankers(log, settings)

    assert found.kept == [a_ranker(1), a_ranker(2), a_ranker(3)]
    assert found.in_use == a_ranker(3)


async def test_a_version_put_in_use_by_hand_is_pinned_until_it_is_let_go(log: Log, settings: Settings):
    await put_in_use(log, settings, a_ranker(1))
    assert (await read_rankers(log, settings)).in_use == a_ranker(1, is_pinned=True)

    await let_go(log, settings, a_ranker(2))
    assert (await read_rankers(log, settings)).in_use == a_ranker(2)


async def test_a_roll_back_goes_one_version_back_and_ends_at_what_every_shop_starts_with(log: Log, settings: Settings):
    for expected in (a_ranker(2, is_pinned=True), a_ranker(1, is_pinned=True), None):
        await put_in_use(log, settings, (await read_rankers(log, settings)).before)
        assert (await read_rankers(log, settings)).in_use == expected

    with pytest.raises(ConfigError, match="nothing before it"):
        _ = (await read_rankers(log, settings)).before


async def test_an_unknown_version_is_refused_with_those_that_are_kept(log: Log, settings: Settings):
    with pytest.raises(ConfigError, match=a_ranker(2).version):
        (await read_rankers(log, settings)).named("linear-9")
