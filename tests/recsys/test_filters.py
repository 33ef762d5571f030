import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import EventError
from recsys.events import Price
from recsys.filters import Filter, FilterIndex, parse_filter
from recsys.ids import ItemIds
from tests.builders import a_product

FEW = st.lists(st.sampled_from(["a", "b", "c"]), max_size=2)
AMOUNT = st.one_of(st.none(), st.integers(0, 4))
PRODUCTS = st.lists(
    st.builds(
        lambda category, brand, price, attributes, available: {
            "category": tuple(category),
            "brand": brand,
            "price": None if price is None else Price(price, "EUR"),
            "attributes": attributes,
            "available": available,
        },
        FEW,
        st.sampled_from(["", "a", "b"]),
        AMOUNT,
        st.dictionaries(st.sampled_from(["colour", "size"]), st.sampled_from("ab")),
        st.booleans(),
    ),
    max_size=8,
)
PRICES = st.tuples(AMOUNT, AMOUNT).map(
    lambda ends: dict(zip(("gte", "lte"), sorted(ends) if None not in ends else ends, strict=True))
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "category": FEW,
        "brand": FEW,
        "price": PRICES,
        "available": st.booleans(),
        "attributes": st.dictionaries(st.sampled_from(["colour", "size"]), st.one_of(st.sampled_from("ab"), FEW)),
        "item_id": st.fixed_dictionaries(
            {}, optional={"in": st.lists(st.sampled_from("0123")), "not_in": st.lists(st.sampled_from("0123x"))}
        ),
    },
)


@given(PRODUCTS, FILTERS)
def test_the_mask_of_all_products_says_what_the_filter_says_of_each(drawn, asked):
    wanted = parse_filter(asked) or Filter()
    products = [a_product(str(row), **changes) for row, changes in enumerate(drawn)]
    ids, index = ItemIds(), FilterIndex()
    for product in products:
        index.put(ids.add(product.item_id), product)
    visible = np.array([product.available for product in products], dtype=bool)

    assert index.mask(wanted, ids, visible).tolist() == [wanted.matches(product) for product in products]


def test_the_contracts_example_is_understood():
    wanted = parse_filter(
        {
            "category": ["Fruit"],
            "brand": ["x"],
            "price": {"gte": 1, "lte": 5},
            "available": True,
            "attributes": {"colour": "green"},
            "item_id": {"in": [], "not_in": []},
        }
    )
    apple = {"category": ("Food", "Fruit"), "brand": "x", "attributes": {"colour": "green"}}

    assert wanted is not None
    assert wanted.matches(a_product(price=Price(5, "EUR"), **apple))
    assert not wanted.matches(a_product(price=Price(5.01, "EUR"), **apple))
    assert not wanted.matches(a_product(**apple))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"colour": "green"}, "unknown field `colour`"),
        ({"category": "Fruit"}, r"\$.category"),
        ({"price": {"gt": 1}}, "unknown field `gt`"),
        ({"price": {"gte": "1"}}, r"\$.price.gte"),
        ({"price": {"gte": 2, "lte": 1}}, "above"),
        ({"available": "yes"}, r"\$.available"),
        ({"item_id": {"in": ["a"] * 1001}}, "length"),
        ({"attributes": {"size": 3}}, r"\$.attributes"),
        ([1], "object"),
    ],
)
def test_a_filter_of_another_form_is_refused_with_a_sentence(asked, told):
    with pytest.raises(EventError, match=told) as caught:
        parse_filter(asked)

    assert caught.value.reason == "invalid-filter"


def test_nothing_asked_is_no_filter():
    assert parse_filter(None) is None
    assert parse_filter({}) is None


def test_hidden_products_never_pass():
    assert not Filter(available=False).matches(a_product(available=False))
    assert not Filter().matches(a_product(available=False))
