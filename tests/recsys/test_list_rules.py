"""A list as a whole: varied as far as is asked, nothing twice, at most so many of a kind, and the shop's own rules."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recsys.candidates import Views
from recsys.errors import ConfigError
from recsys.events import Product
from recsys.history import UserState
from recsys.item_table import ItemTable
from recsys.list_rules import ItemTraits, ListRules, arranged
from recsys.refresh import RecommendPolicy, rank_for, rank_for_each
from recsys.shop_rules import parse_rules
from recsys.trends import summed
from tests.builders import a_click
from tests.recsys.test_rank import POLICY, SHOES, TwoKinds, crowd, items_of, state_after

PRODUCTS = {
    "boot": Product(item_id="boot", category=("Shoes", "Winter"), brand="Alp"),
    "clog": Product(item_id="clog", category=("Shoes", "Summer"), brand="Alp"),
    "pump": Product(item_id="pump", category=("Shoes", "Summer"), brand="Alp"),
    "shoe": Product(item_id="shoe", category=("Shoes", "Summer"), brand="Low"),
    **{lamp: Product(item_id=lamp, category=("Lamps",), brand="Lux") for lamp in ("bulb", "lamp", "spot", "torch")},
}


def a_shop(rules: ListRules, vectors=None) -> tuple[Views, RecommendPolicy]:
    """The shoes and lamps of `test_rank`, described as above."""
    policy, items = replace(POLICY, rules=rules), ItemTable()
    traits = policy.traits(items)
    for item_id, product in PRODUCTS.items():
        items.show(item_id, visible=traits is None or traits.describe(product))
    for item_id, vector in (vectors or {}).items():
        traits.resemble(item_id, vector, None)
    return Views(items, crowd(items), TwoKinds(), traits=traits), policy


def shown_to(state: UserState, rules: ListRules, *, vectors=None, n: int = 8, **options) -> list[str]:
    views, policy = a_shop(rules, vectors)
    return items_of(rank_for(state, views, policy, n=n, **options))


def rules_of(*rules: dict) -> ListRules:
    return ListRules(rules=parse_rules(rules))


@pytest.fixture
def walker() -> UserState:
    """Somebody for whom all shoes come before all lamps."""
    return state_after(a_click(item_id="shoe"))


def test_without_rules_lists_and_their_cost_stay_as_they_are(walker):
    views, policy = a_shop(ListRules())

    assert views.traits is None
    assert rank_for(walker, views, policy, n=8) == rank_for(walker, views, POLICY, n=8)


def test_at_most_so_many_of_a_category_and_of_a_brand(walker):
    by_category = shown_to(walker, ListRules(most_per_category=2))
    categories = [PRODUCTS[item_id].category for item_id in by_category]
    assert {category: categories.count(category) for category in categories} == {
        ("Shoes", "Winter"): 1,
        ("Shoes", "Summer"): 2,
        ("Lamps",): 2,
    }

    brands = [PRODUCTS[item_id].brand for item_id in shown_to(walker, ListRules(most_per_brand=1))]
    assert sorted(brands) == ["Alp", "Low", "Lux"]


def test_what_fills_a_short_list_keeps_to_the_limits():
    views, policy = a_shop(ListRules(most_per_brand=2))
    views = replace(views, trends=summed(views.items, {}, POLICY.trends), factors=None)

    brands = [PRODUCTS[item_id].brand for item_id in items_of(rank_for(UserState(), views, policy, n=8))]

    assert sorted(brands) == ["Alp", "Alp", "Low", "Lux", "Lux"]


def test_a_list_of_one_category_has_no_limit_of_that(walker):
    lamps = shown_to(walker, ListRules(most_per_category=1), allow=lambda item_id: PRODUCTS[item_id].brand == "Lux")

    assert len(lamps) == 4


def test_of_near_duplicates_the_better_one_alone_is_shown(walker):
    one, other = np.eye(2, 32, dtype=np.float32)
    vectors = {"boot": one, "clog": one + 0.02 * other, "pump": other, "lamp": one}
    plain = shown_to(walker, ListRules())
    once = shown_to(walker, ListRules(near_duplicates=0.95), vectors=vectors)

    alike = [item_id for item_id in plain if item_id in ("boot", "clog", "lamp")]
    assert once == [item_id for item_id in plain if item_id not in alike[1:]]


def test_diversity_brings_what_is_unlike_forward(walker):
    kinds = np.eye(2, 32, dtype=np.float32)
    vectors = {item_id: kinds[0 if item_id in SHOES else 1] for item_id in PRODUCTS}
    plain = shown_to(walker, ListRules(), n=4)
    varied = shown_to(walker, ListRules(diversity=0.9), n=4, vectors=vectors)

    assert plain[0] == varied[0]
    assert set(plain) <= set(SHOES)
    assert varied[1] not in SHOES


@hypothesis_settings(deadline=None)  # the first call compiles
@given(
    scores=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=12),
    diversity=st.floats(0.0, 0.95),
    limit=st.integers(0, 3),
    n=st.integers(1, 12),
    seed=st.integers(0, 50),
)
def test_the_choice_is_that_of_plain_arithmetic(scores, diversity, limit, n, seed):
    rng, scores = np.random.default_rng(seed), np.array(sorted(scores, reverse=True))
    items = ItemTable([str(place) for place in range(len(scores))])
    traits = ItemTraits(items, with_content=True)
    brands = rng.integers(0, 3, size=len(scores))
    for place, brand in enumerate(brands.tolist()):
        traits.describe(Product(item_id=str(place), brand="xy"[brand - 1] if brand else ""))
        traits.resemble(str(place), rng.normal(size=8).astype(np.float32), None)
    rows = np.arange(len(scores))

    found = arranged(rows, scores, traits, ListRules(diversity=diversity, most_per_brand=limit), n).tolist()

    bits = np.unpackbits(traits.signatures.of(rows)[1].view(np.uint8), axis=1)
    likeness = np.maximum(0.0, np.cos(np.pi * (bits[:, None] != bits[None]).sum(axis=2) / 256))
    expected: list[int] = []
    while len(expected) < n:
        left = [
            place
            for place in range(len(scores))
            if place not in expected
            and not (limit and brands[place] and sum(brands[other] == brands[place] for other in expected) >= limit)
        ]
        if not left:
            break
        nearest = {place: max((likeness[place, other] for other in expected), default=0.0) for place in left}
        worth = {place: (1 - diversity) * scores[place] / scores[0] - diversity * nearest[place] for place in left}
        expected.append(max(left, key=lambda place: (worth[place], -place)))
    assert found == expected


def test_boosted_products_rise_and_buried_ones_sink(walker):
    filter_ = {"brand": ["Lux"]}

    assert shown_to(walker, rules_of({"rule": "boost", "filter": filter_, "by": 1000}))[0] not in SHOES
    assert shown_to(walker, rules_of({"rule": "bury", "filter": {"brand": ["Alp"]}, "by": 1000}), n=8)[-1] in SHOES


def test_excluded_products_are_in_no_list(walker):
    shown = shown_to(walker, rules_of({"rule": "exclude", "filter": {"category": ["Summer"]}}))

    assert set(shown) == {"boot", "bulb", "lamp", "spot", "torch"}


def test_a_pinned_product_stands_in_its_place_once(walker):
    rules = rules_of({"rule": "pin", "item_id": "torch", "place": 2}, {"rule": "pin", "item_id": "spot"})
    shown = shown_to(walker, rules)

    assert (shown[0], shown[1]) == ("spot", "torch")
    assert len(set(shown)) == len(shown) == len(shown_to(walker, ListRules()))
    views, policy = a_shop(rules)
    assert rank_for(walker, views, policy, n=2).items[0].reason.kind == "pinned"


def test_a_pin_shows_nothing_that_may_not_be_shown(walker):
    rules = rules_of({"rule": "pin", "item_id": "lamp"}, {"rule": "pin", "item_id": "unheard-of"})

    assert "lamp" not in shown_to(walker, rules, exclude={"lamp"})
    assert "lamp" not in shown_to(walker, rules, allow=lambda item_id: item_id in SHOES)
    assert "unheard-of" not in shown_to(walker, rules)


def test_lists_made_together_keep_to_the_rules_as_those_made_one_by_one(walker):
    views, policy = a_shop(
        ListRules(most_per_brand=2, rules=parse_rules([{"rule": "boost", "filter": {"brand": ["Lux"]}}]))
    )
    states = [walker, UserState(), state_after(a_click(item_id="lamp"))]

    assert rank_for_each(states, views, policy, n=8) == [rank_for(state, views, policy, n=8) for state in states]


def test_the_rules_are_part_of_what_names_the_policy():
    names = {replace(POLICY, rules=rules).name for rules in (ListRules(), ListRules(diversity=0.1), rules_of(A_PIN))}

    assert len(names) == 3


A_PIN = {"rule": "pin", "item_id": "lamp"}


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"rule": "bost"}, "Invalid value 'bost'"),
        ({"rule": "boost"}, "missing required field `filter`"),
        ({"rule": "exclude", "filter": {}}, "its filter asks for nothing"),
        ({"rule": "boost", "filter": {"brand": ["x"]}, "by": 0.5}, "Expected `float` > 1.0"),
        ({"rule": "bury", "filter": {"price": {"gte": 3, "lte": 1}}}, "price.gte 3.0 is above its price.lte 1.0"),
        ({"rule": "pin", "item_id": "a", "place": 0}, "Expected `int` >= 1"),
        ({"rule": "pin", "item_id": "a", "at": 1}, "unknown field `at`"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(rule, sentence):
    with pytest.raises(ConfigError) as refused:
        parse_rules([rule])
    assert sentence in str(refused.value)
