"""Rankers are listed, shown, promoted and taken back by name."""

import asyncio
import json
from functools import partial

from recsys.ranker import VERSION
from streams.rankers import put_in_use
from tests.gateway.cli.command import Freshet
from tests.streams.test_rankers import log, settings  # noqa: F401
from tests.streams.wire.test_ranker import a_ranker


async def test_models_are_listed_promoted_and_rolled_back(log, settings, tmp_path):  # noqa: F811
    await put_in_use(log, settings, a_ranker(3))
    await log.stop()
    freshet = Freshet(tmp_path, {"FRESHET_BROKER": settings.broker, "FRESHET_PARTITIONS": "1"})

    run = partial(asyncio.to_thread, freshet)  # a command starts an event loop of its own
    shown = json.loads((await run("models", "show", a_ranker(2).version)).out)
    assert shown["choices"] == a_ranker(2).n_lessons
    assert len(shown["weights"]) > 20
    assert (await run("models", "promote", "linear-9")).code == 1

    outcome = await run("models", "promote", a_ranker(2).version)
    assert (outcome.code, outcome.out) == (0, f"{a_ranker(2).version} is in use.\n")
    assert (await run("models", "rollback")).out == f"{a_ranker(1).version} is in use.\n"
    listed = (await run("models", "list")).out
    assert [line.split()[1] for line in listed.splitlines() if "pinned" in line] == [a_ranker(1).version]
    assert (await run("models", "rollback")).out == f"{VERSION} is in use.\n"
    refused = await run("models", "rollback")
    assert refused.code == 1
    assert "nothing before it" in refused.err
