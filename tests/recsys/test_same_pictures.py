"""Products that show the same picture, beside comparing every pair."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.catalogue import Catalogue
from recsys.catalogue_snapshot import catalogue_from_snapshot, catalogue_to_snapshot
from recsys.events import Product
from recsys.records import SCHEMA, CatalogueFields, CatalogueVectors, pack_vector
from recsys.same_pictures import MOST_BITS as BITS
from recsys.same_pictures import alike_looks, same_pictures

LEAF, SHOE, BOX = (look.tobytes() for look in np.random.default_rng(0).integers(0, 256, (3, 8), dtype=np.uint8))
RED, GREEN = np.eye(2, dtype=np.float32)


def pairwise(looks, most_bits):
    """Groups by comparing each with each, joined until nothing changes."""
    near = np.bitwise_count(looks[:, None] ^ looks[None]) <= most_bits
    group = np.arange(len(looks))
    while True:
        joined = np.array([group[near[row]].min() for row in range(len(looks))])
        if np.array_equal(joined, group):
            break
        group = joined
    return sorted(np.flatnonzero(group == name).tolist() for name in set(group.tolist()) if (group == name).sum() > 1)


@given(st.data())
def test_groups_are_those_that_comparing_every_pair_gives(data):
    first = data.draw(st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=12))
    turned = [look ^ sum(1 << bit for bit in data.draw(st.sets(st.integers(0, 63), max_size=11))) for look in first]
    looks = np.array(first + turned, np.uint64)

    assert sorted(sorted(group) for group in alike_looks(looks, BITS)) == pairwise(looks, BITS)


def test_bits_turned_all_over_a_look_are_found_as_those_at_one_end():
    spread = sum(1 << (place * 64 // BITS + 5) for place in range(BITS))
    looks = np.array([0, spread, (1 << BITS) - 1], np.uint64)

    assert [sorted(group) for group in alike_looks(looks, BITS)] == [[0, 1, 2]]


def test_nothing_is_alike_where_there_is_nothing():
    assert alike_looks(np.zeros(0, np.uint64), BITS) == []
    assert same_pictures(Catalogue()) == []


def a_catalogue(*shown):
    """Products with a look and a vector each."""
    catalogue = Catalogue()
    for number, (product, look, vector) in enumerate(shown):
        catalogue.put_fields(CatalogueFields(SCHEMA, product, number, b""))
        packed = b"" if vector is None else pack_vector(vector)
        record = CatalogueVectors(SCHEMA, b"", number, "", "i", b"", packed, look=look)
        catalogue.put_vectors(product.item_id, record)
    return catalogue


def named(item_id, **fields):
    return Product(item_id=item_id, **fields)


def with_bits_turned(look, n):
    return (np.frombuffer(look, np.uint64) ^ np.uint64((1 << n) - 1)).tobytes()


def test_a_placeholder_of_many_products_is_one_group_and_comes_first():
    shown = [("a", SHOE), ("b", BOX), ("c", BOX), ("d", SHOE), ("e", LEAF), ("f", BOX)]

    catalogue = a_catalogue(*[(named(item_id), look, RED) for item_id, look in shown])

    assert same_pictures(catalogue) == [["b", "c", "f"], ["a", "d"]]


def test_a_picture_that_was_compressed_again_is_the_same():
    catalogue = a_catalogue((named("a"), LEAF, RED), (named("b"), with_bits_turned(LEAF, BITS), RED))
    others = a_catalogue((named("a"), LEAF, RED), (named("b"), with_bits_turned(LEAF, BITS + 1), RED))

    assert same_pictures(catalogue) == [["a", "b"]]
    assert same_pictures(others) == []


def test_pictures_of_another_colour_are_others():
    catalogue = a_catalogue(
        (named("a"), LEAF, RED), (named("b"), LEAF, GREEN), (named("c"), LEAF, RED), (named("d"), LEAF, None)
    )

    assert same_pictures(catalogue) == [["a", "c"]]


def test_thousands_of_copies_are_one_group():
    catalogue = a_catalogue(*[(named(f"sku-{number}"), LEAF, RED) for number in range(3_000)])

    (group,) = same_pictures(catalogue)

    assert len(group) == 3_000


def test_variants_of_one_product_may_share_a_picture_but_not_with_another_product():
    variants = [(named(f"v-{number}", group_id="g"), LEAF, RED) for number in range(3)]

    assert same_pictures(a_catalogue(*variants)) == []
    assert same_pictures(a_catalogue(*variants, (named("x"), LEAF, RED))) == [["v-0", "v-1", "v-2", "x"]]


def test_what_is_hidden_or_was_embedded_before_looks_were_known_is_left_out():
    catalogue = a_catalogue((named("a"), LEAF, RED), (named("b", available=False), LEAF, RED), (named("c"), b"", RED))

    assert same_pictures(catalogue) == []


def test_looks_outlast_a_snapshot():
    catalogue = a_catalogue((named("a"), LEAF, RED), (named("b"), LEAF, RED))

    assert same_pictures(catalogue_from_snapshot(catalogue_to_snapshot(catalogue))) == [["a", "b"]]
