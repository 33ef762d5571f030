"""The trainer on a real embedded log: what it publishes, when, and what survives a restart."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from recsys.als.interactions import confidence_matrix
from recsys.confidence import ConfidencePolicy
from recsys.events import Action, Click
from recsys.records import CatalogueVectors, encode_record, pack_vector, vectors_key
from streams import click_fold, topics, trainer
from streams.click_fold import ClickFold
from streams.log.base import Log, NewRecord, Record, TopicPartition
from streams.log.open import open_log
from streams.settings import Settings
from streams.trainer import Trainer, TrainerStatus
from streams.wire.click import encode_click
from streams.wire.factors import FactorAssembler
from streams.wire.ranker import IN_USE_KEY, decode_ranker, encode_ranker, slot_key
from tests.builders import a_click
from tests.streams.wire.test_ranker import a_ranker

PARTITIONS = 3
DEADLINE_S = 30.0
KINDS, ITEMS_A_KIND, USERS_A_KIND = 3, 8, 12


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        broker=f"embedded://{tmp_path}/log",
        data_dir=tmp_path / "data",
        partitions=PARTITIONS,
        topic_prefix="shop.",
        train_min_events=50,
        train_interval_s=3600,
        train_factors=4,
    )


@pytest.fixture
async def log(settings: Settings) -> AsyncIterator[Log]:
    log = open_log(settings)
    await log.start()
    await log.create(topics.all_topics(settings))
    yield log
    await log.stop()


@contextlib.asynccontextmanager
async def training(settings: Settings, log: Log, leadership: object = None) -> AsyncIterator[Trainer]:
    """A trainer that runs for as long as the block lasts."""
    stop, running = asyncio.Event(), Trainer(settings, log, leadership)  # type: ignore[arg-type]
    task = asyncio.create_task(running.run(stop))
    try:
        yield running
    finally:
        stop.set()
        await asyncio.wait_for(task, DEADLINE_S)


async def until(running: Trainer, holds: Callable[[TrainerStatus], bool]) -> TrainerStatus:
    async with asyncio.timeout(DEADLINE_S):
        while not holds(running.status()):
            await asyncio.sleep(0.01)
    return running.status()


def kind_clicks(n: int, seed: int = 0) -> list[Click]:
    """Shoppers that keep to one kind of product each."""
    rng = np.random.default_rng(seed)
    users = rng.integers(KINDS * USERS_A_KIND, size=n).tolist()
    items = rng.integers(ITEMS_A_KIND, size=n).tolist()
    return [
        a_click(f"user-{user}", f"kind{user % KINDS}-{item}", type=Action.PURCHASE)
        for user, item in zip(users, items, strict=True)
    ]


def walks(n: int) -> list[Click]:
    """Shoppers that look at all products of their kind, one after the other, again and again."""
    users = KINDS * USERS_A_KIND
    steps = [(number % users, (number // users + number) % ITEMS_A_KIND) for number in range(n)]
    return [a_click(f"user-{user}", f"kind{user % KINDS}-{step}", type=Action.VIEW) for user, step in steps]


async def produce(log: Log, clicks: Iterable[Click | bytes]) -> None:
    records = [
        NewRecord("shop.clicks", b"ann", click)
        if isinstance(click, bytes)
        else NewRecord("shop.clicks", click.user_id.encode(), encode_click(click))
        for click in clicks
    ]
    await log.append_many(records)


async def read_all(log: Log, topic: str) -> list[Record]:
    ends = await log.end_offsets(topic)
    reader = log.reader({TopicPartition(topic, partition): 0 for partition in ends})
    records: list[Record] = []
    async with asyncio.timeout(DEADLINE_S):
        while any(reader.position(TopicPartition(topic, p)) < end for p, end in ends.items()):
            records += await reader.poll(0.1)
    await reader.close()
    return records


async def published(log: Log) -> FactorAssembler:
    assembler = FactorAssembler()
    for topic in ("shop.item-factors", "shop.models"):
        for record in await read_all(log, topic):
            assembler.feed(record)
    return assembler


async def test_the_first_fit_happens_by_itself_when_there_are_enough_events(settings: Settings, log: Log) -> None:
    async with training(settings, log) as running:
        await produce(log, kind_clicks(49))
        await until(running, lambda status: status.n_events == 49 and status.is_caught_up)
        assert running.status().n_fits == 0
        await produce(log, kind_clicks(300, seed=1))
        await until(running, lambda status: status.n_fits >= 1)

    assembler = FactorAssembler()
    models = [
        model
        for topic in ("shop.item-factors", "shop.models")
        for record in await read_all(log, topic)
        if (model := assembler.feed(record))
    ]
    assert models[0].version.startswith("000001-")
    manifest = assembler.manifest
    assert manifest is not None
    assert manifest.n_items == len(models[0])


async def test_one_click_brings_its_kind_with_the_published_factors(settings: Settings, log: Log) -> None:
    await produce(log, kind_clicks(800))
    async with training(settings, log) as running:
        await until(running, lambda status: status.n_fits == 1)
        model = running._model

    assert model is not None
    for kind in range(KINDS):
        item_ids, _ = model.top(model.fold_in([(f"kind{kind}-0", 5.0)]), ITEMS_A_KIND)
        assert set(item_ids) == {f"kind{kind}-{item}" for item in range(ITEMS_A_KIND)}


async def test_new_products_get_factors_of_their_kind_from_their_vectors(settings: Settings, log: Log) -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(KINDS, 6, dtype=np.float32)

    def vectors_of(kind: int) -> np.ndarray:
        vector = centres[kind] + rng.normal(scale=0.1, size=6).astype(np.float32)
        return vector / np.linalg.norm(vector)

    for kind in range(KINDS):
        for item in range(ITEMS_A_KIND):
            packed = pack_vector(vectors_of(kind))
            record = CatalogueVectors(1, b"", 0, "words", "none", packed, b"")
            await log.append(NewRecord("shop.catalog", vectors_key(f"kind{kind}-{item}"), encode_record(record), 0))
    await produce(log, kind_clicks(800))
    async with training(settings, log) as running:
        await until(running, lambda status: status.n_fits == 1)
        model = running._model

    assert model is not None
    for kind in range(KINDS):
        predicted = model.predict(vectors_of(kind), np.zeros(0, dtype=np.float32))
        assert predicted is not None
        assert model.add_content_item(f"new-{kind}", predicted)
        item_ids, _ = model.top(model.fold_in([(f"kind{kind}-0", 5.0)]), ITEMS_A_KIND + 1)
        assert [item_id for item_id in item_ids if item_id.startswith("new")] == [f"new-{kind}"]


async def test_each_fit_is_a_new_version_in_the_other_slot_and_starts_from_the_one_before(
    settings: Settings, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "REFIT_PAUSE_S", 0.0)
    monkeypatch.setattr(trainer, "REFIT_SHARE", 1e9)
    await produce(log, kind_clicks(300))
    async with training(settings, log) as running:
        first = (await until(running, lambda status: status.n_fits == 1)).version
        first_manifest = (await published(log)).manifest
        await produce(log, kind_clicks(300, seed=1))
        second = (await until(running, lambda status: status.n_fits == 2)).version
        second_manifest = (await published(log)).manifest

    assert first is not None
    assert second is not None
    assert first < second
    assert first_manifest is not None
    assert second_manifest is not None
    assert (first_manifest.slot, second_manifest.slot) == ("a", "b")
    assert sum(second_manifest.offsets.values()) == 600
    assert second_manifest.n_events == 600


async def test_nothing_new_makes_no_new_version_however_often_a_fit_could_be_due(log: Log, settings: Settings) -> None:
    eager = settings.model_copy(update={"train_interval_s": 0.001})
    await produce(log, kind_clicks(100))
    async with training(eager, log) as running:
        await until(running, lambda status: status.n_fits == 1)
        await asyncio.sleep(3 * trainer.LOOK_S)  # time in which nothing must happen
        assert running.status().n_fits == 1
        await produce(log, kind_clicks(1, seed=1))
        await until(running, lambda status: status.n_fits == 2)


async def test_a_restart_goes_on_from_its_snapshot_and_makes_no_model_anew(settings: Settings, log: Log) -> None:
    await produce(log, kind_clicks(200))
    async with training(settings, log) as running:
        version = (await until(running, lambda status: status.n_fits == 1)).version
    await produce(log, kind_clicks(10, seed=1))

    async with training(settings, log) as running:
        status = await until(running, lambda status: status.n_events == 210 and bool(status.trained_offsets))
        assert status.version == version
        assert status.n_fits == 0
        assert sum(status.trained_offsets.values()) == 200


async def test_a_restart_from_a_snapshot_gives_the_matrix_of_a_clean_replay(settings: Settings, log: Log) -> None:
    policy = ConfidencePolicy()
    await produce(log, kind_clicks(150))
    async with training(settings, log) as running:
        await until(running, lambda status: status.n_fits == 1)
    await produce(log, [*kind_clicks(80, seed=1), *kind_clicks(80, seed=1)])
    async with training(settings, log) as running:
        await until(running, lambda status: status.n_events == 310)
        restarted = running._fold.folded()

    clean = ClickFold(settings.history_size)
    for record in await read_all(log, "shop.clicks"):
        clean.put(record)
    replayed = clean.folded()

    assert restarted.offsets == replayed.offsets
    assert (restarted.n_events, restarted.watermark_ms) == (replayed.n_events, replayed.watermark_ms)
    one, one_ids = confidence_matrix(restarted.interactions, policy, restarted.watermark_ms)
    other, other_ids = confidence_matrix(replayed.interactions, policy, replayed.watermark_ms)
    assert one_ids == other_ids
    assert np.array_equal(one.toarray(), other.toarray())


@pytest.mark.parametrize("damage", ["truncated", "altered", "manifest"])
async def test_a_damaged_snapshot_is_made_again_from_the_log(settings: Settings, log: Log, damage: str) -> None:
    await produce(log, kind_clicks(120))
    async with training(settings, log) as running:
        await until(running, lambda status: status.n_fits == 1)
    folder = settings.data_dir / click_fold.NAME
    victim = folder / "manifest" if damage == "manifest" else next(folder.glob("*.items"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) // 2] if damage != "altered" else whole[:-1] + bytes([whole[-1] ^ 1]))

    async with training(settings, log) as running:
        status = await until(running, lambda status: status.is_caught_up)
        assert (status.n_events, sum(status.offsets.values())) == (120, 120)


async def test_a_snapshot_of_another_log_is_not_used(settings: Settings, log: Log) -> None:
    other = ClickFold(settings.history_size)
    click = a_click("someone", "elsewhere")
    other.put(Record("shop.clicks", 0, 5_000, click.ts_ms, b"someone", encode_click(click), ()))
    click_fold.write(settings.data_dir, other.folded())
    await produce(log, kind_clicks(60))

    async with training(settings, log) as running:
        status = await until(running, lambda status: status.n_fits == 1)

    assert (status.n_events, sum(status.offsets.values())) == (60, 60)


async def test_bad_messages_are_counted_and_passed_over(settings: Settings, log: Log) -> None:
    await produce(log, [b"{", b"\xff\xfe", b"[]", *kind_clicks(60)])

    async with training(settings, log) as running:
        status = await until(running, lambda status: status.n_fits == 1)

    assert (status.n_refused, status.n_events) == (3, 60)


async def test_a_damaged_record_of_factors_does_not_keep_the_trainer_from_its_work(
    settings: Settings, log: Log
) -> None:
    await log.append(NewRecord("shop.models", b"als", b"\xc1", 0))
    await log.append(NewRecord("shop.catalog", b"v:lamp", b"\xc1", 0))
    await produce(log, kind_clicks(60))

    async with training(settings, log) as running:
        status = await until(running, lambda status: status.n_fits == 1)

    assert status.version is not None


async def test_nobody_liking_anything_makes_no_model_and_no_noise(settings: Settings, log: Log) -> None:
    await produce(log, [a_click(f"user-{n}", "lamp", type=Action.DISLIKE) for n in range(60)])

    async with training(settings, log) as running:
        status = await until(running, lambda status: sum(status.trained_offsets.values()) == 60)

    assert (status.n_fits, status.n_failed_fits, status.version) == (0, 0, None)


class Seat:
    """A leadership that a test gives and takes."""

    def __init__(self) -> None:
        self.is_leader = asyncio.Event()


async def test_only_the_leader_fits_and_the_next_one_goes_on_where_it_stopped(
    settings: Settings, log: Log, tmp_path: Path
) -> None:
    mine, theirs = Seat(), Seat()
    mine.is_leader.set()
    elsewhere = settings.model_copy(update={"data_dir": tmp_path / "standby", "train_interval_s": 0.001})
    await produce(log, kind_clicks(100))
    async with training(settings, log, mine) as leader, training(elsewhere, log, theirs) as standby:
        await until(leader, lambda status: status.n_fits == 1)
        await until(standby, lambda status: status.version == leader.status().version and status.n_events == 100)
        assert standby.status().n_fits == 0
        mine.is_leader.clear()
        theirs.is_leader.set()
        await produce(log, kind_clicks(20, seed=1))
        await until(standby, lambda status: status.n_fits >= 1)
        await until(leader, lambda status: status.version == standby.status().version)
        assert leader.status().n_fits == 1

    manifest = (await published(log)).manifest
    assert manifest is not None
    assert manifest.generation >= 2


async def test_a_stop_in_the_middle_of_a_fit_does_not_wait_for_its_end(settings: Settings, log: Log) -> None:
    await produce(log, kind_clicks(100))
    endless = 10**9
    stop, running = asyncio.Event(), Trainer(settings, log)
    running.fit_policy = type(running.fit_policy)(n_factors=4, iterations=endless)
    task = asyncio.create_task(running.run(stop))
    await until(running, lambda status: status.is_fitting)

    stop.set()
    await asyncio.wait_for(task, DEADLINE_S)

    assert (await published(log)).version is None


async def test_clicks_teach_a_ranker_that_every_process_then_reads(settings: Settings, log: Log) -> None:
    async with training(settings, log) as running:
        await produce(log, walks(1_500))
        await until(running, lambda status: status.n_fits >= 1)
        async with asyncio.timeout(DEADLINE_S):
            while running.lessons.in_use is None:
                await asyncio.sleep(0.01)

    records = {record.key: record.value for record in await read_all(log, "shop.models")}
    assert records[IN_USE_KEY] is not None
    in_use = decode_ranker(records[IN_USE_KEY])
    assert records[slot_key(1)] == records[IN_USE_KEY]
    assert in_use.generation == 1
    assert in_use.low > 0.0, "it was better beyond chance"
    assert in_use.weights() is not None


async def test_a_ranker_that_somebody_has_chosen_stays(settings: Settings, log: Log) -> None:
    await log.append(NewRecord("shop.models", IN_USE_KEY, encode_ranker(a_ranker(7, is_pinned=True)), 0))
    async with training(settings, log) as running:
        await produce(log, walks(1_500))
        await until(running, lambda status: status.n_fits >= 1 and not status.is_fitting)

        assert running.lessons.n_taught == 0
