import threading

from recsys.catalogue import Catalogue
from recsys.neighbours import NeighbourCache, exact_neighbours
from recsys.search import similar
from tests.recsys.products import fields, random_units, unit, vectors

DIM = 12


def a_shop(n: int = 60) -> Catalogue:
    catalogue = Catalogue()
    for number, text in enumerate(random_units(n, DIM)):
        put(catalogue, f"item-{number}", text)
    return catalogue


def put(catalogue, item_id, text):
    catalogue.put_fields(fields(item_id))
    catalogue.put_vectors(item_id, vectors(text, offset=catalogue.version))


def test_what_was_asked_for_is_there_after_a_refresh():
    catalogue = a_shop()
    cache = NeighbourCache(catalogue, size=5)
    assert cache.get("item-1") is None

    assert cache.refresh() == 1
    assert [item_id for item_id, _ in cache.get("item-1")] == [hit.item_id for hit in similar(catalogue, "item-1", 5)]
    assert cache.pending == 0


def test_a_refresh_keeps_to_its_budget():
    cache = NeighbourCache(a_shop())
    for number in range(5):
        cache.get(f"item-{number}")

    assert [cache.refresh(2), cache.refresh(2), cache.refresh(2), cache.refresh(2)] == [2, 2, 1, 0]


def test_a_new_product_enters_the_lists_that_it_belongs_to():
    catalogue = a_shop()
    cache = NeighbourCache(catalogue, size=5)
    cache.compute(f"item-{number}" for number in range(60))
    put(catalogue, "new", catalogue.text_vector("item-1"))
    cache.refresh()

    assert cache.get("item-1")[0][0] == "new"
    assert cache.get("new")[0][0] == "item-1"
    assert len(cache.get("item-1")) == 5


def test_new_vectors_make_a_new_list():
    catalogue = a_shop()
    cache = NeighbourCache(catalogue, size=5)
    cache.compute(["item-1", "item-2"])
    put(catalogue, "item-1", catalogue.text_vector("item-50"))
    assert cache.get("item-1") is None

    cache.refresh()
    assert cache.get("item-1")[0][0] == "item-50"


def test_a_list_is_made_anew_once_the_catalogue_has_outgrown_it():
    catalogue = a_shop(20)
    cache = NeighbourCache(catalogue, size=5)
    cache.compute(["item-1"])
    for number in range(3):
        catalogue.put_fields(fields(f"more-{number}"))
    cache.refresh()
    before = cache.get("item-1")

    assert before is not None
    assert cache.pending == 1
    cache.refresh()
    cache.get("item-1")
    assert cache.pending == 0


def test_loading_a_catalogue_computes_nothing_that_nobody_asked_for():
    catalogue = Catalogue()
    cache = NeighbourCache(catalogue)
    put(catalogue, "lamp", unit(*range(DIM)))

    assert cache.pending == 0


def test_an_item_without_neighbours_is_not_computed_again_and_again():
    cache = NeighbourCache(Catalogue())
    cache.get("unknown")
    cache.refresh()

    assert cache.get("unknown") == ()
    assert cache.pending == 0


def test_lists_are_computed_beside_a_changing_catalogue():
    catalogue = a_shop(300)
    cache = NeighbourCache(catalogue, size=5)
    stop, failures = threading.Event(), []

    def work():
        try:
            while not stop.is_set():
                cache.refresh(8)
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    for number, text in enumerate(random_units(300, DIM, seed=1)):
        cache.get(f"item-{number}")
        put(catalogue, f"item-{number}", text)
        if number % 3 == 0:
            catalogue.remove(f"item-{number}")
    stop.set()
    thread.join()
    assert not failures
    while cache.refresh():
        pass
    assert len(cache.get("item-1")) == 5


def test_renewed_lists_are_what_a_scan_gives_whatever_was_entered_into_them():
    catalogue = Catalogue()
    cache = NeighbourCache(catalogue, size=3)
    names = [f"item-{number}" for number in range(60)]
    for name, text in zip(names, random_units(60, DIM), strict=True):
        put(catalogue, name, text)
        cache.get(name)
        cache.refresh()
    scanned = {name: exact_neighbours(catalogue, name, size=3).name for name in names}
    assert {name: cache.nearest(name).name for name in names} != scanned, "entering them left none out"

    while cache.renew():
        pass

    assert {name: cache.nearest(name).name for name in names} == scanned
    held = cache.nearest("item-0")
    cache.compute(["item-0"])
    assert cache.nearest("item-0") is held
