import pytest

from recsys.candidates import Views
from recsys.item_table import ItemTable
from recsys.search import SearchHit
from recsys.together import alike, complements
from recsys.trends import ItemTrend, Trends
from tests.recsys.products import fields, stocked

CATEGORIES = {"camera": ("Cameras",), "other camera": ("Cameras",), "bag": ("Bags",), "film": ("Film",)}


@pytest.fixture
def shop():
    """The camera goes most with another camera, then with a bag, then with film."""
    items = ItemTable(CATEGORIES)
    trends = Trends(items)
    for item_id in CATEGORIES:
        trends.put(0, item_id, ItemTrend(offset=1, popularity=1.0, at_ms=0, count=4.0))
    pairs = {"other camera": 3.0, "bag": 2.0, "film": 1.0}
    trends.put(0, "camera", ItemTrend(offset=1, popularity=1.0, at_ms=0, count=4.0, pairs=pairs))
    catalogue = stocked()
    for item_id, category in CATEGORIES.items():
        catalogue.put_fields(fields(item_id, category=category))
    return Views(items, trends), catalogue


def ids(hits):
    return [hit.item_id for hit in hits]


def test_what_complements_a_product_is_of_another_kind_first(shop):
    views, catalogue = shop

    hits = complements("camera", 10, views, catalogue)

    assert [(hit.item_id, hit.score) for hit in hits] == [("bag", 0.5), ("film", 0.25), ("other camera", 0.75)]
    assert ids(complements("camera", 1, views, catalogue)) == ["bag"]


def test_hidden_products_and_own_variants_complement_nothing(shop):
    views, catalogue = shop
    catalogue.put_fields(fields("camera", group_id="set"))
    catalogue.put_fields(fields("bag", group_id="set"))
    catalogue.put_fields(fields("film", available=False))

    assert ids(complements("camera", 10, views, catalogue)) == ["other camera"]


def test_of_what_is_about_as_alike_that_comes_first_which_goes_together(shop):
    views, _ = shop
    hits = [SearchHit("lamp", 0.9), SearchHit("other camera", 0.8), SearchHit("film", 0.1)]

    assert ids(alike(hits, 3, "camera", views)) == ["other camera", "lamp", "film"]
    assert alike(hits, 2, "bag", views) == hits[:2]
