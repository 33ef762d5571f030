"""A gateway and a recommend worker in this process, on the embedded log and Redis."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np

from gateway.app import make_app
from gateway.serve import background
from gateway.state import Gateway
from recsys.events import Product
from recsys.records import SCHEMA, CatalogueFields, CatalogueVectors, encode_record, fields_key, vectors_key
from streams import topics
from streams.log.base import NewRecord
from streams.policy import recommend_policy
from streams.processes import Outside, Worker, outside
from streams.settings import Settings
from streams.shared_views import SharedViews
from streams.until_stopped import running

DEADLINE_S = 20.0


class Harness:
    """What a test of the gateway uses: an HTTP client, and the log behind it."""

    def __init__(self, parts: Outside, gateway: Gateway, client: httpx.AsyncClient) -> None:
        self.parts, self.gateway, self.client = parts, gateway, client
        self.offset = 0

    async def put_product(self, product: Product, text: list[float] | None = None) -> None:
        """Put a product into the catalogue, as the embed agent would."""
        log = self.parts.log
        topic = self.parts.settings.topic_prefix + topics.CATALOG
        partition = log.partition_for(product.item_id.encode(), self.parts.settings.partitions)
        self.offset += 1
        fields = CatalogueFields(SCHEMA, product, self.offset, b"c")
        records = [NewRecord(topic, fields_key(product.item_id), encode_record(fields), partition)]
        if text is not None:
            packed = np.array(text, dtype=np.float16).tobytes()
            vectors = CatalogueVectors(SCHEMA, b"c", self.offset, "test", "", packed, b"")
            records.append(NewRecord(topic, vectors_key(product.item_id), encode_record(vectors), partition))
        await log.append_many(records)

    async def until(self, condition: Any) -> Any:
        """Wait for a condition (a callable, plain or asynchronous) to be true, and return what it returned."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            result = condition()
            if asyncio.iscoroutine(result):
                result = await result
            if result:
                return result
            assert time.monotonic() < deadline, "the condition did not come true in time"
            await asyncio.sleep(0.01)

    async def recommendations(self, user_id: str, **params: Any) -> dict[str, Any]:
        answer = await self.client.get(f"/v1/users/{user_id}/recommendations", params=params)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.content)


@contextlib.asynccontextmanager
async def running_gateway(settings: Settings, *, with_worker: bool = True) -> AsyncIterator[Harness]:
    async with outside(settings) as parts:
        views = SharedViews(settings, parts.log, recommend_policy(settings))
        gateway = Gateway(settings, parts.log, parts.store, views)
        transport = httpx.ASGITransport(make_app(gateway))
        client = httpx.AsyncClient(transport=transport, base_url="http://shop.example")
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(client)
            await stack.enter_async_context(running(views.run(), *background(gateway)))
            if with_worker:
                worker = Worker(parts, views, "recommend")
                await worker.start()
                stack.push_async_callback(worker.stop)
                await stack.enter_async_context(running(worker.run()))
            else:
                await views.wait_caught_up()
            yield Harness(parts, gateway, client)
