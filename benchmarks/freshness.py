"""From a new product's message to the moments when it can be found by words, by its vectors, and recommended.

python -m benchmarks.freshness [--products 40]

A worker and a trainer run here on a real Kafka and Redis; products come one at a time, without a backlog. The factors
of a product that nobody has touched come from its content, so they wait for no training run.
"""

import argparse
import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.services import services
from gateway.demo.procedural import draw, procedural_products
from recsys.search import SearchQuery, search
from streams import topics
from streams.log.base import Log, NewRecord
from streams.policy import recommend_policy
from streams.processes import Worker, outside
from streams.settings import Settings
from streams.shared_views import SharedViews
from streams.trainer import Trainer
from streams.until_stopped import running

BASE_PRODUCTS = 300
CLICKS = 1_500
USERS = 40
DEADLINE_S = 180.0


async def until(condition: Callable[[], object], what: str) -> float:
    """Wait for a condition; returns the time at which it held."""
    deadline = time.perf_counter() + DEADLINE_S
    while not condition():
        if time.perf_counter() > deadline:
            raise SystemExit(f"{what} did not come within {DEADLINE_S:.0f} s.")
        await asyncio.sleep(0.002)
    return time.perf_counter()


async def send(log: Log, settings: Settings, product: dict[str, object]) -> None:
    topic = settings.topic_prefix + topics.PRODUCTS
    await log.append(NewRecord(topic, str(product["item_id"]).encode(), msgspec.json.encode(product)))


async def prepare(log: Log, settings: Settings, views: SharedViews) -> None:
    """A small shop with vectors and clicks, and the first model with its map from content to factors."""
    base = list(procedural_products(BASE_PRODUCTS, seed=1))
    for product in base:
        await send(log, settings, product)
    await until(lambda: views.n_with_vectors >= BASE_PRODUCTS, "The base products' vectors")
    rng = random.Random(1)
    clicks = settings.topic_prefix + topics.CLICKS
    by_kind = sorted(base, key=lambda product: str(product.get("category")))
    for number in range(CLICKS):
        user = rng.randrange(USERS)
        item = by_kind[min(len(by_kind) - 1, int(abs(rng.gauss(user / USERS, 0.1)) * len(by_kind)))]
        click = {"user_id": f"u-{user}", "item_id": item["item_id"], "type": "click", "event_id": f"e-{number}"}
        await log.append(NewRecord(clicks, str(click["user_id"]).encode(), msgspec.json.encode(click)))
    await until(lambda: views.factors is not None and views.factors.trained.content is not None, "The first model")


async def measure(log: Log, settings: Settings, views: SharedViews, product: dict[str, object]) -> tuple[float, ...]:
    """Milliseconds until one product is found by its words, has its vectors in the index, and has factors."""
    item_id = str(product["item_id"])
    catalogue = views.catalogue
    word = SearchQuery(text=str(product["title"]), n=1)
    started = time.perf_counter()
    await send(log, settings, product)

    def found_by_words() -> bool:
        return catalogue.is_visible(item_id) and search(catalogue, word)[0].item_id == item_id

    def has_vectors() -> bool:
        wanted = catalogue.text_vector if "image" not in product else catalogue.image_vector
        return wanted(item_id) is not None

    words = await until(found_by_words, "The words")
    vectors = await until(has_vectors, "The vectors")
    factors = await until(lambda: views.factors is not None and views.factors.origin(item_id), "The factors")
    return tuple((moment - started) * 1000 for moment in (words, vectors, factors))


async def run(n_products: int) -> None:
    with services() as outer:
        media = outer.folder / "media"
        media.mkdir()
        settings = outer.settings("fresh.").model_copy(update={"media_dir": media, "train_min_events": CLICKS // 2})
        async with outside(settings) as parts:
            views = SharedViews(settings, parts.log, recommend_policy(settings), "freshness")
            worker = Worker(parts, views, "all")
            stop = asyncio.Event()
            async with running(views.run(), Trainer(settings, parts.log).run(stop)):
                await worker.start()
                try:
                    async with running(worker.run()):
                        await prepare(parts.log, settings, views)
                        print("| product | found by words | by its vectors | recommendable |")
                        print("| --- | --- | --- | --- |")
                        for with_picture in (False, True):
                            await report(parts.log, settings, views, media, n_products, with_picture=with_picture)
                finally:
                    await worker.stop()


async def report(
    log: Log, settings: Settings, views: SharedViews, media: Path, n_products: int, *, with_picture: bool
) -> None:
    kind = "picture" if with_picture else "text"
    rows = []
    for number, drawn in enumerate(procedural_products(n_products + 1, seed=2)):
        product = dict(drawn, item_id=f"{kind}-{number}", title=f"{drawn['title']} {kind}number{number}")
        if with_picture:
            (media / f"{number}.png").write_bytes(draw(drawn))
            product["image"] = f"{number}.png"
        rows.append(await measure(log, settings, views, product))
    # The first one loads the network.
    p50, p95 = np.quantile(np.array(rows[1:]), [0.5, 0.95], axis=0)
    cells = " | ".join(f"{middle:.0f} / {high:.0f} ms" for middle, high in zip(p50, p95, strict=True))
    print(f"| text {'and picture' if with_picture else 'only'}, p50 / p95 of {n_products} | {cells} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=40)
    asyncio.run(run(parser.parse_args().products))


if __name__ == "__main__":
    main()
