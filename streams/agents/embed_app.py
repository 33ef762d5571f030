"""The Faust application that brings products to the processor; a few lines, for all that matters is in `embed`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import faust
from mode.supervisors import CrashingSupervisor

from encoders.choose import image_encoder, text_encoder
from streams import topics
from streams.agents.batches import drained
from streams.agents.embed import CardStore, EmbedProcessor
from streams.agents.intake import Arrival
from streams.agents.recommend_app import to_record
from streams.agents.vectors import Vectorizer
from streams.apps import make_app
from streams.log.base import Log
from streams.log.lease import Lease
from streams.pictures import PictureFetcher
from streams.settings import Settings

BATCH = 256
"""Messages whose fields are written together."""


@contextlib.asynccontextmanager
async def open_embed_app(
    settings: Settings, log: Log, store: CardStore, lease: Lease | None = None
) -> AsyncIterator[tuple[faust.App, EmbedProcessor]]:
    """Make the application with the encoders of the settings, and the processor behind it.

    Raises ConfigError when an encoder cannot be had.
    """
    folder, device = settings.networks_dir, settings.device
    text = await asyncio.to_thread(text_encoder, settings.text_encoder, device, folder=folder)
    image = await asyncio.to_thread(image_encoder, settings.image_encoder, device, folder=folder)
    fetcher = PictureFetcher(settings.media_dir, settings.image_hosts)
    processor = EmbedProcessor(settings, log, store, fetcher, Vectorizer(text, image))
    yield embed_app(settings, processor, lease), processor


def embed_app(settings: Settings, processor: EmbedProcessor, lease: Lease | None = None) -> faust.App:
    """An application with one agent on `products`, and the making of vectors beside it.

    A message is acked when its vectors are out, which may be long after the agent has gone on. So a rebalance must not
    wait for acks (`stream_wait_empty`): what is not acked by then is delivered to the partition's next owner.
    """
    app = make_app(settings, "embed", lease=lease)
    app.conf.stream_wait_empty = False
    products = app.topic(
        settings.topic_prefix + topics.PRODUCTS,
        key_type=bytes,
        key_serializer="raw",
        value_type=bytes,
        value_serializer="raw",
    )

    @app.on_partitions_revoked.connect  # type: ignore[untyped-decorator]
    async def revoked(app: faust.App, revoked: Any, **_: Any) -> None:
        await processor.forget()

    @app.task  # type: ignore[untyped-decorator]
    async def make_vectors() -> None:
        await processor.run()

    @app.agent(products, concurrency=1, supervisor_strategy=CrashingSupervisor)  # type: ignore[untyped-decorator]
    async def embed(stream: Any) -> None:
        async for batch in drained(app, stream, limit=BATCH):
            await processor.process([Arrival(to_record(event.message), event.ack) for event in batch])

    return app
