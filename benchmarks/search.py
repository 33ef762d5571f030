"""What a search costs: microseconds a query at 20,000 and 100,000 products, beside FAISS's plain flat index.

The drawn vectors share a text and image direction of 32 numbers each, as real products' parts do; the index is exact,
so only the search by both parts depends on how they are drawn.
"""

import resource
import time
from collections.abc import Callable

import faiss
import numpy as np

from recsys.catalogue import Catalogue
from recsys.catalogue_snapshot import catalogue_from_snapshot, catalogue_to_snapshot
from recsys.events import Price, Product
from recsys.filters import parse_filter
from recsys.neighbours import NeighbourCache
from recsys.records import SCHEMA, CatalogueFields, CatalogueVectors, pack_vector
from recsys.search import SearchQuery, search, similar
from recsys.types import Matrix

DIMS = {"text": 384, "image": 1280}
WORDS = [f"{kind}{number}" for kind in ("colour", "shape", "cloth", "style") for number in range(250)]


def draw(n: int, dim: int, rng: np.random.Generator, taste: Matrix) -> Matrix:
    vectors = taste @ rng.standard_normal((taste.shape[1], dim)).astype(np.float32)
    vectors += rng.standard_normal((n, dim)).astype(np.float32) * 3
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def stock(n: int, rng: np.random.Generator) -> tuple[Catalogue, dict[str, Matrix], float]:
    """A catalogue of n drawn products, their vectors, and microseconds for each product put."""
    taste = rng.standard_normal((n, 32)).astype(np.float32)
    vectors = {part: draw(n, dim, rng, taste) for part, dim in DIMS.items()}
    catalogue, put_s = Catalogue(), 0.0
    for number in range(n):
        product = Product(
            item_id=f"sku-{number}",
            title=" ".join(rng.choice(WORDS, 6)),
            description=" ".join(rng.choice(WORDS, 20)),
            category=("all", f"kind-{number % 100}", f"tenth-{number % 10}"),
            brand=f"brand-{number % 200}",
            price=Price(float(number % 500), "EUR"),
        )
        fields = CatalogueFields(SCHEMA, product, number, b"")
        packed = [pack_vector(vectors[part][number]) for part in DIMS]
        record = CatalogueVectors(SCHEMA, b"", number, "text", "image", *packed)
        start = time.perf_counter()
        catalogue.put_fields(fields)
        catalogue.put_vectors(product.item_id, record)
        put_s += time.perf_counter() - start
    return catalogue, vectors, 1e6 * put_s / n


def microseconds(ask: Callable[[int], object], repeats: int = 20) -> float:
    """The median of some calls, each with another query."""
    ask(0)
    taken = []
    for number in range(repeats):
        start = time.perf_counter()
        ask(number)
        taken.append(time.perf_counter() - start)
    return 1e6 * float(np.median(taken))


def flat(vectors: Matrix) -> Callable[[int], object]:
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return lambda number: index.search(vectors[number : number + 1], 10)


def measure(n: int) -> None:
    rng = np.random.default_rng(0)
    catalogue, vectors, put_us = stock(n, rng)
    text, image = vectors["text"], vectors["image"]
    cache = NeighbourCache(catalogue)
    cache.compute(f"sku-{number}" for number in range(20))
    tenth, narrow = (
        parse_filter({"category": ["tenth-3"]}),
        parse_filter({"category": ["kind-3"], "price": {"lte": 99}}),
    )
    rows: dict[str, Callable[[int], object]] = {
        "text": lambda i: search(catalogue, SearchQuery(text_vector=text[i])),
        "image": lambda i: search(catalogue, SearchQuery(image_vector=image[i])),
        "text and image": lambda i: search(catalogue, SearchQuery(text_vector=text[i], image_vector=image[i])),
        "words": lambda i: search(catalogue, SearchQuery(" ".join(WORDS[i : i + 3]))),
        "text and words": lambda i: search(catalogue, SearchQuery(" ".join(WORDS[i : i + 3]), text[i])),
        "text, 10 % allowed": lambda i: search(catalogue, SearchQuery(text_vector=text[i], filter=tenth)),
        "text, 0.2 % allowed": lambda i: search(catalogue, SearchQuery(text_vector=text[i], filter=narrow)),
        "similar to a product": lambda i: similar(catalogue, f"sku-{i}", 10),
        "neighbours from the cache": lambda i: cache.get(f"sku-{i}"),
    }
    print(f"\n{n:,} products ({put_us:.0f} µs to put one, fields and both vectors)\n")
    print("| query, 10 hits | µs |\n| --- | ---: |")
    for name, ask in rows.items():
        print(f"| {name} | {microseconds(ask):,.0f} |")
    for part in DIMS:
        print(f"| FAISS flat float32, {part} alone | {microseconds(flat(vectors[part])):,.0f} |")
    restarts(catalogue)


def restarts(catalogue: Catalogue) -> None:
    start = time.perf_counter()
    parts = catalogue_to_snapshot(catalogue)
    saved = time.perf_counter()
    catalogue_from_snapshot(parts)
    size = sum(map(len, parts.values())) / len(catalogue)
    load_s = time.perf_counter() - saved
    print(f"\nSnapshot: {saved - start:.1f} s to make, {load_s:.1f} s to load, {size:,.0f} bytes a product.")


def main() -> None:
    faiss.omp_set_num_threads(1)
    for n in (20_000, 100_000):
        measure(n)
    print(f"\nPeak memory of this script: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB.")


if __name__ == "__main__":
    main()
