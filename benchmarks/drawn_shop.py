"""A drawn shop of any size for measurements: products, vectors and factors that agree, shoppers with tastes."""

import json
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gateway.demo.procedural import procedural_products
from recsys.als.model import Factors
from recsys.records import (
    SCHEMA,
    CatalogueFields,
    CatalogueVectors,
    encode_record,
    fields_key,
    pack_vector,
    vectors_key,
)
from recsys.types import Matrix
from streams import topics
from streams.log.base import NewRecord
from streams.log.partitioner import partition_of
from streams.settings import Settings
from streams.wire.factors import Generation, encode_generation, version_of
from streams.wire.product import parse_product

TEXT_DIM = 384
N_FACTORS = 64
NOW_MS = 1_790_000_000_000
TASTES = 3
"""Kinds of products that each shopper likes; eight of ten clicks fall on them."""


class DrawnShop:
    """A catalogue, a model and clicks that belong together; the same for the same numbers.

    A product's kind is its shape and colour. Products of a kind lie near each other in text vectors and in factors;
    within a kind a few are bought far more than the rest, and these have the largest factors, as trained ones do.
    """

    def __init__(self, n_products: int, n_users: int, seed: int = 0) -> None:
        self.n_users = n_users
        self.products = list(procedural_products(n_products))
        self.item_ids = [product["item_id"] for product in self.products]
        self._rng = np.random.default_rng(seed)
        names = [f"{product['attributes']['colour']} {product['attributes']['shape']}" for product in self.products]
        self.n_kinds = len(set(names))
        self.kinds = np.unique(names, return_inverse=True)[1]
        members = [np.flatnonzero(self.kinds == kind) for kind in range(self.n_kinds)]
        self._members = members
        self._weights = [_zipf(len(rows)) for rows in members]
        self._popular = np.zeros(n_products)
        for rows, weights in zip(members, self._weights, strict=True):
            self._popular[rows] = weights
        self._tastes = self._rng.integers(self.n_kinds, size=(n_users, TASTES))

    def factors(self) -> Factors:
        spread = self._around_kinds(N_FACTORS, noise=0.6)
        norms = 0.1 + self._popular**0.3
        rows = (spread * norms[:, None]).astype(np.float32)
        item_ids = tuple(self.item_ids)
        return Factors(version_of(1, item_ids, rows), item_ids, rows, regularization=0.05)

    def generation(self) -> Generation:
        """The factors as the trainer publishes them."""
        return encode_generation(self.factors(), None, trained_at_ms=NOW_MS, n_events=100_000, offsets={})

    def catalog_records(self, settings: Settings) -> Iterator[NewRecord]:
        """What the embed agent writes: fields and a text vector of each product."""
        topic = settings.topic_prefix + topics.CATALOG
        vectors = self._around_kinds(TEXT_DIM, noise=1.0)
        for row, message in enumerate(self.products):
            product = parse_product(json.dumps(message).encode(), record_ts_ms=NOW_MS)
            item_id, content = product.item_id, b"%016d" % row
            partition = partition_of(item_id.encode(), settings.partitions)
            fields = CatalogueFields(SCHEMA, product, row, content)
            yield NewRecord(topic, fields_key(item_id), encode_record(fields), partition)
            packed = CatalogueVectors(SCHEMA, content, row, "drawn", "", pack_vector(vectors[row]), b"")
            yield NewRecord(topic, vectors_key(item_id), encode_record(packed), partition)

    def click_items(self, users: NDArray[np.intp]) -> list[str]:
        """One item for each user's next click."""
        rng = self._rng
        liked = self._tastes[users, rng.integers(TASTES, size=len(users))]
        kinds = np.where(rng.random(len(users)) < 0.8, liked, rng.integers(self.n_kinds, size=len(users)))
        return [self.item_ids[rng.choice(self._members[kind], p=self._weights[kind])] for kind in kinds.tolist()]

    def click_users(self, n: int) -> NDArray[np.intp]:
        """Users of n clicks: all of them in drawn order, then all again, so that one user's clicks lie far apart."""
        rounds = [self._rng.permutation(self.n_users) for _ in range(n // self.n_users + 1)]
        return np.concatenate(rounds)[:n]

    def random_users(self, n: int) -> NDArray[np.intp]:
        return self._rng.integers(self.n_users, size=n)

    def _around_kinds(self, dim: int, noise: float) -> Matrix:
        """Unit vectors, each near the middle of its kind."""
        middles = self._rng.standard_normal((self.n_kinds, dim), dtype=np.float32)
        vectors = middles[self.kinds]
        vectors += noise * self._rng.standard_normal(vectors.shape, dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


def user_id(number: int) -> str:
    return f"u-{number:06d}"


def click_value(event_id: str, user: str, item_id: str, sent_ns: int) -> bytes:
    """A click of about 130 bytes in the contract's spelling, with the time it was sent at."""
    return (
        f'{{"event_id":"{event_id}","user_id":"{user}","item_id":"{item_id}","type":"click",'
        f'"ts":{sent_ns // 1_000_000},"sent_ns":{sent_ns}}}'
    ).encode()


def _zipf(n: int) -> NDArray[np.float64]:
    weights = 1.0 / np.arange(1, n + 1)
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares
