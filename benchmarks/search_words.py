"""Known-item search by words: `python -m benchmarks.search_words [--queries N]`.

3,600 real titles (UCI Online Retail); a query is some words of a title, or three with a typing mistake in one of them.
Printed is the mean reciprocal rank of the title, by words alone and by words and the bundled text encoder's vectors.
"""

import argparse
import csv
import lzma
from pathlib import Path

import numpy as np

from encoders.choose import encode_queries, text_encoder
from recsys.catalogue import Catalogue
from recsys.events import Product
from recsys.records import SCHEMA, CatalogueFields, CatalogueVectors, pack_vector
from recsys.search import SearchQuery, search
from recsys.words import tokens

DATA = Path(__file__).parents[2] / "shared" / "data" / "online-retail" / "items.csv.xz"
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def mistyped(word: str, rng: np.random.Generator) -> str:
    """One letter missing, too many, wrong, or two swapped."""
    at = int(rng.integers(1, len(word) - 1))
    letter = LETTERS[rng.integers(0, 26)]
    return [
        word[:at] + word[at + 1 :],
        word[:at] + letter + word[at:],
        word[:at] + letter + word[at + 1 :],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    ][int(rng.integers(0, 4))]


def queries_of(titles: dict[str, str], n: int, n_words: int, *, mistakes: bool) -> list[tuple[str, str]]:
    """Item ids with the query that looks for each."""
    rng = np.random.default_rng(0)
    made = []
    for item_id in rng.permutation(list(titles)):
        words = [word for word in tokens(titles[item_id]) if word.isalpha()]
        long = [place for place, word in enumerate(words) if len(word) >= 5]
        if len(words) < n_words or not long:
            continue
        chosen = [int(rng.choice(long))]
        chosen += [int(p) for p in rng.permutation([p for p in range(len(words)) if p != chosen[0]])[: n_words - 1]]
        typed = [mistyped(words[p], rng) if mistakes and p == chosen[0] else words[p] for p in sorted(chosen)]
        made.append((str(item_id), " ".join(typed)))
    return made[:n]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=1_000)
    n_queries = parser.parse_args().queries
    with lzma.open(DATA, "rt", newline="") as file:
        titles = {row["item"]: row["text"] for row in csv.DictReader(file)}
    encoder = text_encoder("bundled")
    assert encoder is not None
    catalogue = Catalogue()
    for number, (item_id, vector) in enumerate(zip(titles, encoder.encode(list(titles.values())), strict=True)):
        product = Product(item_id=f"item-{item_id}", title=titles[item_id])
        catalogue.put_fields(CatalogueFields(SCHEMA, product, number, b""))
        record = CatalogueVectors(SCHEMA, b"", number, "t", "", pack_vector(vector), b"")
        catalogue.put_vectors(product.item_id, record)
    print("\n| query | words alone | vectors alone | both |\n| --- | ---: | ---: | ---: |")
    for name, n_words, mistakes in (("two words", 2, False), ("three, one mistyped", 3, True)):
        made = queries_of(titles, n_queries, n_words, mistakes=mistakes)
        vectors = encode_queries(encoder, [text for _, text in made])
        marks: list[list[float]] = [[], [], []]
        for (item_id, text), vector in zip(made, vectors, strict=True):
            asked = (SearchQuery(text, n=50), SearchQuery("", vector, n=50), SearchQuery(text, vector, n=50))
            for mark, query in zip(marks, asked, strict=True):
                found = [hit.item_id for hit in search(catalogue, query)]
                place = f"item-{item_id}"
                mark.append(1 / (found.index(place) + 1) if place in found else 0.0)
        print(f"| {name} | " + " | ".join(f"{np.mean(mark):.3f}" for mark in marks) + " |", flush=True)


if __name__ == "__main__":
    main()
