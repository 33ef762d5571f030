"""A photo's way through a gateway: `python -m benchmarks.search_photo [--products N …]`.

Photos of groceries (`shared/data/grocery`, as phones took them) go to `POST /v1/search` one after the other, by
multipart through the application itself, without a socket; products have drawn vectors. Printed is what it takes, and
the process's CPU time outside the network's own forward pass: making and reading the form, decoding, cropping, colours,
searching, ranking, answering.
"""

import argparse
import asyncio
import csv
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import torch

from encoders.choose import Deferred, image_encoder
from encoders.product_pictures import ProductPictures
from gateway.app import make_app
from gateway.state import Gateway
from recsys.catalogue import Catalogue
from recsys.events import Product
from recsys.records import SCHEMA, CatalogueFields, CatalogueVectors, pack_vector
from streams.policy import recommend_policy
from streams.processes import outside
from streams.settings import Settings
from streams.shared_views import SharedViews

DATA = Path(__file__).parents[2] / "shared" / "data" / "grocery"
WARM_UP = 5


class Watch:
    """CPU time of the network's passes since the last look."""

    def __init__(self, network: Any) -> None:
        self.seconds, self._pass = 0.0, network.encode_tensor
        network.encode_tensor = self.encode_tensor

    def encode_tensor(self, tensor: torch.Tensor) -> Any:
        start = time.thread_time()
        try:
            return self._pass(tensor)
        finally:
            self.seconds += time.thread_time() - start


def fill(catalogue: Catalogue, n: int, dim: int) -> None:
    rng = np.random.default_rng(0)
    taste = rng.standard_normal((32, dim)).astype(np.float32)
    for number in range(n):
        vector = rng.standard_normal(32).astype(np.float32) @ taste + 3 * rng.standard_normal(dim).astype(np.float32)
        packed = pack_vector(vector / np.float32(np.linalg.norm(vector)))
        item_id = f"sku-{number}"
        catalogue.put_fields(CatalogueFields(SCHEMA, Product(item_id=item_id, title=item_id), number, b""))
        catalogue.put_vectors(item_id, CatalogueVectors(SCHEMA, b"", number, "", "i", b"", packed))
    catalogue.learn_sight()
    for sealing in catalogue.begin_sealing():
        sealing.build()
        catalogue.put_sealed(sealing)


async def measure(n_products: int, n_photos: int) -> None:
    with (DATA / "manifest.csv").open(newline="") as file:
        photos = [DATA / row["image"] for row in csv.DictReader(file) if row["split"] == "val"][:n_photos]
    encoder = image_encoder("bundled")
    assert isinstance(encoder, Deferred)
    made = encoder.encoder
    assert isinstance(made, ProductPictures)
    watch = Watch(made._network)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), text_encoder="none")
        async with outside(settings) as parts:
            views = SharedViews(settings, parts.log, recommend_policy(settings), name=None)
            gateway = Gateway(settings, parts.log, parts.store, views)
            gateway.encoders.image = encoder
            fill(gateway.views.catalogue, n_products, encoder.dim)
            transport = httpx.ASGITransport(make_app(gateway))
            whole, apart = [], []
            async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client:
                for photo in photos:
                    data = photo.read_bytes()
                    watch.seconds, start, cpu = 0.0, time.perf_counter(), time.process_time()
                    answer = await client.post("/v1/search", files={"image": data})
                    taken, used = time.perf_counter() - start, time.process_time() - cpu
                    assert len(answer.json()["items"]) == 10, answer.text
                    whole.append(1e3 * taken)
                    apart.append(1e3 * (used - watch.seconds))
    p50, p99 = (np.quantile(whole[WARM_UP:], share) for share in (0.5, 0.99))
    rest50, rest99 = (np.quantile(apart[WARM_UP:], share) for share in (0.5, 0.99))
    print(f"| {n_products:,} | {p50:.1f} | {p99:.1f} | {rest50:.1f} | {rest99:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, nargs="*", default=[1_000, 20_000])
    parser.add_argument("--photos", type=int, default=200)
    asked = parser.parse_args()
    print("\n| products | whole p50 ms | p99 | CPU ms without the forward pass p50 | p99 |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for n_products in asked.products:
        asyncio.run(measure(n_products, asked.photos))


if __name__ == "__main__":
    main()
