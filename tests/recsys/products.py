"""Catalogue records for tests: valid, small, and saying only what a test is about."""

from typing import Any

import numpy as np

from recsys.catalogue import Catalogue
from recsys.records import SCHEMA, CatalogueFields, CatalogueVectors, pack_vector
from recsys.types import Vector
from tests.builders import a_product


def unit(*numbers: float) -> Vector:
    """A vector of that direction, of length one."""
    vector = np.array(numbers, dtype=np.float32)
    return vector / np.float32(np.linalg.norm(vector) or 1)


def random_units(n: int, dim: int, seed: int = 0) -> Vector:
    drawn = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def fields(item_id: str = "lamp", offset: int = 0, **changes: Any) -> CatalogueFields:
    return CatalogueFields(SCHEMA, a_product(item_id, **changes), offset, b"content")


def vectors(
    text: Vector | None = None, image: Vector | None = None, offset: int = 0, encoder: str = "small"
) -> CatalogueVectors:
    packed = [b"" if vector is None else pack_vector(vector) for vector in (text, image)]
    return CatalogueVectors(SCHEMA, b"content", offset, encoder, encoder, packed[0], packed[1])


def stocked(*item_ids: str, **changes: Any) -> Catalogue:
    """A catalogue of products without vectors."""
    catalogue = Catalogue()
    for item_id in item_ids:
        catalogue.put_fields(fields(item_id, **changes))
    return catalogue
