"""How good search is on real pictures: `python -m benchmarks.search_marks [--photos N]`.

81 groceries with a studio picture and a text each, and phone photos of them in a shop (`shared/data/grocery`). Products
go through the embed agent's own vectorizer into the catalogue, photos through the gateway's own code into
`recsys.search`; beside it what the network's features do plainly, by cosine. Everything was tuned on these photos, so
expect a little less on others; those of the data set's test split were never seen.
"""

import argparse
import asyncio
import csv
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.choose import encode_queries, image_encoder, text_encoder
from encoders.device import place
from encoders.image import efficientnet_lite0
from encoders.pictures import decode_picture
from encoders.product_pictures import is_on_plain_ground
from recsys.catalogue import Catalogue
from recsys.events import Product
from recsys.records import SCHEMA, CatalogueFields, CatalogueVectors, pack_vector
from recsys.running_mean import RunningMean
from recsys.search import SearchQuery, search, similar
from recsys.types import Matrix, Vector
from streams.agents.content import text_of
from streams.agents.vectors import Part, Vectorizer

DATA = Path(__file__).parents[2] / "shared" / "data" / "grocery"
SIDE = 256
FOLDS = 5


@dataclass(frozen=True)
class Picture:
    """A row of the manifest, and its vector."""

    item_id: str
    category: tuple[str, ...]
    data: bytes
    vector: Vector
    plain: Vector
    is_photo: bool


@dataclass
class Marks:
    """Ranks of the right answer, 1 the best."""

    ranks: NDArray[np.intp]

    def __str__(self) -> str:
        first, five = (self.ranks <= 1).mean(), (self.ranks <= 5).mean()
        return f"R@1 {first:.3f} | R@5 {five:.3f} | MRR {(1 / self.ranks).mean():.3f}"


class Shop:
    """The data, encoded once."""

    def __init__(self, most_photos: int) -> None:
        self.vectorizer = Vectorizer(text_encoder("bundled"), image_encoder("bundled"))
        with (DATA / "manifest.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        self.products = {row["class_id"]: _product(row) for row in rows if row["split"] == "iconic"}
        network = efficientnet_lite0(place("cpu"))
        image = self.vectorizer.image
        assert image is not None
        self.pictures: dict[str, list[Picture]] = {}
        started = time.process_time()
        for split in ("iconic", "val", "train"):
            self.pictures[split] = []
            for row in [row for row in rows if row["split"] == split][: None if split == "iconic" else most_photos]:
                data = (DATA / row["image"]).read_bytes()
                decoded = decode_picture(data, SIDE)
                vector, plain = image.encode([decoded])[0], network.encode([decoded])[0]
                category = tuple(row["category"].split("/"))
                self.pictures[split].append(
                    Picture(row["class_id"], category, data, vector, plain, not is_on_plain_ground(decoded))
                )
        n_pictures = sum(map(len, self.pictures.values()))
        self.seconds_each = (time.process_time() - started) / n_pictures

    def catalogue(self, pictures: dict[str, list[bytes]], texts: dict[str, str]) -> Catalogue:
        """Products with these pictures and texts, as the embed agent makes them."""
        ids = list(pictures)
        parts = asyncio.run(self.vectorizer.encode([texts.get(i, "") for i in ids], [pictures[i] for i in ids]))
        catalogue = Catalogue()
        for number, (item_id, (text, image)) in enumerate(zip(ids, parts, strict=True)):
            product = self.products.get(item_id, Product(item_id=item_id))
            catalogue.put_fields(CatalogueFields(SCHEMA, product, number, b""))
            catalogue.put_vectors(item_id, _record(number, text, image))
        catalogue.learn_sight()
        return catalogue

    def texts(self, batch: Sequence[str]) -> Matrix:
        assert self.vectorizer.text is not None
        return encode_queries(self.vectorizer.text, batch)


def _product(row: dict[str, str]) -> Product:
    category = tuple(row["category"].split("/"))
    return Product(item_id=row["class_id"], title=row["title"], description=row["description"], category=category)


def _record(number: int, text: Part, image: Part) -> CatalogueVectors:
    packed = pack_vector(text.vector), pack_vector(image.vector)
    return CatalogueVectors(SCHEMA, b"", number, "t", "i", *packed, (), tuple(map(pack_vector, image.pictures)))


def find(catalogue: Catalogue, photos: Sequence[Picture], words: bool = False, shop: Shop | None = None) -> Marks:
    """The right product's rank for each photo, in a fixed random order; with its category's name or not."""
    mean, ranks = RunningMean(), []
    for place_ in np.random.default_rng(0).permutation(len(photos)):
        photo = photos[place_]
        origin = None
        if photo.is_photo and catalogue.sight is not None:
            mean.add(photo.vector)
            origin = mean.value(catalogue.sight.lens.mean)
        text = photo.category[-1].replace("-", " ") if words else ""
        vector = shop.texts([text])[0] if shop is not None and text else None
        query = SearchQuery(text, vector, photo.vector, origin, n=len(catalogue))
        found = [hit.item_id for hit in search(catalogue, query)]
        ranks.append(found.index(photo.item_id) + 1 if photo.item_id in found else len(catalogue))
    return Marks(np.array(ranks))


def find_plainly(products: dict[str, Vector], photos: Sequence[Picture], extra: Matrix | None = None) -> Marks:
    """By the cosine of the network's features alone; `extra` is added to the scores at the same weight."""
    ids = list(products)
    matrix = np.stack([products[item_id] for item_id in ids])
    scores = np.stack([photo.plain for photo in photos]) @ matrix.T
    scores = scores if extra is None else scores + extra
    own = scores[np.arange(len(photos)), [ids.index(photo.item_id) for photo in photos]]
    return Marks((scores > own[:, None]).sum(axis=1) + 1)


def average_precision(is_right: Sequence[bool]) -> float:
    right = np.flatnonzero(is_right)
    return float((np.arange(1, len(right) + 1) / (right + 1)).mean()) if len(right) else 0.0


def of_a_kind(rankings: dict[str, list[str]], products: dict[str, Product]) -> float:
    """Mean average precision of products of the same category, over products that have any."""
    values = []
    for item_id, found in rankings.items():
        same = [products[other].category == products[item_id].category for other in found]
        if any(same):
            values.append(average_precision(same))
    return float(np.mean(values))


def ranked(ids: Sequence[str], scores: Matrix) -> dict[str, list[str]]:
    order = np.argsort(-scores, axis=1, kind="stable")
    return {item_id: [ids[at] for at in order[row] if at != row] for row, item_id in enumerate(ids)}


def photo_marks(shop: Shop) -> None:
    icons = shop.pictures["iconic"]
    texts = {item_id: text_of(product) for item_id, product in shop.products.items()}
    alone = shop.catalogue({icon.item_id: [icon.data] for icon in icons}, texts)
    plain = {icon.item_id: icon.plain for icon in icons}
    for split in ("val", "train"):
        print(
            f"| photo ({split}) → product, from its catalogue picture alone | plain features "
            f"| {find_plainly(plain, shop.pictures[split])} |"
        )
        print(f"| | Freshet | {find(alone, shop.pictures[split])} |")
    queries = shop.texts([photo.category[-1].replace("-", " ") for photo in shop.pictures["val"]])
    described = shop.texts([f"{p.title}. {p.description}" for p in (shop.products[i.item_id] for i in icons)])
    both = find_plainly(plain, shop.pictures["val"], queries @ described.T)
    print(f"| photo + category word → product | plain features | {both} |")
    print(f"| | Freshet | {find(alone, shop.pictures['val'], words=True, shop=shop)} |")
    more = {
        icon.item_id: [photo for photo in shop.pictures["train"] if photo.item_id == icon.item_id][:4] for icon in icons
    }
    if all(more.values()):
        five = shop.catalogue({i.item_id: [i.data, *(p.data for p in more[i.item_id])] for i in icons}, texts)
        means = {i.item_id: np.mean([i.plain, *(p.plain for p in more[i.item_id])], axis=0) for i in icons}
        means = {item_id: mean / np.linalg.norm(mean) for item_id, mean in means.items()}
        print(
            f"| photo → product, with 4 photos of each | plain features | {find_plainly(means, shop.pictures['val'])} |"
        )
        print(f"| | Freshet | {find(five, shop.pictures['val'])} |")


def similar_marks(shop: Shop) -> None:
    icons = shop.pictures["iconic"]
    ids = [icon.item_id for icon in icons]
    pictures = np.stack([icon.plain for icon in icons])
    described = {i: f"{shop.products[i].title}. {shop.products[i].description}" for i in ids}
    texts = shop.texts(list(described.values()))
    for name, scores in (("picture", pictures @ pictures.T), ("text", texts @ texts.T)):
        value = of_a_kind(ranked(ids, scores), shop.products)
        print(f"| similar: same category, mAP | plain {name} | {value:.3f} |")
    full = {item_id: text_of(product) for item_id, product in shop.products.items()}
    for name, of in (("title and description", described), ("the category's name in the text", full)):
        catalogue = shop.catalogue({icon.item_id: [icon.data] for icon in icons}, of)
        found = {item_id: [hit.item_id for hit in similar(catalogue, item_id, len(ids))] for item_id in ids}
        print(f"| | Freshet, {name} | {of_a_kind(found, shop.products):.3f} |")


def text_marks(shop: Shop) -> None:
    """A product's text → photos without a text: the shop's other products, photos of the same or not, have both."""
    texts = {item_id: f"{product.title}. {product.description}" for item_id, product in shop.products.items()}
    photos = shop.pictures["val"]
    seen = _text_to_photos(shop, set(), photos, texts)
    ids = sorted(shop.products, key=int)
    unseen = [value for fold in range(FOLDS) for value in _text_to_photos(shop, set(ids[fold::FOLDS]), photos, texts)]
    print(f"| text → photos, mAP | Freshet, other photos of the product known | {np.mean(seen):.3f} |")
    print(f"| | Freshet, product unknown (one fifth of them at a time) | {np.mean(unseen):.3f} |")


def _text_to_photos(shop: Shop, unknown: set[str], photos: Sequence[Picture], texts: dict[str, str]) -> list[float]:
    """Average precision of each product's text over the photos: of the unknown ones, or of all where none is."""
    known = [p for split in ("iconic", "train") for p in shop.pictures[split] if p.item_id not in unknown]
    wanted = [photo for photo in photos if photo.item_id in unknown or not unknown]
    catalogue = Catalogue()
    vectors = dict(zip(texts, shop.texts(list(texts.values())), strict=True))
    for number, picture in enumerate([*known, *wanted]):
        item_id = f"p-{number}"
        catalogue.put_fields(CatalogueFields(SCHEMA, Product(item_id=item_id), number, b""))
        text = Part(vectors[picture.item_id] if number < len(known) else np.zeros(0, np.float32))
        catalogue.put_vectors(item_id, _record(number, text, Part(picture.vector)))
    catalogue.learn_sight()
    of_photo = {f"p-{len(known) + number}": photo.item_id for number, photo in enumerate(wanted)}
    exclude = {f"p-{number}" for number in range(len(known))}
    values = []
    for item_id in sorted({photo.item_id for photo in wanted}):
        query = SearchQuery(text_vector=vectors[item_id], n=len(wanted), exclude=exclude)
        values.append(average_precision([of_photo[hit.item_id] == item_id for hit in search(catalogue, query)]))
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=2_000, help="of each split at most; fewer are quicker")
    shop = Shop(parser.parse_args().photos)
    print("\n| task | with | mark |\n| --- | --- | --- |")
    photo_marks(shop)
    similar_marks(shop)
    text_marks(shop)
    print(
        f"\nDecoding and encoding, ours and the plain one together: {1e3 * shop.seconds_each:.0f} ms of CPU a picture."
    )


if __name__ == "__main__":
    main()
