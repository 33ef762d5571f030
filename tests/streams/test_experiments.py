"""What came of an experiment, read from the log: each choice against the list that stood before it."""

import contextlib
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from recsys.events import Action
from recsys.experiments import Outcome
from recsys.item_table import ItemTable
from streams import topics
from streams.experiments import read_outcomes
from streams.log.base import NewRecord
from streams.log.open import open_log
from streams.settings import Settings
from streams.stores.embedded import open_redis
from streams.wire.click import encode_click
from streams.wire.served import Served
from tests.builders import a_click
from tests.streams.agents.test_recommend import Bench

TWO = json.dumps({"name": "two", "variants": [{"name": "as-is"}, {"name": "blend", "ranker": "blend-1"}]})
ITEMS = [f"item-{number}" for number in range(15)]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    settings = Settings(data_dir=tmp_path, partitions=2, experiment=TWO, seen_purchase=False)
    log = open_log(settings)
    await log.start()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(log.stop)
        await log.create(topics.all_topics(settings))
        store = await stack.enter_async_context(open_redis(settings))
        bench = Bench(settings, log, store)
        bench.items = ItemTable(ITEMS)
        yield bench


async def outcomes_of(bench: Bench):
    return await read_outcomes(bench.log, bench.settings, bench.policy.confidence)


async def test_a_choice_counts_for_the_variant_of_the_list_that_stood_before_it(bench: Bench):
    processor = bench.processor()
    await processor.process(await bench.produce(a_click("ann", "item-0")))
    shown = [item["item_id"] for item in (await bench.list_of("ann"))["items"][:10]]
    missed = next(item_id for item_id in ITEMS if item_id not in shown)
    await processor.process(await bench.produce(a_click("ann", shown[-1], type=Action.PURCHASE)))
    await processor.process(await bench.produce(a_click("ann", missed, type=Action.PURCHASE)))

    variant = (await bench.list_of("ann"))["variant"]
    assert variant == f"two:{bench.policy.experiment.variant_of('ann').name}"
    found = await outcomes_of(bench)
    assert found.keys() == {variant}
    own = found[variant]["ann"]
    assert (own.choices, own.bought) == (2, 1)
    assert own.hits >= 1


async def test_what_the_log_says_is_what_the_worker_counted_live(bench: Bench):
    rng, processor = random.Random(3), bench.processor()
    for _ in range(30):
        clicks = [
            a_click(f"user-{rng.randrange(6)}", rng.choice(ITEMS), type=rng.choice([Action.CLICK, Action.HIDE]))
            for _ in range(rng.randrange(1, 4))
        ]
        # One of a user in a batch: what lies between two of them was never a list.
        await processor.process(await bench.produce(*{click.user_id: click for click in clicks}.values()))

    found = await outcomes_of(bench)

    live: dict[str, tuple[int, int]] = {}
    for (_, variant), tally in processor.live.tallies.items():
        choices, hits = live.get(variant, (0, 0))
        live[variant] = choices + tally.choices, hits + tally.hits
    assert {
        variant: (sum(one.choices for one in users.values()), sum(one.hits for one in users.values()))
        for variant, users in found.items()
    } == live
    assert sum(choices for choices, _ in live.values()) > 20


async def test_what_is_sent_again_replayed_or_broken_counts_for_nothing(bench: Bench):
    processor, click = bench.processor(), a_click("ann", "item-1")
    await processor.process(await bench.produce(a_click("ann", "item-0")))
    await processor.process(await bench.produce(click, click))
    await bench.log.append(NewRecord(topics.CLICKS, b"ann", encode_click(a_click("ann", "item-2")), None, REPLAY))
    await bench.log.append(NewRecord(topics.CLICKS, b"ann", b"{"))
    await bench.log.append(NewRecord(topics.SERVED, b"ann", b"{"))

    (users,) = (await outcomes_of(bench)).values()

    assert users["ann"].choices == 1


async def test_lists_from_before_the_topic_was_created_anew_stand_no_more(bench: Bench):
    old = Served("0001-0000000000000000-00000000", "r", "two:as-is", ("item-1",))
    new = Served("0002-0000000000000000-00000000", "r", "two:as-is", ("item-2",))
    await bench.produce(a_click("ann", "item-0"), a_click("ann", "item-1"))
    for user, served in (("ann", old), ("bob", new)):
        await bench.log.append(NewRecord(topics.SERVED, user.encode(), served_value(served)))

    assert (await outcomes_of(bench))["two:as-is"]["ann"] == Outcome()


async def test_a_user_who_chose_nothing_since_is_a_user_too(bench: Bench):
    await bench.processor().process(await bench.produce(a_click("ann", "item-0")))

    (users,) = (await outcomes_of(bench)).values()

    assert users == {"ann": Outcome()}


async def test_without_an_experiment_nothing_is_kept(bench: Bench, tmp_path: Path):
    bench.settings = Settings(data_dir=tmp_path, partitions=2)
    bench.policy = bench.policy.__class__()
    await bench.processor().process(await bench.produce(a_click("ann", "item-0")))

    assert "variant" not in await bench.list_of("ann")
    assert not await bench.topic(topics.SERVED)


REPLAY = (("freshet-replay", b"1"),)
served_value = msgspec.json.encode
