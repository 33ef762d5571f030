"""What the bundled encoders reach on real pictures and texts."""

import csv

import numpy as np
import pytest

from encoders.device import place
from encoders.image import efficientnet_lite0
from encoders.pictures import decode_picture
from encoders.text import minilm


@pytest.fixture(scope="module")
def grocery(real_data):
    with (real_data / "grocery" / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_phone_photo_finds_its_product(grocery, real_data):
    """Every fourth of the validation photos; 0.28 of all of them find theirs first among 81."""
    encoder = efficientnet_lite0(place("cpu"))

    def encode(rows):
        return encoder.encode(
            [decode_picture((real_data / "grocery" / row["image"]).read_bytes(), 256) for row in rows]
        )

    products = [row for row in grocery if row["split"] == "iconic"]
    photos = [row for row in grocery if row["split"] == "val"][::4]
    found = np.argmax(encode(photos) @ encode(products).T, axis=1)

    hits = [products[place]["class_id"] == photo["class_id"] for place, photo in zip(found, photos, strict=True)]
    assert np.mean(hits) >= 0.25


def test_a_description_finds_another_of_its_kind(grocery):
    """Among 81 products of 43 kinds, by the description alone."""
    encoder = minilm(place("cpu"))
    products = [row for row in grocery if row["split"] == "iconic"]
    vectors = encoder.encode([row["description"] for row in products])
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -1)

    hits = [products[a]["category"] == products[b]["category"] for a, b in enumerate(np.argmax(scores, axis=1))]
    assert np.mean(hits) >= 0.5
