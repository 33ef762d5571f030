"""What ranking brings to a search, and its weights: `python -m benchmarks.search_ranking [--queries N]`.

A shop's real log (UCI Online Retail): the first 80 % of the events are learned, then each event is a search for the
product bought, by one or two words of its title. The weights are learned from the searches up to 90 %, by softmax
cross-entropy within the answer. Printed is the mean reciprocal rank of the product in the searches after that.
"""

import argparse
import csv
import lzma
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy.optimize
import threadpoolctl

from encoders.choose import encode_queries, text_encoder
from gateway.cli.evaluate import freshet, read_clicks
from recsys.catalogue import Catalogue
from recsys.evaluation.order import Protocol, arrange
from recsys.events import Click, Price, Product
from recsys.history import UserState
from recsys.records import SCHEMA, CatalogueFields, CatalogueVectors, pack_vector
from recsys.search import SearchQuery, search
from recsys.search_ranking import CONSIDERED, FEATURES, Evidence, Features, features
from recsys.search_ranking import LEARNED as IN_USE
from recsys.types import Matrix, Vector
from recsys.words import tokens
from streams.event_files import ColumnNames
from streams.settings import read_settings

DATA = Path(__file__).parents[2] / "shared" / "data" / "online-retail"
NAMES = ColumnNames("user", "item", "ts", "basket", "type", "value")
LEARNED, UP_TO = 0.8, 0.9
Answer = tuple[Vector, Features, int]
"""Relevance and features of what was found, and the place of what was looked for; -1 where it was not found."""


def rows_of(name: str) -> list[dict[str, str]]:
    with lzma.open(DATA / name, "rt", newline="") as file:
        return list(csv.DictReader(file))


def stocked(titles: dict[str, str], clicks: list[Click], vectors: Matrix) -> Catalogue:
    """Each product with its title, the first price that it was sold at, and the time of its first sale."""
    prices: dict[str, float] = {}
    for row in rows_of("events.csv.xz"):
        prices.setdefault(row["item"], float(row["price"]))
    first: dict[str, int] = {}
    for click in clicks:
        first[click.item_id] = min(first.get(click.item_id, click.ts_ms), click.ts_ms)
    catalogue = Catalogue()
    for number, (item_id, vector) in enumerate(zip(titles, vectors, strict=True)):
        price = Price(prices[item_id], "GBP") if item_id in prices else None
        product = Product(item_id=item_id, title=titles[item_id], price=price, created_at_ms=first.get(item_id))
        catalogue.put_fields(CatalogueFields(SCHEMA, product, number, b""))
        catalogue.put_vectors(item_id, CatalogueVectors(SCHEMA, b"", number, "t", "", pack_vector(vector), b""))
    return catalogue


def query_of(title: str, rng: np.random.Generator) -> str:
    words = [word for word in dict.fromkeys(tokens(title)) if word.isalpha() and len(word) > 2]
    n_words = min(len(words), int(rng.integers(1, 3)))
    return " ".join(words[place] for place in sorted(rng.permutation(len(words))[:n_words].tolist()))


def answers(n_queries: int, *, repeat: bool) -> Iterator[tuple[float, Answer]]:
    """For each search the share of the log that was learned before it, and what it found."""
    protocol = Protocol(repeat=repeat, shuffle=0)
    clicks, _ = read_clicks(DATA / "events.csv.xz", NAMES, None)
    log = arrange(clicks, protocol)
    titles = {row["item"]: row["text"] for row in rows_of("items.csv.xz")}
    encoder = text_encoder("bundled")
    assert encoder is not None
    catalogue = stocked(titles, clicks, encoder.encode(list(titles.values())))
    ours, rng = freshet(read_settings(), protocol, []), np.random.default_rng(0)
    learner = ours.learner
    begin = int(LEARNED * log.n_events)
    asked = set(rng.choice(np.arange(begin, log.n_events), n_queries, replace=False).tolist())
    for number, (click,) in enumerate(log.groups):
        if number == begin:
            ours.begin()
        text = query_of(titles.get(click.item_id, ""), rng) if number in asked else ""
        if text:
            query = SearchQuery(text, encode_queries(encoder, [text])[0], n=CONSIDERED)
            hits = [hit for hit in search(catalogue, query) if _is_sold(catalogue, hit.item_id, click.ts_ms)]
            state = learner.states.get(click.user_id) or UserState()
            learner.look()
            made = features(hits, state, Evidence(learner.views, catalogue, learner.policy, click.ts_ms))
            ids = [hit.item_id for hit in hits]
            place = ids.index(click.item_id) if click.item_id in ids else -1
            yield number / log.n_events, (np.array([hit.score for hit in hits], np.float32), made, place)
        ours.learn(click, 0)


def _is_sold(catalogue: Catalogue, item_id: str, now_ms: int) -> bool:
    product = catalogue.get(item_id)
    return product is not None and product.created_at_ms is not None and product.created_at_ms <= now_ms


def learn(lessons: list[Answer]) -> Vector:
    """Weights beside a relevance that weighs 1."""
    found = [lesson for lesson in lessons if lesson[2] >= 0]

    def loss(weights: Vector) -> tuple[float, Vector]:
        total, gradient = 0.0, np.zeros(len(weights))
        for relevance, given, place in found:
            columns = np.column_stack([relevance, given])
            scores = columns @ weights
            odds = np.exp(scores - scores.max())
            odds /= odds.sum()
            total -= float(np.log(odds[place]))
            gradient += odds @ columns - columns[place]
        total, gradient = total / len(found), gradient / len(found)
        return total + 1e-4 * float(weights @ weights), gradient + 2e-4 * weights

    bounds = [(0.0, None)] * (1 + len(FEATURES))
    start = np.ones(1 + len(FEATURES))
    fitted = scipy.optimize.minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    return np.asarray(fitted[1:] / fitted[0], dtype=np.float32)


def reciprocal_rank(measured: list[Answer], weights: Vector) -> float:
    marks = []
    for relevance, given, place in measured:
        scores = relevance + given @ weights
        marks.append(0.0 if place < 0 else 1 / (1 + np.count_nonzero(scores > scores[place])))
    return float(np.mean(marks))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=6_000)
    n_queries = parser.parse_args().queries
    for name, repeat in (("products the user did not have", False), ("any product", True)):
        with threadpoolctl.threadpool_limits(1):
            made = list(answers(n_queries, repeat=repeat))
        lessons = [answer for share, answer in made if share < UP_TO]
        measured = [answer for share, answer in made if share >= UP_TO]
        weights = learn(lessons)
        print(f"\n{name}: {len(lessons):,} searches learned from, {len(measured):,} measured\n")
        print("| ranked by | MRR | weight |\n| --- | ---: | ---: |")
        print(f"| relevance alone | {reciprocal_rank(measured, np.zeros_like(weights)):.3f} | 1 |")
        for at, feature in enumerate(FEATURES):
            alone = np.zeros_like(weights)
            alone[at] = weights[at]
            print(f"| and {feature} | {reciprocal_rank(measured, alone):.3f} | {weights[at]:.3f} |")
        print(f"| and all of these | {reciprocal_rank(measured, weights):.3f} | |")
        print(f"| and all, by the weights in use | {reciprocal_rank(measured, IN_USE.row):.3f} | |", flush=True)


if __name__ == "__main__":
    main()
