"""Clicks through the processor on a real log and a real Redis: lists, changelog, dead letters, crashes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from recsys.candidates import Views
from recsys.events import Action
from recsys.history import decode_state
from recsys.item_table import ItemTable
from recsys.trends import Trends
from streams import topics
from streams.agents import recommend
from streams.agents.partition import COUNTED_TO_KEY, read_to_end
from streams.agents.publish import Publisher
from streams.agents.recommend import ClickProcessor
from streams.agents.relist import relist
from streams.log.base import NewRecord, Record
from streams.log.open import open_log
from streams.policy import recommend_policy
from streams.settings import Settings
from streams.stores.embedded import open_redis
from streams.wire.click import REPLAYED, encode_click
from streams.wire.cloud_events import read_headers
from tests.builders import NOON_MS, a_click


class Bench:
    """A log, a Redis and as many processors as a test wants: each is a process that has just started."""

    def __init__(self, settings, log, store):
        self.settings, self.log, self.store = settings, log, store
        self.policy = recommend_policy(settings)
        self.items = ItemTable(["lamp", "chair", "shoe", "boot"])
        self.read = dict.fromkeys(range(settings.partitions), 0)

        self.now_ms = NOON_MS

    def processor(self) -> ClickProcessor:
        views = Views(self.items, Trends(self.items, self.policy.trends))
        return ClickProcessor(self.settings, self.log, self.store, lambda: views, self.policy, lambda: self.now_ms)

    async def replay(self, *clicks) -> list[Record]:
        """What `produce` gives, as a replay brings it."""
        return [record._replace(headers=(REPLAYED,)) for record in await self.produce(*clicks)]

    async def produce(self, *clicks) -> list[Record]:
        """Append clicks (or raw bytes) and return their records, as an agent would get them."""
        records = []
        for click in clicks:
            value = click if isinstance(click, bytes) else encode_click(click)
            key = b"ann" if isinstance(click, bytes) else click.user_id.encode()
            position = await self.log.append(NewRecord(topics.CLICKS, key, value))
            records.append(Record(position.topic, position.partition, position.offset, NOON_MS + 10**6, key, value, ()))
        return records

    async def topic(self, name: str) -> list[Record]:
        return [record for p in range(self.settings.partitions) for record in await read_to_end(self.log, name, p)]

    async def newest(self, name: str) -> dict[bytes, bytes]:
        return {record.key: record.value for record in await self.topic(name)}

    async def list_of(self, user_id: str) -> dict:
        found = await self.store.get_list(user_id)
        return json.loads(found) if found else {}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    settings = Settings(data_dir=tmp_path, partitions=2)
    log = open_log(settings)
    await log.start()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(log.stop)
        await log.create(topics.all_topics(settings))
        store = await stack.enter_async_context(open_redis(settings))
        yield Bench(settings, log, store)


async def test_a_click_makes_a_list_in_redis_and_on_the_topic(bench: Bench):
    click = a_click(item_id="lamp")
    [record] = batch = await bench.produce(click)

    assert await bench.processor().process(batch)

    made = await bench.list_of("ann")
    assert next(iter(made)) == "version"
    assert made["trigger"] == {"event_id": click.event_id, "offset": record.offset, "partition": record.partition}
    assert {item["item_id"] for item in made["items"]} == {"lamp", "chair", "shoe", "boot"}
    assert json.loads((await bench.newest(topics.RECOMMENDATIONS))[b"ann"]) == made


async def test_a_list_on_the_topic_is_a_cloud_event(bench: Bench):
    await bench.processor().process(await bench.produce(a_click(item_id="lamp")))

    [record] = await bench.topic(topics.RECOMMENDATIONS)
    attributes = read_headers(record.headers)
    assert attributes["id"] == json.loads(record.value)["rec_id"]
    assert (attributes["type"], attributes["subject"]) == ("freshet.recommendations.v1", "ann")


async def test_gateways_get_the_state_that_the_changelog_holds(bench: Bench):
    await bench.processor().process(await bench.produce(a_click(item_id="lamp"), a_click(item_id="shoe")))

    version, packed = await bench.store.get_user("ann")
    assert packed == (await bench.newest(topics.USER_STATE))[b"ann"]
    assert [deed.item_id for deed in decode_state(packed).history] == ["lamp", "shoe"]
    assert version == (await bench.list_of("ann"))["version"]


async def test_a_user_is_written_once_a_batch(bench: Bench):
    await bench.processor().process(await bench.produce(*(a_click() for _ in range(20))))

    assert len(await bench.topic(topics.USER_STATE)) == 1
    assert len(await bench.topic(topics.RECOMMENDATIONS)) == 1


async def test_an_impression_updates_the_state_and_makes_no_list(bench: Bench):
    await bench.processor().process(await bench.produce(a_click(type=Action.IMPRESSION, items=("lamp",))))

    assert await bench.list_of("ann") == {}
    assert len(await bench.topic(topics.USER_STATE)) == 1


async def test_bad_input_becomes_a_dead_letter_and_the_next_click_is_taken(bench: Bench):
    processor = bench.processor()
    await processor.process(await bench.produce(b"{", b"\xff", b"[]", a_click(item_id="lamp")))

    letters = [json.loads(record.value) for record in await bench.topic(topics.DEAD_LETTERS)]
    assert len(letters) == 3
    assert all(letter["topic"] == topics.CLICKS and letter["reason"] for letter in letters)
    assert (processor.counters.applied, processor.counters.refused) == (1, 3)
    assert (await bench.list_of("ann"))["items"]


async def test_a_restart_goes_on_where_the_changelog_ends(bench: Bench):
    await bench.processor().process(await bench.produce(a_click(item_id="lamp")))
    await bench.processor().process(await bench.produce(a_click(item_id="shoe")))

    _, packed = await bench.store.get_user("ann")
    assert [deed.item_id for deed in decode_state(packed).history] == ["lamp", "shoe"]


async def test_a_redelivery_changes_no_state_and_repeats_the_list(bench: Bench):
    batch = await bench.produce(a_click(item_id="lamp"))
    await bench.processor().process(batch)
    before = await bench.newest(topics.USER_STATE)
    await bench.store.forget_user("ann")

    await bench.processor().process(batch)

    assert await bench.newest(topics.USER_STATE) == before
    assert len(await bench.topic(topics.USER_STATE)) == 1
    assert (await bench.list_of("ann"))["items"], "the list may be what the crash lost"


async def test_an_event_that_made_no_list_makes_none_when_it_comes_again(bench: Bench):
    batch = await bench.produce(*[a_click(item_id="lamp", event_id="the same")] * 2)
    await bench.processor().process(batch)
    await bench.processor().process(batch[1:])

    lists = [record for record in await bench.topic(topics.RECOMMENDATIONS) if record.key == b"ann"]
    assert len(lists) == 1


@pytest.mark.parametrize("publish_after", [0, 1, 2, 3])
@pytest.mark.parametrize("a_second", [recommend.TRENDS_A_SECOND, 2])
async def test_counts_after_a_crash_equal_those_of_a_clean_run(
    bench: Bench, publish_after: int, a_second: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recommend, "TRENDS_A_SECOND", a_second)
    monkeypatch.setattr(recommend, "TRENDS_AT_ONCE", 2)
    clicks = [a_click(user, item) for user in ("ann", "bob") for item in ("lamp", "chair", "shoe", "lamp")]
    records = await bench.produce(*clicks)
    batches = [records[i : i + 2] for i in range(0, len(records), 2)]
    clean = bench.processor()
    for batch in batches:
        await clean.process(batch)
    expected = {p: owned.trends.items for p, owned in clean.partitions.items()}

    crashed = bench.processor()
    for owned in clean.partitions.values():
        owned.trends.changed.clear()
    for i, batch in enumerate(batches):
        if i == publish_after:
            await crashed.publish_trends()
            crashed = bench.processor()
        await crashed.process(batch)

    assert {p: owned.trends.items for p, owned in crashed.partitions.items()} == expected


async def test_all_workers_together_publish_so_many_counts_a_second(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recommend, "TRENDS_A_SECOND", 4)  # two for each of the two partitions
    processor = bench.processor()
    await processor.process(await bench.produce(*(a_click(item_id=item) for item in ("lamp", "shoe", "boot"))))

    await processor.publish_trends()
    assert set(await bench.newest(topics.TRENDS)) == {b"lamp", b"shoe", COUNTED_TO_KEY}
    await processor.publish_trends()
    assert set(await bench.newest(topics.TRENDS)) == {b"lamp", b"shoe", b"boot", COUNTED_TO_KEY}


async def test_published_counts_say_up_to_which_offset_they_are_complete(bench: Bench):
    processor = bench.processor()
    await processor.process(await bench.produce(a_click(item_id="lamp"), a_click(item_id="shoe")))
    await processor.publish_trends()

    published = await bench.newest(topics.TRENDS)
    assert set(published) == {b"lamp", b"shoe", COUNTED_TO_KEY}
    assert published[COUNTED_TO_KEY] == b"1"
    await processor.publish_trends()
    assert len(await bench.topic(topics.TRENDS)) == 3, "nothing changed, nothing is published"


async def test_partitions_taken_away_during_a_recovery_are_not_written_nor_acknowledged(bench: Bench):
    batch = await bench.produce(a_click())
    bench.log = log = RevokesWhileRead(bench.log)
    log.processor = processor = bench.processor()

    assert not await processor.process(batch)
    assert await bench.topic(topics.USER_STATE) == []


async def test_a_topic_created_anew_starts_a_new_epoch(bench: Bench, tmp_path: Path):
    await bench.processor().process(await bench.produce(a_click(), a_click(), a_click(item_id="shoe")))
    old = (await bench.list_of("ann"))["version"]
    first = Record(topics.CLICKS, bench.log.partition_for(b"ann", 2), 0, NOON_MS + 10**6, b"ann", b"", ())
    bench.log = EmptyClicks(bench.log)

    await bench.processor().process([first._replace(value=encode_click(a_click(item_id="boot")))])

    made = await bench.list_of("ann")
    assert made["version"] > old
    assert made["version"].startswith("0002-")


async def test_a_batch_is_folded_while_the_one_before_is_written_and_written_after_it(bench: Bench):
    batches = [await bench.produce(a_click(item_id=item)) for item in ("lamp", "shoe")]
    bench.log = log = HeldUp(bench.log)
    processor = bench.processor()
    first = await processor.take(batches[0])
    writing = asyncio.create_task(processor.publish(first))
    await log.is_asked.wait()
    second = await processor.take(batches[1])
    waiting = asyncio.create_task(processor.publish(second))
    await asyncio.sleep(0)
    assert log.n_asked == 1
    log.may_go_on.set()

    assert await writing
    assert await waiting
    states = [decode_state(record.value) for record in await bench.topic(topics.USER_STATE)]
    assert [len(state.history) for state in states] == [1, 2]


async def test_a_list_made_anew_waits_for_the_batches_that_have_its_user(bench: Bench):
    """Its revision counts from the newest event, so it would overtake the list of that event."""
    batches = [await bench.produce(a_click(item_id=item)) for item in ("lamp", "shoe")]
    bench.log = log = HeldUp(bench.log)
    processor = bench.processor()
    first = await processor.take(batches[0])
    writing = asyncio.create_task(processor.publish(first))
    await log.is_asked.wait()
    anew = asyncio.create_task(processor.publish_anew(["ann"], partial(made_anew, bench, processor)))
    await asyncio.sleep(0)
    second = await processor.take(batches[1])
    waiting = asyncio.create_task(processor.publish(second))
    log.may_go_on.set()
    await asyncio.gather(writing, waiting, anew)

    versions = [json.loads(record.value)["version"] for record in await bench.topic(topics.RECOMMENDATIONS)]
    assert len(versions) == 3
    assert versions == sorted(versions)


async def test_a_list_made_anew_waits_for_a_batch_whose_turn_to_be_written_has_not_come(bench: Bench):
    """It must wait in a way that lets others go on, or the batch is never written."""
    processor = bench.processor()
    folded = await processor.take(await bench.produce(a_click()))
    anew = asyncio.create_task(processor.publish_anew(["ann"], partial(made_anew, bench, processor)))
    await asyncio.sleep(0)

    assert await processor.publish(folded)
    await asyncio.wait_for(anew, 10)
    assert len(await bench.topic(topics.RECOMMENDATIONS)) == 2


async def test_what_was_folded_before_the_partitions_were_taken_away_is_not_written(bench: Bench):
    processor = bench.processor()
    folded = await processor.take(await bench.produce(a_click()))
    processor.forget()

    assert not await processor.publish(folded)
    assert await bench.topic(topics.USER_STATE) == []


async def test_a_replay_makes_one_list_of_a_user_and_second_and_the_last_one_always(bench: Bench):
    processor = bench.processor()
    assert await processor.process(await bench.replay(a_click(item_id="lamp")))
    waiting = []
    for item in ("shoe", "boot"):
        refreshes = await processor.take(await bench.replay(a_click(item_id=item)))
        assert await processor.publish(refreshes)
        waiting.append(asyncio.create_task(processor.settle(refreshes)))
    bench.now_ms += 999
    await processor.publish_owed()
    assert len(await bench.topic(topics.RECOMMENDATIONS)) == 1
    assert not any(task.done() for task in waiting), "nothing may be acknowledged before its list is written"

    bench.now_ms += 1
    await processor.publish_owed()

    assert await asyncio.gather(*waiting) == [True, True]
    lists = [json.loads(record.value) for record in await bench.topic(topics.RECOMMENDATIONS)]
    assert len(lists) == 2
    assert lists[-1] == await bench.list_of("ann")
    assert lists[-1]["trigger"]["offset"] == 2
    assert len(await bench.topic(topics.USER_STATE)) == 3, "states are written with each batch"


async def test_a_user_who_clicks_during_a_replay_waits_for_nothing(bench: Bench):
    processor = bench.processor()
    await processor.process(await bench.replay(a_click(item_id="lamp")))
    owing = await processor.take(await bench.replay(a_click(item_id="shoe")))
    await processor.publish(owing)

    assert await processor.process(await bench.produce(a_click(item_id="boot")))

    assert await processor.settle(owing), "the newer list is what was owed"
    assert (await bench.list_of("ann"))["trigger"]["offset"] == 2


async def test_what_is_owed_when_partitions_are_taken_away_is_not_acknowledged(bench: Bench):
    processor = bench.processor()
    await processor.process(await bench.replay(a_click(item_id="lamp")))
    owing = await processor.take(await bench.replay(a_click(item_id="shoe")))
    await processor.publish(owing)
    processor.forget()

    assert not await processor.settle(owing)


def made_anew(bench: Bench, processor: ClickProcessor, user_ids: list[str]) -> recommend.Refreshes:
    [owned] = processor.partitions.values()
    return relist(user_ids, owned, processor._views(), bench.policy, bench.settings, lambda: NOON_MS)


class Wrapped:
    """A log that does one thing otherwise."""

    def __init__(self, log):
        self._log = log

    def __getattr__(self, name):
        return getattr(self._log, name)


class HeldUp(Wrapped):
    """A log that takes nothing until it is told to."""

    def __init__(self, log):
        super().__init__(log)
        self.n_asked = 0
        self.is_asked, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def append_many(self, records):
        self.n_asked += 1
        self.is_asked.set()
        await self.may_go_on.wait()
        return await self._log.append_many(records)


class RevokesWhileRead(Wrapped):
    """A log during whose reading the partitions go to somebody else."""

    async def end_offsets(self, topic):
        self.processor.forget()
        return await self._log.end_offsets(topic)


class EmptyClicks(Wrapped):
    """A log whose `clicks` were deleted and created anew."""

    async def end_offsets(self, topic):
        ends = await self._log.end_offsets(topic)
        return dict.fromkeys(ends, 1) if topic == topics.CLICKS else ends


async def test_a_list_that_was_not_full_is_made_anew_when_there_are_more_products(bench: Bench):
    processor = bench.processor()
    views = SimpleNamespace(items=bench.items, now=processor._views)
    publisher = Publisher(bench.settings, bench.store, views, processor, lambda: NOON_MS)
    await publisher.relist_short()
    await processor.process(await bench.produce(a_click(item_id="lamp")))
    first = await bench.list_of("ann")

    await publisher.relist_short()
    assert await bench.list_of("ann") == first, "there are no more products than before"
    bench.items.show("vase")
    await publisher.relist_short()

    made = await bench.list_of("ann")
    assert "vase" in {item["item_id"] for item in made["items"]}
    assert made["version"] > first["version"]
    assert len(await bench.topic(topics.RECOMMENDATIONS)) == 2


async def test_what_is_hidden_leaves_the_similar_items_in_redis(bench: Bench):
    processor = bench.processor()
    await processor.process(await bench.produce(*(a_click(f"u-{n}", "lamp") for n in range(8))))  # owns partition 0
    views = SimpleNamespace(
        items=bench.items, now=processor._views, take_hidden=lambda: {"boot"}, catalogue=bench.items.ids
    )
    hits = [{"item_id": "boot", "score": 0.5}, {"item_id": "chair", "score": 0.25}]
    await bench.store.put_similar({"shoe": json.dumps(hits).encode(), "lamp": json.dumps(hits[1:]).encode()})
    publisher = Publisher(bench.settings, bench.store, views, processor, lambda: NOON_MS)

    await publisher.relist_hidden()
    await publisher.drop_hidden_similar()

    similar = [json.loads(await bench.store.get_similar(item_id)) for item_id in ("shoe", "lamp")]
    assert similar == [hits[1:], hits[1:]]
