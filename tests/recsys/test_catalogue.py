import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from recsys import catalogue_rows as rows_module
from recsys.catalogue import Catalogue
from recsys.catalogue_snapshot import catalogue_from_snapshot, catalogue_to_snapshot
from recsys.events import Price
from recsys.filters import Filter, parse_filter
from recsys.index import exact, live
from recsys.records import unpack_vector
from tests.recsys.products import fields, stocked, unit, vectors


def test_vectors_may_come_before_fields_or_after():
    before, after = Catalogue(), Catalogue()
    before.put_vectors("lamp", vectors(unit(1, 0)))
    before.put_fields(fields("lamp"))
    after.put_fields(fields("lamp"))
    after.put_vectors("lamp", vectors(unit(1, 0)))

    for catalogue in (before, after):
        assert catalogue.plan().index.search({"text": unit(1, 0)}, 1, catalogue.plan().allowed)[0][0] == "lamp"


def test_vectors_alone_are_not_visible():
    catalogue = Catalogue()
    catalogue.put_vectors("lamp", vectors(unit(1, 0)))

    assert not catalogue.is_visible("lamp")
    assert catalogue.get("lamp") is None
    assert len(catalogue) == 0
    assert not catalogue.plan().allowed.any()


def test_any_number_of_vectors_may_come_before_the_first_fields():
    catalogue = Catalogue()
    for number in range(3000):
        catalogue.put_vectors(f"item-{number}", vectors(unit(1, 0)))

    assert not catalogue.is_visible("item-2999")
    assert not catalogue.plan(exclude=("item-2999",)).allowed.any()
    assert len(catalogue_from_snapshot(catalogue_to_snapshot(catalogue)).plan().allowed) == 3000
    catalogue.put_fields(fields("item-2999"))
    assert catalogue.plan().index.search({"text": unit(1, 0)}, 9, catalogue.plan().allowed)[0][0] == "item-2999"


def test_a_redelivered_older_record_changes_nothing():
    catalogue = Catalogue()
    catalogue.put_fields(fields("lamp", offset=5, title="New"))
    catalogue.put_vectors("lamp", vectors(unit(1, 0), offset=5))
    version = catalogue.version

    assert not catalogue.put_fields(fields("lamp", offset=4, title="Old", available=False))
    assert not catalogue.put_vectors("lamp", vectors(unit(0, 1), offset=4))
    assert catalogue.version == version
    assert catalogue.get("lamp").title == "New"
    assert catalogue.text_vector("lamp").tolist() == [1, 0]


def test_a_deleted_product_may_start_a_new_life_at_any_offset():
    catalogue = stocked("lamp", offset=9)
    catalogue.remove("lamp")

    assert catalogue.put_fields(fields("lamp", offset=3))
    assert catalogue.is_visible("lamp")


def test_hiding_and_showing_is_live_at_once():
    catalogue = stocked("boot", "lamp")
    catalogue.put_fields(fields("lamp", available=False))

    assert catalogue.hidden() == {"lamp"}
    assert catalogue.visible_items() == ["boot"]
    assert "lamp" in catalogue
    assert catalogue.get("lamp") is not None
    catalogue.put_fields(fields("lamp"))
    assert catalogue.hidden() == frozenset()


def test_deleting_is_live_at_once():
    catalogue = stocked("boot", "lamp", category=("Home",))
    assert catalogue.remove("lamp")
    assert not catalogue.remove("lamp")
    assert not catalogue.remove_vectors("lamp")

    assert "lamp" not in catalogue
    assert catalogue.categories() == {"Home": 1}
    assert list(catalogue) == ["boot"]


def test_a_missing_part_is_none():
    catalogue = stocked("lamp")
    catalogue.put_vectors("lamp", vectors(text=unit(1, 0)))
    assert list(catalogue.parts("lamp")) == ["text"]

    catalogue.put_vectors("lamp", vectors(image=unit(0, 1, 0)))
    assert catalogue.text_vector("lamp") is None
    assert catalogue.image_vector("lamp").tolist() == [0, 1, 0]
    assert catalogue.parts("unknown") == {}


def test_the_version_rises_with_each_change():
    catalogue = Catalogue()
    seen = [catalogue.version]
    for change in (
        lambda: catalogue.put_fields(fields("lamp")),
        lambda: catalogue.put_vectors("lamp", vectors(unit(1, 0))),
        lambda: catalogue.put_fields(fields("lamp", price=Price(1, "EUR"))),
        lambda: catalogue.remove_vectors("lamp"),
        lambda: catalogue.remove("lamp"),
    ):
        change()
        seen.append(catalogue.version)

    assert seen == sorted(set(seen))


def test_watchers_hear_of_vectors_and_visibility_and_of_nothing_else():
    catalogue, heard = Catalogue(), []
    catalogue.watch(heard.append)
    catalogue.put_fields(fields("lamp"))
    catalogue.put_fields(fields("lamp", price=Price(1, "EUR")))
    catalogue.put_vectors("lamp", vectors(unit(1, 0)))
    catalogue.put_fields(fields("lamp", available=False))
    catalogue.remove_vectors("lamp")
    catalogue.remove("lamp")

    assert heard == ["lamp"] * 5


def test_the_newest_products_are_those_that_came_last():
    catalogue = stocked("boot", "lamp", "sofa", "chair")
    catalogue.put_fields(fields("sofa", available=False))

    assert catalogue.newest(2) == ["chair", "lamp"]
    assert catalogue.newest(9) == ["chair", "lamp", "boot"]


ITEMS = st.sampled_from([f"item-{number}" for number in range(9)])
NUMBERS = st.integers(-2, 2)
TEXTS = st.one_of(st.none(), st.tuples(NUMBERS, NUMBERS, NUMBERS))
IMAGES = st.one_of(st.none(), st.tuples(NUMBERS, NUMBERS))


@pytest.fixture(scope="module", autouse=True)
def _small_blocks():
    """Few items cross every threshold: blocks, scans with selectors, second rounds, numbering anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "CHUNK_ROWS", 8)
        patch.setattr(exact, "GATHER_ROWS", 1)
        patch.setattr(live, "MARGIN", 1)
        patch.setattr(rows_module, "COMPACT_FROM", 3)
        yield


class CatalogueMachine(RuleBasedStateMachine):
    """Any sequence of changes leaves what a dict and brute force would hold."""

    def __init__(self):
        super().__init__()
        self.catalogue = Catalogue()
        self.fields, self.vectors = {}, {}

    @rule(item_id=ITEMS, offset=st.integers(0, 9), price=NUMBERS, kind=st.sampled_from("ab"), available=st.booleans())
    def put_fields(self, item_id, offset, price, kind, available):
        record = fields(
            item_id, offset, title=f"a {kind}", category=(kind,), price=Price(price, "EUR"), available=available
        )
        if self.catalogue.put_fields(record):
            assert item_id not in self.fields or self.fields[item_id].source_offset <= offset
            self.fields[item_id] = record
        else:
            assert self.fields[item_id].source_offset > offset

    @rule(item_id=ITEMS, offset=st.integers(0, 9), text=TEXTS, image=IMAGES)
    def put_vectors(self, item_id, offset, text, image):
        record = vectors(text and unit(*text), image and unit(*image), offset)
        if self.catalogue.put_vectors(item_id, record):
            self.vectors[item_id] = record

    @rule(item_id=ITEMS)
    def remove(self, item_id):
        assert self.catalogue.remove(item_id) == (self.fields.pop(item_id, None) is not None)

    @rule(item_id=ITEMS)
    def remove_vectors(self, item_id):
        assert self.catalogue.remove_vectors(item_id) == (self.vectors.pop(item_id, None) is not None)

    @rule()
    def restart(self):
        self.catalogue = catalogue_from_snapshot(catalogue_to_snapshot(self.catalogue))

    @rule(
        text=TEXTS,
        image=IMAGES,
        k=st.integers(1, 5),
        asked=st.sampled_from([{}, {"category": ["a"]}, {"price": {"gte": 0}}]),
    )
    def search(self, text, image, k, asked):
        parts = {"text": text, "image": image}
        query = {part: unit(*numbers) for part, numbers in parts.items() if numbers is not None and any(numbers)}
        wanted = parse_filter(asked) or Filter()
        plan = self.catalogue.plan(wanted=wanted)
        hits = plan.index.search(query, k, plan.allowed)

        expected = self._scores(query, wanted)
        best = sorted(expected.values(), reverse=True)[:k]
        assert [score for _, score in hits] == pytest.approx(best, abs=1e-5)
        assert all(expected[item_id] == pytest.approx(score, abs=1e-5) for item_id, score in hits)
        assert hits == sorted(hits, key=lambda hit: (-hit[1], hit[0]))

    @rule(word=st.sampled_from("ab"))
    def search_words(self, word):
        plan = self.catalogue.plan(text=word)
        found = {plan.index.ids[row] for row in plan.word_rows}
        assert found == {
            item_id
            for item_id, record in self.fields.items()
            if record.product.available and (word == "a" or record.product.category == (word,))
        }

    @invariant()
    def holds_what_the_dict_holds(self):
        assert set(self.catalogue) == set(self.fields)
        assert all(self.catalogue.get(item_id) == record.product for item_id, record in self.fields.items())
        visible = {item_id for item_id, record in self.fields.items() if record.product.available}
        assert set(self.catalogue.visible_items()) == visible
        assert self.catalogue.hidden() == set(self.fields) - visible
        for item_id, record in self.vectors.items():
            text = self.catalogue.text_vector(item_id)
            assert ([] if text is None else text.tolist()) == unpack_vector(record.text).tolist()

    def _scores(self, query, wanted):
        scores = {}
        for item_id, record in self.fields.items():
            held = self.vectors.get(item_id)
            packed = {"text": held.text, "image": held.image} if held else {}
            own = {part: unpack_vector(packed[part]) for part in query if packed.get(part)}
            if own and wanted.matches(record.product):
                scores[item_id] = sum(float(np.dot(query[part], own[part])) / len(query) for part in own)
        return scores


TestCatalogueMachine = CatalogueMachine.TestCase
TestCatalogueMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
