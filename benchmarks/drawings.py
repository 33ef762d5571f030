"""The pictures of docs/search.md: `python -m benchmarks.drawings [examples] [marks] [index] [--folder docs/images]`.

`examples` searches the sample shop, whose drawings may be shown (OpenMoji, CC BY-SA 4.0). `marks` draws what the last
`make bench-search BENCH=marks` printed. `index` measures recall and speed at every breadth, which takes minutes.
"""

import argparse
import asyncio
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.search_index import (
    Ask,
    K,
    careful_hnsw,
    live,
    plain_hnsw,
    plain_ivf,
    queries_of,
    real_vectors,
    recall,
    seal,
    timed,
    truth,
)
from encoders.choose import encode_queries, image_encoder, text_encoder
from encoders.pictures import decode_picture
from gateway.demo.shop import OPENED_MS, SampleProduct, sample_shop
from gateway.demo.studio import CREDIT, picture
from recsys.catalogue import Catalogue
from recsys.records import SCHEMA, CatalogueFields, CatalogueVectors, pack_vector
from recsys.search import SearchQuery, search, similar
from recsys.types import Matrix
from streams.agents.content import text_of
from streams.agents.vectors import PICTURE_SIDE, Vectorizer
from streams.wire.product import read_product

N_PRODUCTS = 240
RESULTS = 6
BREADTHS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256)
MARKS = Path("build/bench/search_marks.txt")
GOALS = {
    "catalogue picture alone, R@1": 0.42,
    "catalogue picture alone, R@5": 0.80,
    "4 photos of each known, R@1": 0.65,
    "photo + category word, R@1": 0.70,
    "similar, same category, mAP": 0.92,
    "text → photos, product known, mAP": 0.66,
    "text → photos, product unknown, mAP": 0.50,
}


@dataclass(frozen=True)
class Asked:
    """A row of the drawing: what was asked, the picture in it, and the items found."""

    title: str
    shown: bytes | None
    found: Sequence[str]


class SampleSearch:
    """The sample shop in a catalogue, by its own texts and pictures; one in ten products is kept out."""

    def __init__(self) -> None:
        products = list(sample_shop(0, N_PRODUCTS))
        self.text, self.image = text_encoder("bundled"), image_encoder("bundled")
        self.by_id = {product.item_id: product for product in products}
        self.kept_out = products[::10]
        self.catalogue = Catalogue()
        out = {product.item_id for product in self.kept_out}
        self._fill([product for product in products if product.item_id not in out])
        self.catalogue.learn_sight()

    def _fill(self, products: Sequence[SampleProduct]) -> None:
        parsed = [read_product(product.message, OPENED_MS) for product in products]
        vectorizer = Vectorizer(self.text, self.image)
        made = asyncio.run(vectorizer.encode([*map(text_of, parsed)], [[product.picture()] for product in products]))
        vectorizer.close()
        for number, (product, (text, image)) in enumerate(zip(parsed, made, strict=True)):
            self.catalogue.put_fields(CatalogueFields(SCHEMA, product, number, b""))
            packed = pack_vector(text.vector), pack_vector(image.vector)
            self.catalogue.put_vectors(product.item_id, CatalogueVectors(SCHEMA, b"", number, "t", "i", *packed))

    def ask(self, text: str = "", shown: bytes | None = None) -> Asked:
        assert self.text is not None
        assert self.image is not None
        text_vector = encode_queries(self.text, [text])[0] if text else None
        image_vector = None if shown is None else self.image.encode([decode_picture(shown, PICTURE_SIDE)])[0]
        hits = search(self.catalogue, SearchQuery(text, text_vector, image_vector, n=RESULTS))
        title = " + ".join([*(["a picture"] if shown else []), *([f"“{text}”"] if text else [])])
        return Asked(title, shown, [hit.item_id for hit in hits])

    def like(self, item_id: str) -> Asked:
        found = [hit.item_id for hit in similar(self.catalogue, item_id, RESULTS)]
        return Asked("similar to", self.by_id[item_id].picture(), found)


def asked_of(shop: SampleSearch) -> Iterator[Asked]:
    """A text, a picture of what the shop does not have, as it would be held into a camera, the same with a word, and
    what is like a product."""
    yield shop.ask("something warm for the winter")
    purse = next(product for product in shop.kept_out if "purse" in str(product.message["title"]))
    tilted = replace(purse.look, tilt_degrees=20.0, is_mirrored=True, backdrop=purse.look.backdrop + 1)
    photo = picture(tilted)
    yield shop.ask(shown=photo)
    yield shop.ask("brown", shown=photo)
    shoes = (product for product in map(shop.catalogue.get, shop.catalogue) if product and "shoes" in product.title)
    yield shop.like(next(shoes).item_id)


def draw_examples(path: Path) -> None:
    shop = SampleSearch()
    rows = list(asked_of(shop))
    figure = Figure(figsize=(1.35 * (RESULTS + 1), 1.75 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), RESULTS + 1)
    for axes, row in zip(grid, rows, strict=True):
        _show(axes[0], row.shown, row.title, is_asked=True)
        for place, item_id in zip(axes[1:], row.found, strict=True):
            product = shop.by_id[item_id]
            _show(place, product.picture(), str(product.message["title"]))
    figure.supxlabel(f"{CREDIT}.", fontsize=6, color="0.4")
    _save(figure, path)


def _show(axes: Any, shown: bytes | None, title: str, is_asked: bool = False) -> None:
    axes.set_axis_off()
    if shown is None:
        axes.text(0.5, 0.5, _wrapped(title, 14), ha="center", va="center", fontsize=8, weight="bold")
        return
    axes.imshow(np.asarray(Image.open(io.BytesIO(shown)).resize((128, 128))))
    axes.set_title(_wrapped(title, 20), fontsize=6, weight="bold" if is_asked else "normal")


def _wrapped(text: str, width: int) -> str:
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + len(word) < width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


def draw_marks(path: Path) -> None:
    plain, ours = _marks(MARKS.read_text())
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(GOALS))
    axes.barh(places - 0.2, [plain.get(name, 0.0) for name in GOALS], 0.38, label="plain features", color="0.7")
    axes.barh(places + 0.2, [ours[name] for name in GOALS], 0.38, label="Freshet", color="#2a7f62")
    axes.scatter(list(GOALS.values()), places, marker="|", s=420, color="k", label="goal", zorder=3)
    axes.set_yticks(places, list(GOALS))
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower right", fontsize=7, markerscale=0.4)
    _save(figure, path)


def _marks(printed: str) -> tuple[dict[str, float], dict[str, float]]:
    """What `benchmarks.search_marks` printed of each goal, by plain features (where it has them) and by Freshet."""
    lines = [line for line in printed.splitlines() if line.startswith("|")]

    def figure(task: str, who: str, what: str) -> float:
        start = next(number for number, line in enumerate(lines) if task in line)
        line = next(line for line in lines[start:] if who in line)
        found = re.search(rf"{what} ?\|? ?([0-9.]+)", line) if what else re.findall(r"\| ([0-9.]+) \|", line)[-1]
        return float(found if isinstance(found, str) else found[1]) if found else 0.0

    photo, four = "photo (val) → product, from its", "with 4 photos of each"
    word = "photo + category word"
    plain = {
        "catalogue picture alone, R@1": figure(photo, "plain", "R@1"),
        "catalogue picture alone, R@5": figure(photo, "plain", "R@5"),
        "4 photos of each known, R@1": figure(four, "plain", "R@1"),
        "photo + category word, R@1": figure(word, "plain", "R@1"),
        "similar, same category, mAP": figure("similar: same", "plain text", ""),
    }
    ours = {
        "catalogue picture alone, R@1": figure(photo, "Freshet", "R@1"),
        "catalogue picture alone, R@5": figure(photo, "Freshet", "R@5"),
        "4 photos of each known, R@1": figure(four, "Freshet", "R@1"),
        "photo + category word, R@1": figure(word, "Freshet", "R@1"),
        "similar, same category, mAP": figure("similar: same", "Freshet, title and description", ""),
        "text → photos, product known, mAP": figure("text → photos", "product known", ""),
        "text → photos, product unknown, mAP": figure("text → photos", "product unknown", ""),
    }
    return plain, ours


def draw_index(path: Path, most: int) -> None:
    """Recall by queries a second among real vectors, at every breadth of our index and of plain FAISS's."""
    faiss.omp_set_num_threads(1)
    vectors = real_vectors(most)
    queries = queries_of(vectors)
    right = truth(vectors, queries)
    figure = Figure(figsize=(6.5, 4), layout="constrained")
    axes = figure.add_subplot()
    for name, ask_at, breadths in _indexes(vectors, queries):
        points = []
        for breadth in breadths:
            found, rate, _ = timed(ask_at(breadth), len(queries))
            points.append((recall(found, right), rate))
            print(f"| {name} | {breadth} | {points[-1][0]:.3f} | {rate:,.0f} |", flush=True)
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
    axes.set(
        xlabel=f"recall@{K} among {len(vectors):,} package descriptions",
        ylabel="queries a CPU second, one thread",
        yscale="log",
        xlim=(0.85, 1.002),
    )
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=7)
    _save(figure, path)


def _indexes(vectors: Matrix, queries: Matrix) -> Iterator[tuple[str, Callable[[int], Ask], tuple[int, ...]]]:
    index = live(vectors)
    seal(index)
    segment = index.segment("text", vectors.shape[1])
    assert segment is not None
    assert segment.cover is not None
    sealed = segment.cover.sealed

    def ours(breadth: int) -> Ask:
        sealed.breadth = breadth
        return lambda number: [int(item_id) for item_id, _ in index.search({"text": queries[number]}, K)]

    yield "Freshet, exact scores and ids included", ours, sealed.kind.breadths
    for made in (plain_hnsw, careful_hnsw, plain_ivf):
        name, rival, parameters = made(vectors)

        def theirs(breadth: int, rival: Any = rival, parameters: Any = parameters) -> Ask:
            asked = parameters(breadth)
            return lambda number: rival.search(queries[number : number + 1], K, params=asked)[1][0].tolist()  # type: ignore[no-any-return]

        yield f"plain FAISS {name}", theirs, BREADTHS


def _save(figure: Figure, path: Path) -> None:
    """As a PNG of 256 colours, a third of the size."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(buffer).convert("RGB").quantize(256).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} KB")


def draw() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["examples", "marks"], help="examples, marks, index")
    parser.add_argument("--real", type=int, default=100_000, help="real vectors at most, for the index")
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    asked = parser.parse_args()
    if "examples" in asked.what:
        draw_examples(asked.folder / "search-examples.png")
    if "marks" in asked.what:
        draw_marks(asked.folder / "search-marks.png")
    if "index" in asked.what:
        draw_index(asked.folder / "search-index.png", asked.real)


if __name__ == "__main__":
    draw()
