"""The table of an experiment, and what is said where there is none."""

import asyncio
import json
from functools import partial

import msgspec

from streams import topics
from streams.log.base import NewRecord
from streams.wire.click import encode_click
from streams.wire.served import Served
from tests.builders import a_click
from tests.gateway.cli.command import Freshet
from tests.streams.test_rankers import log, settings  # noqa: F401


async def test_variants_are_compared_with_the_first(log, settings, tmp_path):  # noqa: F811
    await log.create(topics.all_topics(settings))
    freshet = Freshet(tmp_path, {"FRESHET_BROKER": settings.broker, "FRESHET_PARTITIONS": "1"})
    for number in range(12):
        user, variant = f"u{number}", "ab:a" if number % 2 else "ab:b"
        position = await log.append(NewRecord(topics.CLICKS, user.encode(), encode_click(a_click(user, "first"))))
        served = Served(f"0001-{position.offset:016d}-00000000", "r", variant, ("lamp",))
        await log.append(NewRecord(topics.SERVED, user.encode(), msgspec.json.encode(served)))
        chosen = "lamp" if number % 2 or number == 0 else "boot"
        await log.append(NewRecord(topics.CLICKS, user.encode(), encode_click(a_click(user, chosen))))
    await log.stop()

    run = partial(asyncio.to_thread, freshet)  # a command starts an event loop of its own
    figures = json.loads((await run("experiments", "--json")).out)["ab"]
    assert (figures["a"]["users"], figures["a"]["choices"], figures["a"]["hits"]) == (6, 6, 6)
    assert figures["b"]["hit_rate"]["value"] == 1 / 6
    low, high = figures["b"]["hit_rate"]["interval"]
    assert low < 1 / 6 < high
    table = (await run("experiments")).out
    assert "1.0000" in table
    assert "-0.83" in table


async def test_without_any_the_setting_is_named(log, settings, tmp_path):  # noqa: F811
    await log.create(topics.all_topics(settings))
    await log.stop()
    freshet = Freshet(tmp_path, {"FRESHET_BROKER": settings.broker, "FRESHET_PARTITIONS": "1"})

    assert "FRESHET_EXPERIMENT" in (await asyncio.to_thread(freshet, "experiments")).out
