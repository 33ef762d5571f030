"""What an index learns of its pictures: the lens, the bridge to texts, and search through them against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.catalogue import Catalogue
from recsys.events import Product
from recsys.ids import ItemIds
from recsys.index.aim import nearest, total
from recsys.index.bridge import fit_bridge
from recsys.index.lens import Lens, fit_lens
from recsys.index.live import LiveIndex
from recsys.index.sighting import Sighting
from recsys.records import SCHEMA, CatalogueFields, CatalogueVectors, pack_vector

IMAGE_DIM, TEXT_DIM = 12, 7


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def drawn(n, seed=0, noise=0.3):
    """Pictures and texts of products that share what they show; pictures also share what all pictures have."""
    rng = np.random.default_rng(seed)
    shown = rng.standard_normal((n, 4))
    images = shown @ rng.standard_normal((4, IMAGE_DIM)) + noise * rng.standard_normal((n, IMAGE_DIM)) + 2
    texts = shown @ rng.standard_normal((4, TEXT_DIM)) + noise * rng.standard_normal((n, TEXT_DIM))
    return unit(images), unit(texts)


def an_index(images, texts, no_image=(), no_text=()):
    index = LiveIndex(ItemIds())
    for number, (image, text) in enumerate(zip(images, texts, strict=True)):
        if number not in no_text:
            index.put(f"p-{number:03}", "text", text, "t")
        if number not in no_image:
            index.put(f"p-{number:03}", "image", image, "i")
    return index


def learn(index, pictures=()):
    sighting = Sighting(index, pictures)
    sighting.fit()
    assert sighting.put_in_use()
    return index


def test_a_lens_overlooks_how_pictures_of_one_product_differ():
    rng = np.random.default_rng(0)
    products = rng.standard_normal((40, IMAGE_DIM))
    light = rng.standard_normal(IMAGE_DIM)
    groups = [(product + rng.standard_normal((4, 1)) * 3 * light).astype(np.float32) for product in products]
    lens = fit_lens(np.zeros(IMAGE_DIM, np.float32), groups)
    bright, dark = np.stack([products[0] + light, products[0] - light]).astype(np.float32)
    seen = lens.seen(np.stack([bright, dark]))

    assert unit(bright) @ unit(dark) < 0.5
    assert unit(seen[0]) @ unit(seen[1]) > 0.7


def test_a_lens_of_few_products_is_their_mean_alone():
    mean = np.ones(3, np.float32)
    lens = fit_lens(mean, [np.zeros((2, 3), np.float32)] * 7)

    assert len(lens.basis) == 0
    assert np.array_equal(lens.seen(np.full((1, 3), 3, np.float32)), [[2, 2, 2]])


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(0, 4))
def test_the_aim_of_a_lens_gives_the_cosine_of_what_is_seen(seed, rank):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((6, 6)))[0][:rank].astype(np.float32)
    lens = Lens(rng.standard_normal(6).astype(np.float32), basis, rng.uniform(0.1, 1, rank).astype(np.float32))
    query, row, origin = rng.standard_normal((3, 6)).astype(np.float32)
    expected = unit(lens.seen(query[None], origin)[0]) @ unit(lens.seen(row[None])[0])

    score = lens.aim(query, origin) @ (row - lens.mean) / lens.lengths(row[None])[0]

    assert score == pytest.approx(expected, abs=1e-4)


@settings(deadline=None)  # each fits a sight
@given(st.integers(0, 30), st.integers(1, 40), st.sampled_from(["text", "image", "both"]))
def test_search_through_a_sight_is_brute_force_over_all_rows(seed, k, kind):
    images, texts = drawn(120, seed)
    index = learn(an_index(images, texts, no_image=range(0, 20), no_text=range(20, 50)))
    rng = np.random.default_rng(seed)
    parts = {"text": unit(rng.standard_normal(TEXT_DIM)), "image": unit(rng.standard_normal(IMAGE_DIM) + 2)}
    parts = parts if kind == "both" else {kind: parts[kind]}
    allowed = rng.random(120) < 0.7
    aims = index.aims(parts)

    rows, scores = nearest(aims, k, allowed)

    every = np.flatnonzero(allowed)
    best = np.sort(total(aims, every))[::-1][:k]
    assert np.sort(scores)[::-1][: len(best)] == pytest.approx(best, abs=1e-6)
    assert allowed[rows].all()


def test_a_text_finds_a_product_that_has_only_a_picture():
    images, texts = drawn(200, noise=0.1)
    index = learn(an_index(images, texts, no_text=range(0, 20)))
    found = [index.search({"text": texts[number]}, 10) for number in range(20)]

    hits = [f"p-{number:03}" in [item_id for item_id, _ in hits] for number, hits in enumerate(found)]
    assert np.mean(hits) > 0.5


def test_a_picture_finds_a_product_that_has_only_a_text():
    images, texts = drawn(200, noise=0.1)
    index = learn(an_index(images, texts, no_image=range(0, 20)))
    found = [index.search({"image": images[number]}, 10) for number in range(20)]

    hits = [f"p-{number:03}" in [item_id for item_id, _ in hits] for number, hits in enumerate(found)]
    assert np.mean(hits) > 0.5


def test_no_bridge_is_built_between_pictures_and_texts_that_have_nothing_in_common():
    images, _ = drawn(200, seed=1)
    _, texts = drawn(200, seed=2)
    lens = fit_lens(images.mean(axis=0), [])

    assert fit_bridge(images, texts, lens) is None


def test_what_changes_while_a_sight_is_learned_is_measured_too():
    images, texts = drawn(60)
    index = an_index(images, texts)
    sighting = Sighting(index, [])
    sighting.fit()
    index.put("late", "image", images[0], "i")
    index.put("p-001", "image", images[0], "i")
    sighting.put_in_use()
    index.put("later", "image", images[0], "i")

    same = [score for item_id, score in index.search({"image": images[0]}, 4)]
    assert same == pytest.approx([same[0]] * 4, abs=1e-3)


def test_a_sight_outlives_numbering_anew():
    images, texts = drawn(60)
    index = learn(an_index(images, texts, no_text=range(10)))
    query = {"text": texts[3]}
    before = index.search(query, 50)

    moved = index.renumbered(np.arange(60)[::-1].astype(np.intp))

    assert [item_id for item_id, _ in moved.search(query, 50)] == [item_id for item_id, _ in before]


def test_a_catalogue_learns_from_pictures_of_its_products_and_knows_when_to_again():
    rng = np.random.default_rng(0)
    catalogue = Catalogue()
    assert not catalogue.sight_is_due
    for number in range(20):
        several = unit(rng.standard_normal((3, IMAGE_DIM)))
        catalogue.put_fields(CatalogueFields(SCHEMA, Product(item_id=f"p-{number}"), number, b""))
        pictures = tuple(map(pack_vector, several))
        catalogue.put_vectors(
            f"p-{number}",
            CatalogueVectors(SCHEMA, b"", number, "", "i", b"", pack_vector(unit(several.sum(0))), (), pictures),
        )
    assert catalogue.sight_is_due

    assert catalogue.learn_sight()

    assert not catalogue.sight_is_due
    assert catalogue.sight is not None
    assert len(catalogue.sight.lens.basis) > 0
