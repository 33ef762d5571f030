"""Products through the embed agent's processor, on a real log and a real Redis: fields, vectors, crashes."""

import asyncio
import base64
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web

from recsys.errors import ConfigError, UnavailableError
from recsys.events import Price, Product
from recsys.records import (
    CatalogueFields,
    CatalogueVectors,
    decode_fields,
    decode_vectors,
    fields_key,
    unpack_vector,
    vectors_key,
)
from streams import topics
from streams.agents.embed import EmbedLimits, EmbedProcessor
from streams.agents.intake import Arrival
from streams.agents.partition import read_to_end
from streams.agents.vectors import Vectorizer
from streams.dead_letters import RESENT_HEADER
from streams.log.base import NewRecord, Record
from streams.log.open import open_log
from streams.pictures import FetchLimits, PictureFetcher
from streams.settings import Settings
from streams.stores.embedded import open_redis
from streams.wire.product import encode_product
from tests.builders import NOON_MS, a_product
from tests.encoders.drawings import a_shape, saved

DEADLINE_S = 10.0
RED = "data:image/png;base64," + base64.b64encode(saved(a_shape("ellipse", "red", 16))).decode()
BLUE = "data:image/png;base64," + base64.b64encode(saved(a_shape("ellipse", "blue", 16))).decode()
BAD = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n no more").decode()


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.002)


class Letters:
    """A text encoder that counts letters, and what it was asked."""

    name, dim = "letters-1", 8

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, batch):
        if any("poison" in text for text in batch):
            raise RuntimeError("out of memory")
        self.seen += batch
        counts = np.array([[1 + text.count(c) for c in "aeilnrst"] for text in batch], np.float32).reshape(-1, 8)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


class Colour:
    """A picture encoder that takes the mean colour."""

    name, dim = "colour-1", 3

    def __init__(self) -> None:
        self.n_seen = 0

    def encode(self, batch):
        self.n_seen += len(batch)
        colours = np.array([np.asarray(p, np.float32).mean((0, 1)) for p in batch], np.float32).reshape(-1, 3)
        return colours / np.linalg.norm(colours, axis=1, keepdims=True)


class Worker:
    """A process that has just started: its processor, its encoders, and which messages it has acknowledged."""

    def __init__(self, bench: "Bench", limits: EmbedLimits) -> None:
        self.text, self.image = Letters(), Colour()
        fetcher = PictureFetcher(allowed=["127.0.0.1"], limits=FetchLimits(total_s=5.0))
        vectorizer = Vectorizer(self.text, self.image)
        self.processor = EmbedProcessor(bench.settings, bench.log, bench.store, fetcher, vectorizer, limits)
        self.acked: list[tuple[int, int]] = []
        self.running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.running = asyncio.create_task(self.processor.run())

    async def stop(self) -> None:
        if self.running is not None:
            self.running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.running

    async def take_in(self, records: list[Record]) -> None:
        await self.processor.process(
            [Arrival(r, lambda r=r: self.acked.append((r.partition, r.offset))) for r in records]
        )

    async def finish(self, records: list[Record]) -> None:
        """Take records in and wait until each is acknowledged."""
        await self.take_in(records)
        wanted = {(record.partition, record.offset) for record in records}
        await until(lambda: wanted <= set(self.acked) or (self.running is not None and self.running.done()))


class Bench:
    """A log, a Redis, and as many workers as a test wants."""

    def __init__(self, settings, log, store, stack):
        self.settings, self.log, self.store, self._stack = settings, log, store, stack

    def worker(self, *, starts: bool = True, **limits: int) -> Worker:
        worker = Worker(self, EmbedLimits(**limits))
        self._stack.push_async_callback(worker.stop)
        if starts:
            worker.start()
        return worker

    async def produce(self, *messages: Product | bytes | str, headers=()) -> list[Record]:
        """Append products, raw bytes, or the deletion of an id; return the records as an agent would get them."""
        records = []
        for message in messages:
            key, value = b"lamp", message
            if isinstance(message, Product):
                key, value = message.item_id.encode(), encode_product(message)
            elif isinstance(message, str):
                key, value = message.encode(), None
            at = await self.log.append(NewRecord(topics.PRODUCTS, key, value, headers=headers))
            records.append(Record(at.topic, at.partition, at.offset, NOON_MS, key, value, headers))
        return records

    async def topic(self, name: str) -> list[Record]:
        return [r for p in range(self.settings.partitions) for r in await read_to_end(self.log, name, p)]

    async def catalog(self) -> dict[bytes, bytes | None]:
        return {record.key: record.value for record in await self.topic(topics.CATALOG)}

    async def fields(self, item_id: str = "lamp") -> CatalogueFields:
        return decode_fields((await self.catalog())[fields_key(item_id)])

    async def vectors(self, item_id: str = "lamp") -> CatalogueVectors:
        return decode_vectors((await self.catalog())[vectors_key(item_id)])

    async def letters(self) -> list[dict]:
        return [json.loads(record.value) for record in await self.topic(topics.DEAD_LETTERS)]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    settings = Settings(data_dir=tmp_path, partitions=2)
    log = open_log(settings)
    await log.start()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(log.stop)
        await log.create(topics.all_topics(settings))
        store = await stack.enter_async_context(open_redis(settings))
        workers = await stack.enter_async_context(contextlib.AsyncExitStack())
        yield Bench(settings, log, store, workers)


@pytest.fixture
async def gate() -> AsyncIterator["Gate"]:
    server = Gate()
    app = web.Application()
    app.router.add_get("/a.png", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/a.png"
    yield server
    server.opened.set()
    await runner.cleanup()


class Gate:
    """A shop's picture that does not come before the gate is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.n_asked = 0
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.n_asked += 1
        await self.opened.wait()
        return web.Response(body=saved(a_shape("rectangle", "blue", 16)))


async def test_a_product_has_fields_vectors_and_a_card(bench: Bench):
    product = a_product(images=(RED,), category=("Home", "Light"), price=Price(9.5, "EUR"), url="https://shop/lamp")
    worker = bench.worker()
    [record] = batch = await bench.produce(product)

    await worker.finish(batch)

    fields, vectors = await bench.fields(), await bench.vectors()
    assert fields.product == product
    assert fields.content == vectors.content
    assert fields.source_offset == vectors.source_offset == record.offset
    assert (vectors.text_encoder, vectors.image_encoder, vectors.dropped) == ("letters-1", "colour-1", ())
    expected = Letters().encode(["A fine lamp. Home > Light"])[0]
    assert np.allclose(unpack_vector(vectors.text), expected, atol=1e-3)
    assert np.argmax(unpack_vector(vectors.image)) == 0
    assert await bench.store.get_card("lamp") == {
        "item_id": "lamp",
        "title": "A fine lamp",
        "category": "Home > Light",
        "price": "9.5",
        "currency": "EUR",
        "url": "https://shop/lamp",
        "available": "1",
    }


async def test_several_pictures_make_one_vector_and_are_kept_each(bench: Bench):
    worker = bench.worker()
    await worker.finish(await bench.produce(a_product(images=(RED, BLUE))))

    vectors = await bench.vectors()
    red, blue = map(unpack_vector, vectors.pictures)
    mean = unpack_vector(vectors.image)
    assert (np.argmax(red), np.argmax(blue)) == (0, 2)
    assert np.allclose(mean, (red + blue) / np.linalg.norm(red + blue), atol=1e-3)


async def test_a_bad_picture_among_several_costs_the_others_nothing(bench: Bench):
    worker = bench.worker()
    await worker.finish(await bench.produce(a_product(images=(BAD, RED))))

    vectors = await bench.vectors()
    assert np.argmax(unpack_vector(vectors.image)) == 0
    assert vectors.dropped == ("image:malformed",)
    assert [letter["reason"] for letter in await bench.letters()] == ["picture-malformed"]


async def test_records_of_a_product_stand_in_the_partition_of_its_message(bench: Bench):
    worker = bench.worker()
    records = await bench.produce(*(a_product(f"item-{n}") for n in range(10)))
    await worker.finish(records)

    place = {record.key: record.partition for record in records}
    found = await bench.topic(topics.CATALOG)
    assert len(found) == 20
    assert all(record.partition == place[record.key[2:]] for record in found)


async def test_fields_stand_before_any_network_is_loaded(bench: Bench):
    worker = bench.worker(starts=False)
    await worker.take_in(await bench.produce(a_product(), a_product("boot", available=False)))

    assert (await bench.fields()).product.title == "A fine lamp"
    assert vectors_key("lamp") not in await bench.catalog()
    assert await bench.store.get_hidden() == {"boot"}
    assert worker.acked == []


async def test_fields_of_later_products_and_their_vectors_do_not_wait_for_a_slow_picture(bench: Bench, gate: Gate):
    worker = bench.worker()
    slow = await bench.produce(a_product(images=(gate.url,)))
    await worker.take_in(slow)
    await until(lambda: gate.n_asked)

    await worker.finish(await bench.produce(a_product("boot")))

    assert vectors_key("boot") in await bench.catalog()
    assert vectors_key("lamp") not in await bench.catalog()
    assert len(worker.acked) == 1
    gate.opened.set()
    await until(lambda: len(worker.acked) == 2)
    assert np.argmax(unpack_vector((await bench.vectors()).image)) == 2


async def test_a_price_or_flag_touches_neither_network_nor_fetch(bench: Bench, gate: Gate):
    gate.opened.set()
    worker = bench.worker()
    await worker.finish(await bench.produce(a_product(images=(gate.url,))))
    before = await bench.catalog()

    await worker.finish(
        await bench.produce(
            a_product(images=(gate.url,), price=Price(1.0, "EUR")), a_product(images=(gate.url,), available=False)
        )
    )

    assert (len(worker.text.seen), worker.image.n_seen, gate.n_asked) == (1, 1, 1)
    assert (await bench.catalog())[vectors_key("lamp")] == before[vectors_key("lamp")]
    assert not (await bench.fields()).product.available
    assert await bench.store.get_hidden() == {"lamp"}
    assert worker.processor.counters.unchanged == 2


async def test_shown_again_is_hidden_no_more(bench: Bench):
    worker = bench.worker()
    await worker.finish(await bench.produce(a_product(available=False)))
    await worker.finish(await bench.produce(a_product()))

    assert await bench.store.get_hidden() == set()


async def test_equal_content_is_not_embedded_again_after_a_restart(bench: Bench):
    records = await bench.produce(a_product(images=(RED,)), a_product("boot"))
    await bench.worker().finish(records)
    before = await bench.topic(topics.CATALOG)

    again = bench.worker()
    await again.finish(records)
    await again.finish(await bench.produce(a_product(images=(RED,))))

    assert again.text.seen == []
    assert again.image.n_seen == 0
    assert len(await bench.topic(topics.CATALOG)) == len(before) + 1, "the new message's fields alone"


async def test_changed_words_are_embedded_anew(bench: Bench):
    worker = bench.worker()
    await worker.finish(await bench.produce(a_product()))
    await worker.finish(await bench.produce(a_product(title="Another")))

    assert worker.text.seen == ["A fine lamp", "Another"]
    assert (await bench.vectors()).content == (await bench.fields()).content


async def test_a_crash_before_the_vectors_loses_none(bench: Bench):
    records = await bench.produce(a_product(), a_product("boot"))
    crashed = bench.worker(starts=False)
    await crashed.take_in(records)
    assert crashed.acked == []

    await bench.worker().finish(records)

    assert {vectors_key("lamp"), vectors_key("boot")} <= (await bench.catalog()).keys()
    assert len(await bench.topic(topics.CATALOG)) == 4, "fields that stand are not written again"


async def test_a_deleted_product_leaves_tombstones_and_no_card(bench: Bench):
    worker = bench.worker()
    await worker.finish(await bench.produce(a_product()))
    await worker.finish(await bench.produce("lamp"))

    assert await bench.catalog() == {fields_key("lamp"): None, vectors_key("lamp"): None}
    assert await bench.store.get_card("lamp") == {}
    assert await bench.store.get_hidden() == {"lamp"}


async def test_a_product_deleted_while_its_picture_is_fetched_stays_deleted(bench: Bench, gate: Gate):
    worker = bench.worker()
    added = await bench.produce(a_product(images=(gate.url,)))
    await worker.take_in(added)
    await until(lambda: gate.n_asked)

    await worker.take_in(await bench.produce("lamp"))
    gate.opened.set()
    await until(lambda: worker.processor.n_waiting == 0)

    assert len(worker.acked) == 2
    assert await bench.catalog() == {fields_key("lamp"): None, vectors_key("lamp"): None}


async def test_a_product_deleted_and_added_in_one_batch_is_there(bench: Bench):
    worker = bench.worker()
    await worker.finish(await bench.produce(a_product()))
    await worker.finish(await bench.produce("lamp", a_product(title="New")))

    assert (await bench.fields()).product.title == "New"
    assert (await bench.vectors()).content == (await bench.fields()).content
    assert (await bench.store.get_card("lamp"))["title"] == "New"
    assert await bench.store.get_hidden() == set()


async def test_a_newer_message_overtakes_an_older_ones_picture(bench: Bench, gate: Gate):
    worker = bench.worker()
    older = await bench.produce(a_product(images=(gate.url,)))
    await worker.take_in(older)
    await until(lambda: gate.n_asked)

    [newer] = await bench.produce(a_product(images=(RED,)))
    await worker.take_in([newer])
    await until(lambda: len(worker.acked) == 2)
    gate.opened.set()
    await until(lambda: worker.processor.n_waiting == 0)

    vectors = await bench.vectors()
    assert vectors.source_offset == newer.offset
    assert np.argmax(unpack_vector(vectors.image)) == 0
    assert len([r for r in await bench.topic(topics.CATALOG) if r.key == vectors_key("lamp")]) == 1
    assert worker.processor.counters.overtaken == 1


async def test_a_newer_message_overtakes_vectors_that_are_being_made(bench: Bench):
    started, may_end = threading.Event(), threading.Event()

    class Slow(Letters):
        def encode(self, batch):
            if "A fine lamp" in batch:
                started.set()
                may_end.wait(DEADLINE_S)
            return super().encode(batch)

    worker = bench.worker(starts=False)
    worker.processor._vectorizer.text = Slow()
    worker.start()
    await worker.take_in(await bench.produce(a_product()))
    await until(started.is_set)
    await worker.take_in(await bench.produce(a_product(title="New")))
    may_end.set()
    await until(lambda: len(worker.acked) == 2)

    assert len([r for r in await bench.topic(topics.CATALOG) if r.key == vectors_key("lamp")]) == 1
    assert (await bench.vectors()).content == (await bench.fields()).content


async def test_a_newer_message_while_vectors_are_written_is_acknowledged_once_and_wins(bench: Bench, monkeypatch):
    worker = bench.worker()
    append, is_writing, may_end = bench.log.append_many, asyncio.Event(), asyncio.Event()

    async def slow(records):
        if any(record.key == vectors_key("lamp") for record in records):
            is_writing.set()
            await may_end.wait()
        return await append(records)

    monkeypatch.setattr(bench.log, "append_many", slow)
    await worker.take_in(await bench.produce(a_product()))
    await is_writing.wait()
    newer = asyncio.create_task(worker.take_in(await bench.produce(a_product(title="New"))))
    await until(lambda: worker.processor.counters.overtaken)
    may_end.set()
    await newer
    await until(lambda: len(worker.acked) == 2)

    assert len(set(worker.acked)) == 2
    assert (await bench.vectors()).content == (await bench.fields()).content


async def test_a_price_that_comes_while_vectors_are_made_waits_for_them_too(bench: Bench, gate: Gate):
    worker = bench.worker()
    await worker.take_in(await bench.produce(a_product(images=(gate.url,))))
    await until(lambda: gate.n_asked)
    await worker.take_in(await bench.produce(a_product(images=(gate.url,), price=Price(2.0, "EUR"))))

    assert (await bench.fields()).product.price == Price(2.0, "EUR")
    assert worker.acked == [], "a crash now must bring it again: its vectors are not out"
    gate.opened.set()
    await until(lambda: len(worker.acked) == 2)
    assert gate.n_asked == 1


@pytest.mark.parametrize(
    ("image", "reason"),
    [(BAD, "picture-malformed"), ("missing.png", "picture-not-found"), ("ftp://x/y", "picture-address")],
)
async def test_a_bad_picture_leaves_a_text_only_product_and_a_dead_letter(bench: Bench, image: str, reason: str):
    worker = bench.worker()
    [record] = batch = await bench.produce(a_product(images=(image,)))
    await worker.finish(batch)

    vectors = await bench.vectors()
    assert vectors.dropped == (f"image:{reason.removeprefix('picture-')}",)
    assert vectors.text
    assert not vectors.image
    [letter] = await bench.letters()
    assert (letter["topic"], letter["partition"], letter["offset"]) == record[:3]
    assert letter["reason"] == reason
    assert base64.b64decode(letter["value"]) == record.value


async def test_a_bad_picture_is_tried_again_only_when_its_dead_letter_is_re_sent(bench: Bench, gate: Gate):
    product = a_product(images=(BAD,))
    worker = bench.worker()
    await worker.finish(await bench.produce(product))
    await worker.finish(await bench.produce(product))
    assert len(await bench.letters()) == 1

    [resent] = await bench.produce(product, headers=((RESENT_HEADER, b"0:0"),))
    await worker.finish([resent])
    assert len(await bench.letters()) == 2

    await bench.worker().finish([resent])
    assert len(await bench.letters()) == 2, "a redelivery of it is no re-sending"


async def test_what_an_encoder_cannot_take_costs_the_others_nothing(bench: Bench):
    worker = bench.worker(starts=False)
    records = await bench.produce(a_product(title="poison"), a_product("boot"))
    await worker.take_in(records)
    worker.start()
    await until(lambda: len(worker.acked) == 2)

    assert (await bench.vectors("lamp")).dropped == ("text:encoder-failed",)
    assert (await bench.vectors("boot")).text
    assert [letter["reason"] for letter in await bench.letters()] == ["encoder-failed"]


async def test_bad_messages_become_dead_letters_and_the_next_product_is_taken(bench: Bench):
    worker = bench.worker()
    other_key = Record(*(await bench.produce(a_product("boot")))[0][:4], b"lamp", encode_product(a_product("boot")), ())
    batch = [*await bench.produce(b"{", b"\xff", b'{"item_id": "lamp"}'), other_key, *await bench.produce(a_product())]
    await worker.finish(batch)

    assert sorted(letter["reason"] for letter in await bench.letters()) == [
        "key-mismatch",
        "malformed-json",
        "missing-field",
        "not-utf8",
    ]
    assert (await bench.fields()).product == a_product()
    assert worker.processor.counters.refused == 4


async def test_a_deletion_without_a_key_is_a_dead_letter(bench: Bench):
    worker = bench.worker()
    [record] = await bench.produce("lamp")
    await worker.finish([record._replace(key=None)])

    assert len(await bench.letters()) == 1
    assert await bench.catalog() == {}


async def test_an_older_message_that_is_delivered_again_changes_nothing(bench: Bench):
    older = await bench.produce(a_product(title="Old"))
    newer = await bench.produce(a_product(title="New"))
    await bench.worker().finish([*older, *newer])

    again = bench.worker()
    await again.finish(older)

    assert (await bench.fields()).product.title == "New"
    assert again.text.seen == []


async def test_partitions_that_are_taken_away_are_neither_written_nor_acknowledged(bench: Bench, gate: Gate):
    worker = bench.worker()
    records = await bench.produce(a_product(images=(gate.url,)))
    await worker.take_in(records)
    await until(lambda: gate.n_asked)

    await worker.processor.forget()
    gate.opened.set()
    await until(lambda: worker.processor.n_waiting == 0)

    assert worker.acked == []
    assert vectors_key("lamp") not in await bench.catalog()
    await worker.finish(records)
    assert vectors_key("lamp") in await bench.catalog()


async def test_a_full_queue_holds_the_intake_back_until_there_is_room(bench: Bench, gate: Gate):
    worker = bench.worker(n_waiting=2)
    records = await bench.produce(*(a_product(f"item-{n}", images=(gate.url,)) for n in range(4)))

    intake = asyncio.create_task(worker.take_in(records))
    await until(lambda: worker.processor.n_waiting == 2)
    assert not intake.done()
    assert fields_key("item-3") in await bench.catalog()

    gate.opened.set()
    await intake
    await until(lambda: len(worker.acked) == 4)


async def test_a_backlog_is_encoded_in_large_batches(bench: Bench):
    sizes = []

    class Counting(Letters):
        def encode(self, batch):
            sizes.append(len(batch))
            return super().encode(batch)

    worker = bench.worker(starts=False)
    worker.processor._vectorizer.text = Counting()
    records = await bench.produce(*(a_product(f"item-{n}") for n in range(70)))
    await worker.take_in(records)
    worker.start()
    await until(lambda: len(worker.acked) == 70)

    assert sizes == [0, 32, 32, 6]


async def test_a_log_that_is_down_is_waited_for(bench: Bench, monkeypatch):
    worker = bench.worker()
    append, failures = bench.log.append_many, [UnavailableError("down"), UnavailableError("down")]

    async def down_at_first(records):
        if failures:
            raise failures.pop()
        return await append(records)

    monkeypatch.setattr(bench.log, "append_many", down_at_first)
    await worker.finish(await bench.produce(a_product()))

    assert vectors_key("lamp") in await bench.catalog()


async def test_a_network_that_cannot_be_loaded_stops_the_worker_with_its_sentence(bench: Bench):
    class Broken(Letters):
        def encode(self, batch):
            raise ConfigError("No weights.")

    worker = bench.worker(starts=False)
    worker.processor._vectorizer.text = Broken()

    with pytest.raises(ConfigError, match="No weights"):
        await worker.processor.run()


async def test_a_products_topic_that_was_made_anew_writes_over_what_the_old_one_led_to(bench: Bench):
    records = await bench.produce(*(a_product(title=f"Old {n}") for n in range(3)))
    await bench.worker().finish(records)
    ends = bench.log.end_offsets

    async def fresh(topic):
        return dict.fromkeys(range(2), 1) if topic == topics.PRODUCTS else await ends(topic)

    bench.log.end_offsets, value = fresh, encode_product(a_product(title="New"))
    try:
        worker = bench.worker()
        await worker.finish([records[0]._replace(offset=0, value=value)])
    finally:
        bench.log.end_offsets = ends

    history = [record for record in await bench.topic(topics.CATALOG) if record.key == fields_key("lamp")]
    assert history[-2].value is None, "readers keep to the larger offset unless it was deleted"
    assert (await bench.fields()).product.title == "New"
    assert (await bench.vectors()).source_offset == 0
