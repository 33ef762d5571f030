"""A restart goes on from the snapshot; a snapshot that cannot be trusted is left aside for the topic."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from recsys.counts import ItemTrend, encode_trend
from recsys.ranker import VERSION
from recsys.records import (
    SCHEMA,
    CatalogueFields,
    CatalogueVectors,
    encode_record,
    fields_key,
    pack_vector,
    vectors_key,
)
from streams import topics
from streams.log.base import NewRecord, Record
from streams.log.open import open_log
from streams.policy import recommend_policy
from streams.settings import Settings
from streams.shared_views import SharedViews
from streams.until_stopped import running
from streams.wire.ranker import encode_ranker
from tests.builders import a_product
from tests.streams.wire.test_ranker import a_ranker


@pytest.fixture
async def log(tmp_path: Path):
    settings = Settings(data_dir=tmp_path, partitions=2)
    log = open_log(settings)
    await log.start()
    await log.create(topics.all_topics(settings))
    yield log
    await log.stop()


@contextlib.asynccontextmanager
async def views_of(tmp_path: Path, log, **changes) -> AsyncIterator[SharedViews]:
    settings = Settings(data_dir=tmp_path, partitions=2, **changes)
    views = SharedViews(settings, log, recommend_policy(settings))
    async with running(views.run()), asyncio.timeout(20):
        await views.wait_caught_up()
        yield views


async def put(log, item_id: str, offset: int, **changes) -> None:
    fields = CatalogueFields(SCHEMA, a_product(item_id, **changes), offset, b"c")
    await log.append(NewRecord(topics.CATALOG, fields_key(item_id), encode_record(fields), 0))


async def until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def read_by(views: SharedViews, until: int) -> None:
    async with asyncio.timeout(20):
        while views.catalog.offsets[0] < until:
            await asyncio.sleep(0.01)


async def test_a_restart_goes_on_from_the_snapshot(tmp_path: Path, log):
    await put(log, "lamp", 1)
    await put(log, "shoe", 2, available=False, group_id="g")
    async with views_of(tmp_path, log) as views:
        await views.save()
    await put(log, "boot", 3)

    async with views_of(tmp_path, log) as views:
        assert set(views.catalogue) == {"lamp", "shoe", "boot"}
        assert views.items.visible.tolist() == [True, False, True]
        assert views.items.groups.tolist()[1] != 0


async def test_what_stands_in_the_snapshot_is_not_read_again(tmp_path: Path, log):
    await put(log, "lamp", 1)
    async with views_of(tmp_path, log) as views:
        await views.save()
    settings = Settings(data_dir=tmp_path, partitions=2)
    views = SharedViews(settings, log, recommend_policy(settings))
    await views._restore()

    assert views.catalog.offsets == {0: 1, 1: 0}
    assert "lamp" in views.catalogue


async def test_a_damaged_snapshot_is_rebuilt_from_the_topic(tmp_path: Path, log):
    await put(log, "lamp", 1)
    async with views_of(tmp_path, log) as views:
        await views.save()
    for file in (tmp_path / "snapshots").rglob("*.products"):
        file.write_bytes(file.read_bytes()[:-1])

    async with views_of(tmp_path, log) as views:
        assert set(views.catalogue) == {"lamp"}


async def test_a_snapshot_of_a_topic_that_is_no_more_is_left_aside(tmp_path: Path, log):
    await put(log, "lamp", 1)
    async with views_of(tmp_path, log) as views:
        views.catalog.offsets[0] = 1000
        await views.save()

    async with views_of(tmp_path, log) as views:
        assert set(views.catalogue) == {"lamp"}
        assert views.catalog.offsets[0] == 1


async def test_hidden_items_are_reported_once(tmp_path: Path, log):
    await put(log, "lamp", 1)
    async with views_of(tmp_path, log) as views:
        await put(log, "lamp", 2, available=False)
        await read_by(views, 2)

        assert views.take_hidden() == {"lamp"}
        assert views.take_hidden() == set()


async def test_the_views_name_up_to_where_their_topics_were_read(tmp_path: Path, log):
    async with views_of(tmp_path, log) as views:
        before = views.now().named()
        assert (before.als, before.trends, before.catalog) == (None, "0.0", "0.0")

        await put(log, "lamp", 0)
        await read_by(views, 1)
        await log.append(NewRecord(topics.TRENDS, b"lamp", encode_trend(ItemTrend(popularity=1.0)), 1))
        await until(lambda: views.now().named().trends == "0.1")

        after = views.now().named()
        assert after.catalog == "1.0"
        assert after.policy == recommend_policy(Settings()).name


async def test_lists_name_where_popularity_was_sorted_last(tmp_path: Path, log):
    async with views_of(tmp_path, log) as views:
        views._put_trend(Record(topics.TRENDS, 1, 6, 0, b"lamp", encode_trend(ItemTrend(popularity=1.0)), ()))

        assert views.now().named().trends == "0.7/0.0"
        await until(lambda: views.now().named().trends == "0.7")


async def test_a_ranker_in_the_log_is_used_at_once_and_lists_name_it(tmp_path: Path, log):
    async with views_of(tmp_path, log) as views:
        named = views.now().named
        assert named is not None
        assert named().ranker == VERSION
        await log.append(NewRecord(topics.MODELS, b"ranker", encode_ranker(a_ranker(3)), 0))
        await until(lambda: views.now().ranker is not None)

        weights = recommend_policy(Settings(data_dir=tmp_path)).weights(views.now())
        assert weights is not None
        named = views.now().named
        assert named is not None
        assert named().ranker == weights.version == a_ranker(3).version

        await log.append(NewRecord(topics.MODELS, b"ranker", None, 0))
        await until(lambda: views.now().ranker is None)
        named = views.now().named
        assert named is not None
        assert named().ranker == VERSION


async def test_what_a_rule_excludes_is_found_but_in_no_list(tmp_path: Path, log):
    rules = '[{"rule": "exclude", "filter": {"brand": ["Secret"]}}]'
    async with views_of(tmp_path, log, list_rules=rules) as views:
        await put(log, "open", 0, brand="Plain")
        await put(log, "kept", 1, brand="Secret")
        await read_by(views, 2)
        assert views.items.visible[views.items.rows(["open", "kept"])].tolist() == [True, False]
        assert views.catalogue.is_visible("kept")

        await put(log, "open", 2, brand="Secret")
        await read_by(views, 3)
        assert views.take_hidden() == {"open"}


async def test_list_rules_know_what_products_are_like_also_from_a_snapshot(tmp_path: Path, log):
    vector = pack_vector(np.eye(1, 16, dtype=np.float32)[0])
    await put(log, "boot", 0)
    vectors = CatalogueVectors(SCHEMA, b"c", 0, "some", "", vector, b"")
    await log.append(NewRecord(topics.CATALOG, vectors_key("boot"), encode_record(vectors), 0))
    for _ in range(2):
        async with views_of(tmp_path, log, near_duplicates=0.95) as views:
            kinds, _ = views.traits.signatures.of(views.items.rows(["boot"]))
            assert kinds.tolist() == [1]
            await views.save()
    async with views_of(tmp_path, log) as views:
        assert views.traits is None
