"""The simulated shoppers: the same for a seed, in the contract's words, with tastes that lists can hit."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway.demo.shop import sample_shop
from gateway.demo.shoppers import Shoppers
from recsys.events import Action
from streams.wire.click import parse_click

NOON_MS = 1_795_000_000_000
PRODUCTS = [product.message for product in sample_shop(seed=0, size=600)]
CATEGORY = {str(p["item_id"]): tuple(p["category"]) for p in PRODUCTS}
NO_LISTS: Mapping[str, Sequence[str]] = {}


def events(shoppers: Shoppers, count: int, lists: Mapping[str, Sequence[str]] = NO_LISTS) -> list[dict[str, Any]]:
    return [shoppers.next_action(NOON_MS + 250 * number, lists) for number in range(count)]


def test_the_same_seed_gives_the_same_events_and_another_seed_others() -> None:
    first = events(Shoppers(5, products=PRODUCTS), 300)

    assert events(Shoppers(5, products=PRODUCTS), 300) == first
    assert events(Shoppers(6, products=PRODUCTS), 300) != first


def test_every_event_is_a_click_of_the_contract() -> None:
    shoppers = Shoppers(1, products=PRODUCTS)
    lists = {user_id: [p["item_id"] for p in PRODUCTS[:12]] for user_id in shoppers.user_ids}

    clicks = [
        parse_click(json.dumps(event).encode(), record_ts_ms=NOON_MS + 250 * number)
        for number, event in enumerate(events(shoppers, 1500, lists))
    ]

    assert {click.type for click in clicks} == {
        Action.VIEW, Action.CLICK, Action.ADD_TO_CART, Action.PURCHASE, Action.SEARCH, Action.IMPRESSION
    }  # fmt: skip
    assert len({click.event_id for click in clicks}) == len(clicks)
    assert [click.ts_ms for click in clicks] == [NOON_MS + 250 * number for number in range(1500)]
    assert all(len(click.items) <= 10 for click in clicks)


def test_a_purchase_follows_a_cart_a_click_and_a_view_of_the_same_product() -> None:
    steps: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for event in events(Shoppers(2, products=PRODUCTS), 3000):
        if "item_id" in event:
            steps[event["user_id"], event["item_id"]].append(event["type"])

    bought = [actions for actions in steps.values() if "purchase" in actions]
    assert len(bought) > 20
    for actions in bought:
        at = actions.index("purchase")
        assert actions[at - 3 : at] == ["view", "click", "add_to_cart"]


def test_nobody_looks_at_what_is_not_on_sale() -> None:
    sold_out = {p["item_id"] for p in PRODUCTS if not p["available"]}

    assert not sold_out & {event.get("item_id") for event in events(Shoppers(3, products=PRODUCTS), 2000)}


def test_a_shopper_stays_with_a_few_favourite_categories() -> None:
    visits: defaultdict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for event in events(Shoppers(4, n_users=12, products=PRODUCTS), 2500):
        if event["type"] == "view":
            visits[event["user_id"]][CATEGORY[event["item_id"]]] += 1

    shares = [sum(n for _, n in seen.most_common(4)) / seen.total() for seen in visits.values() if seen.total() > 30]
    assert min(shares) > 0.6


def test_lists_to_a_shoppers_taste_hit_more_often_than_popularity() -> None:
    shoppers = Shoppers(7, products=PRODUCTS)
    lists: dict[str, list[str]] = {}
    seen: defaultdict[str, list[str]] = defaultdict(list)
    for number in range(4000):
        event = shoppers.next_action(NOON_MS + 250 * number, lists)
        if item_id := event.get("item_id"):
            seen[event["user_id"]].append(item_id)
            alike = [other for other in CATEGORY if CATEGORY[other] == CATEGORY[item_id]]
            lists[event["user_id"]] = [other for other in alike if other not in seen[event["user_id"]]][:10]

    assert shoppers.hits.choices > 300
    assert shoppers.hits.ours > 2 * shoppers.hits.popularity


def test_what_a_shopper_has_chosen_before_takes_no_place_in_the_score() -> None:
    shoppers = Shoppers(7, products=PRODUCTS)
    lists: dict[str, list[str]] = {}
    seen: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for number in range(3000):
        event = shoppers.next_action(NOON_MS + 250 * number, lists)
        if item_id := event.get("item_id"):
            own = seen[event["user_id"]]
            own[item_id] = None
            alike = [other for other in CATEGORY if CATEGORY[other] == CATEGORY[item_id] and other not in own]
            # A list whose first ten places go to the newest things chosen, as soon as there are so many.
            lists[event["user_id"]] = [*list(own)[-10:], *alike]

    assert shoppers.hits.ours > 0.25


def test_shoppers_keep_their_tastes_when_events_go_on_with_another_seed() -> None:
    favourites = []
    for seed in (1, 2):
        visits: defaultdict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
        for event in events(Shoppers(seed, n_users=4, products=PRODUCTS, tastes=5), 1500):
            if event["type"] == "view":
                visits[event["user_id"]][CATEGORY[event["item_id"]]] += 1
        favourites.append({user_id: {kind for kind, _ in seen.most_common(3)} for user_id, seen in visits.items()})

    assert favourites[0].keys() == favourites[1].keys()
    assert all(len(favourites[0][user_id] & favourites[1][user_id]) >= 2 for user_id in favourites[0])


def test_shoppers_find_only_what_is_on_the_shelves() -> None:
    shoppers = Shoppers(1, products=PRODUCTS)
    first = [p["item_id"] for p in PRODUCTS[:100]]
    shoppers.open_shelves(first)
    early = {event.get("item_id") for event in events(shoppers, 500)} - {None}
    shoppers.open_shelves(CATEGORY)
    late = {event.get("item_id") for event in events(shoppers, 500)} - {None}

    assert early <= set(first)
    assert not late <= set(first)


def test_without_lists_nothing_is_scored() -> None:
    shoppers = Shoppers(8, products=PRODUCTS)
    events(shoppers, 500)

    assert (shoppers.hits.choices, shoppers.hits.ours, shoppers.hits.popularity) == (0, 0.0, 0.0)


def test_a_list_of_products_that_are_unknown_here_is_passed_over() -> None:
    shoppers = Shoppers(9, products=PRODUCTS)

    events(shoppers, 200, {user_id: ["gone-1", "gone-2"] for user_id in shoppers.user_ids})

    assert shoppers.hits.choices == 0


@pytest.mark.parametrize("n_users", [1, 40, 60])
def test_shoppers_have_names_of_their_own(n_users: int) -> None:
    assert len(set(Shoppers(0, n_users, products=PRODUCTS).user_ids)) == n_users
