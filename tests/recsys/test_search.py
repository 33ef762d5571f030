import pytest

from recsys.catalogue import Catalogue
from recsys.errors import DimensionError
from recsys.filters import parse_filter
from recsys.search import WORDS_BESIDE_A_PICTURE, WORDS_WEIGHT, SearchQuery, search, similar
from tests.recsys.products import fields, stocked, unit, vectors


def shop(**texts: tuple[float, ...]) -> Catalogue:
    """Products by id with the text vectors given."""
    catalogue = stocked(*texts)
    for item_id, numbers in texts.items():
        catalogue.put_vectors(item_id, vectors(unit(*numbers)))
    return catalogue


def ids(hits):
    return [hit.item_id for hit in hits]


def test_meaning_and_words_are_searched_together():
    catalogue = shop(lamp=(1, 0), candle=(0.9, 0.1), sofa=(0, 1))

    assert ids(search(catalogue, SearchQuery("sofa", unit(1, 0)))) == ["lamp", "candle", "sofa"]
    assert ids(search(catalogue, SearchQuery("candle", unit(1, 0)))) == ["candle", "lamp", "sofa"]


def test_words_are_searched_where_no_product_has_vectors_yet():
    assert ids(search(stocked("lamp", "sofa"), SearchQuery("sofa", unit(1, 0)))) == ["sofa"]


def test_a_query_of_nothing_finds_nothing():
    assert search(shop(lamp=(1, 0)), SearchQuery()) == []
    assert search(Catalogue(), SearchQuery("lamp", unit(1, 0))) == []


def test_excluded_hidden_and_filtered_products_are_not_found():
    catalogue = shop(lamp=(1, 0), candle=(1, 0), sofa=(1, 0), boot=(1, 0))
    catalogue.put_fields(fields("candle", available=False))
    wanted = parse_filter({"item_id": {"not_in": ["sofa"]}})

    query = SearchQuery("fine candle", unit(1, 0), filter=wanted, exclude=("boot",))
    assert ids(search(catalogue, query)) == ["lamp"]


def test_one_variant_of_each_product_is_found_however_many_there_are():
    catalogue = Catalogue()
    for number in range(200):
        catalogue.put_fields(fields(f"shirt-{number:03}", group_id="shirt"))
        catalogue.put_vectors(f"shirt-{number:03}", vectors(unit(1, 0.1)))
    for item_id in ("boot", "lamp"):
        catalogue.put_fields(fields(item_id))
        catalogue.put_vectors(item_id, vectors(unit(0.5, 1)))

    assert ids(search(catalogue, SearchQuery(text_vector=unit(1, 0.1), n=3))) == ["shirt-000", "boot", "lamp"]


def test_equal_scores_come_in_order_of_item_id_whatever_the_order_of_arrival():
    forth, back = ("boot", "lamp", "sofa"), ("sofa", "lamp", "boot")

    for order in (forth, back):
        catalogue = shop(**dict.fromkeys(order, (1, 0)))
        assert ids(search(catalogue, SearchQuery("fine", unit(1, 0), n=2))) == ["boot", "lamp"]


def test_beside_a_picture_a_word_counts_for_less():
    catalogue = stocked("lamp", title="Brass lantern")
    catalogue.put_vectors("lamp", vectors(image=unit(1, 0, 0)))

    (alone,) = search(catalogue, SearchQuery("brass"))
    (beside,) = search(catalogue, SearchQuery("brass", image_vector=unit(1, 0, 0)))

    assert beside.score == pytest.approx(1 + alone.score * WORDS_BESIDE_A_PICTURE / WORDS_WEIGHT)


def test_of_a_picture_and_a_text_the_picture_counts_for_more():
    catalogue = stocked("both", "looks", "reads")
    catalogue.put_vectors("both", vectors(unit(1, 0), unit(1, 0, 0)))
    catalogue.put_vectors("looks", vectors(unit(0, 1), unit(1, 0, 0)))
    catalogue.put_vectors("reads", vectors(text=unit(1, 0)))

    hits = search(catalogue, SearchQuery(text_vector=unit(1, 0), image_vector=unit(1, 0, 0)))
    assert [(hit.item_id, hit.score) for hit in hits] == [("both", 1.0), ("looks", 0.75), ("reads", 0.25)]


def test_a_vector_of_another_encoder_is_an_error_with_a_sentence():
    with pytest.raises(DimensionError, match="query's text vector has dimension 3, expected 2"):
        search(shop(lamp=(1, 0)), SearchQuery(text_vector=unit(1, 0, 0)))


def test_similar_products_leave_out_the_product_its_variants_and_what_is_hidden():
    catalogue = shop(boot=(1, 0.2), boot_red=(1, 0.2), shoe=(1, 0.3), clog=(1, 0.4), lamp=(-1, 0.2), sofa=(-1, 0.3))
    for item_id in ("boot", "boot_red"):
        catalogue.put_fields(fields(item_id, group_id="boot"))
    catalogue.put_fields(fields("clog", available=False))

    assert ids(similar(catalogue, "boot", 2)) == ["shoe", "lamp"]
    assert similar(catalogue, "unknown", 2) == []
    assert ids(similar(catalogue, "boot", 2, parse_filter({"item_id": {"in": ["lamp"]}}))) == ["lamp"]
