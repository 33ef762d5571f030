import pytest

from recsys.catalogue import Catalogue
from recsys.catalogue_snapshot import catalogue_from_snapshot, catalogue_to_snapshot
from recsys.errors import SnapshotError
from recsys.search import SearchQuery, search
from tests.recsys.products import fields, random_units, vectors


def a_shop() -> Catalogue:
    catalogue = Catalogue()
    for number, (text, image) in enumerate(zip(random_units(50, 8), random_units(50, 12), strict=True)):
        item_id = f"item-{number}"
        catalogue.put_vectors(item_id, vectors(text, image if number % 2 else None, offset=number))
        if number % 7:
            catalogue.put_fields(fields(item_id, offset=number, available=number % 5 != 0))
    catalogue.remove("item-3")
    catalogue.remove("item-4")
    catalogue.remove_vectors("item-4")
    return catalogue


def test_a_restored_catalogue_answers_as_the_one_that_was_saved():
    shop = a_shop()
    restored = catalogue_from_snapshot(catalogue_to_snapshot(shop))

    query = SearchQuery("fine item", random_units(1, 8, 1)[0], random_units(1, 12, 1)[0], n=50)
    assert search(restored, query) == search(shop, query)
    assert list(restored) == list(shop)
    assert restored.hidden() == shop.hidden()
    assert restored.vectors_origin("item-3") == shop.vectors_origin("item-3")
    assert restored.vectors_origin("item-4") is None
    assert restored.newest(5) == shop.newest(5)


def test_saving_what_was_restored_gives_the_same_bytes():
    parts = catalogue_to_snapshot(a_shop())

    assert catalogue_to_snapshot(catalogue_from_snapshot(parts)) == parts


def test_an_empty_catalogue_has_a_snapshot_too():
    assert len(catalogue_from_snapshot(catalogue_to_snapshot(Catalogue()))) == 0


@pytest.mark.parametrize("part", ["products", "index", "rows-0", "vectors-0"])
@pytest.mark.parametrize("damage", ["missing", "cut", "nonsense"])
def test_parts_of_another_form_are_refused(part, damage):
    parts = catalogue_to_snapshot(a_shop())
    if damage == "missing":
        del parts[part]
    else:
        parts[part] = parts[part][:-3] if damage == "cut" else b"\xff" * 8

    with pytest.raises(SnapshotError):
        catalogue_from_snapshot(parts)
