"""The Faust application that brings clicks to the processor; a few lines, for all that matters is in `recommend`."""

import asyncio
from typing import Any

import faust
from mode.supervisors import CrashingSupervisor

from streams import failpoints, topics
from streams.agents.batches import OneBehind, ack, drained
from streams.agents.recommend import ClickProcessor
from streams.agents.refreshes import Refreshes
from streams.apps import app_id, make_app
from streams.log.base import Record
from streams.log.lease import Lease
from streams.settings import Settings

BATCH = 256
"""Events folded and published together; twice as many gain little and double the work a crash repeats."""
BESIDE_FROM = 64
"""Events in a batch from which on the next is folded while it is being written. Fewer are written sooner by themselves:
each answer of the broker would have to wait for the folding, and the clicks that come meanwhile for both."""


def recommend_app(settings: Settings, processor: ClickProcessor, lease: Lease | None = None) -> faust.App:
    """An application with one agent on `clicks`.

    Faust acks an event when its loop leaves it, also when the body raised, which would lose the click: so batches are
    drained unacked and acked once all they led to is written, and an error stops the process (`CrashingSupervisor`).
    While one batch is being written, the next is folded.
    """
    app = make_app(settings, "recommend", lease=lease)
    clicks = app.topic(
        settings.topic_prefix + topics.CLICKS,
        key_type=bytes,
        key_serializer="raw",
        value_type=bytes,
        value_serializer="raw",
    )

    @app.on_partitions_revoked.connect  # type: ignore[untyped-decorator]
    async def revoked(app: faust.App, revoked: Any, **_: Any) -> None:
        failpoints.reached(failpoints.IN_REBALANCE)
        await processor.let_go()

    recoveries: set[asyncio.Task[None]] = set()

    @app.on_partitions_assigned.connect  # type: ignore[untyped-decorator]
    async def assigned(app: faust.App, assigned: Any, **_: Any) -> None:
        # Not awaited: Faust would hold the rebalance, and with it every other worker, for as long as it takes.
        ours = [tp.partition for tp in assigned if tp.topic == clicks.get_topic_name()]
        recovery = asyncio.create_task(processor.own(ours, app_id(settings, "recommend")))
        recoveries.add(recovery)
        recovery.add_done_callback(recoveries.discard)

    @app.on_before_shutdown.connect  # type: ignore[untyped-decorator]
    async def stopping(app: faust.App, **_: Any) -> None:
        # Whoever stops us closes the log next, on which these may still be reading.
        for recovery in recoveries:
            recovery.cancel()
        await asyncio.gather(*recoveries, return_exceptions=True)

    @app.agent(clicks, concurrency=1, supervisor_strategy=CrashingSupervisor)  # type: ignore[untyped-decorator]
    async def recommend(stream: Any) -> None:
        async def finish(batch: list[Any], refreshes: Refreshes) -> None:
            if not await processor.publish(refreshes):
                return
            if refreshes.owes:
                settling.create_task(settle(batch, refreshes))
            else:
                failpoints.reached(failpoints.BEFORE_COMMIT)
                ack(batch)

        async def settle(batch: list[Any], refreshes: Refreshes) -> None:
            if await processor.settle(refreshes):
                ack(batch)

        async with asyncio.TaskGroup() as settling, OneBehind(app.crash) as publishing:
            async for batch in drained(app, stream, limit=BATCH):
                refreshes = await processor.take([to_record(event.message) for event in batch])
                if refreshes is not None:
                    await publishing.start(finish(batch, refreshes))
                if len(batch) < BESIDE_FROM:
                    await publishing.wait()

    return app


def to_record(message: Any) -> Record:
    """A Faust message as a record of the log."""
    headers = message.headers or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Record(
        message.topic,
        message.partition,
        message.offset,
        round(message.timestamp * 1000),
        message.key,
        message.value,
        tuple((name, value) for name, value in pairs),
    )
