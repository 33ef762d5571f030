"""A click brings its kind to the front; what may not be shown never is; each place says why."""

from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from recsys.candidates import CandidatePolicy, Views
from recsys.counts import PartitionTrends, TrendsPolicy
from recsys.events import Action
from recsys.history import UserState, short_hash
from recsys.ids import ItemIds
from recsys.item_table import ItemTable
from recsys.refresh import RecommendPolicy, fold_click, make_list, rank_for, rank_for_each
from recsys.trends import Trends, summed
from tests.builders import NOON_MS, a_click

POLICY = RecommendPolicy(candidates=CandidatePolicy(from_factors=20), trends=TrendsPolicy())
SHOES = ["boot", "clog", "pump", "shoe"]
LAMPS = ["bulb", "lamp", "spot", "torch"]


def table(hidden=(), groups=None):
    """Two new products, and shoes and lamps: all visible but the hidden ones."""
    items = ItemTable()
    for item_id in ["fresh-2", "fresh-1", *SHOES, *LAMPS, "kin-of-lamp"]:
        items.show(item_id, visible=item_id not in hidden, group_id=(groups or {}).get(item_id, ""))
    return items


class TwoKinds:
    """Shoes lie along one axis, lamps along the other."""

    version = "two-kinds"
    ids = ItemIds(SHOES + LAMPS)
    vectors: ClassVar = {**{s: np.array([1.0, 0.0]) for s in SHOES}, **{lamp: np.array([0.0, 1.0]) for lamp in LAMPS}}

    def fold_in_rows(self, rows, confidence):
        vector = np.zeros(2)
        for row in rows[(rows >= 0) & (confidence > 0)]:
            vector += self.vectors[self.ids[row]]
        return vector

    def top_rows(self, vectors, k):
        best = []
        for vector in vectors:
            scores = np.array([self.vectors[item] @ vector for item in self.ids])
            rows = np.argsort(-scores, kind="stable")[:k]
            best.append((rows, scores[rows]))
        return best


class Kin:
    def nearest(self, item_id):
        return SimpleNamespace(item_ids=["kin-of-" + item_id], scores=[0.9], name="kin")


def state_after(*clicks):
    state, trends = UserState(history=[], events={}, seen={}, queries=[]), PartitionTrends(POLICY.trends)
    for offset, click in enumerate(clicks):
        fold_click(state, trends, click, offset=offset, epoch=1, policy=POLICY)
    return state


def crowd(items):
    """Many users: lamps go with lamps, shoes with shoes, and shoes are twice as popular."""
    trends = PartitionTrends(POLICY.trends)
    offset = 0
    for user, kind in enumerate([SHOES, LAMPS, SHOES]):
        state = UserState(history=[], events={}, seen={}, queries=[])
        for item_id in kind:
            fold_click(state, trends, a_click(f"u{user}", item_id), offset=offset, epoch=1, policy=POLICY)
            offset += 1
    return summed(items, {0: trends}, POLICY.trends)


def views_of(items=None, factors=None, neighbours=None, with_crowd=True):
    items = items or table()
    trends = crowd(items) if with_crowd else summed(items, {}, POLICY.trends)
    return Views(items, trends, factors, neighbours)


def items_of(ranked):
    return [item.item_id for item in ranked.items]


def test_one_click_ranks_the_rest_of_its_kind_first():
    views = views_of(factors=TwoKinds())
    ranked = rank_for(state_after(a_click(item_id="lamp")), views, POLICY, n=4)

    assert set(items_of(ranked)) == set(LAMPS)
    assert ranked.strategy == "personal"


def test_without_a_model_what_goes_together_makes_the_list():
    ranked = rank_for(state_after(a_click(item_id="lamp")), views_of(), POLICY, n=3)

    assert set(items_of(ranked)) == set(LAMPS) - {"lamp"}
    assert ranked.strategy == "session"
    assert all(item.reason.kind == "because_you_viewed" and item.reason.item_id == "lamp" for item in ranked.items)


def test_without_either_content_neighbours_do():
    views = views_of(neighbours=Kin(), with_crowd=False)
    ranked = rank_for(state_after(a_click(item_id="lamp")), views, POLICY, n=1)

    assert items_of(ranked) == ["kin-of-lamp"]
    assert ranked.strategy == "similar"


def test_a_user_never_seen_gets_what_is_popular():
    ranked = rank_for(UserState(), views_of(factors=TwoKinds()), POLICY, n=4)

    assert set(items_of(ranked)) == set(SHOES)
    assert ranked.strategy == "trending"
    assert {item.reason.kind for item in ranked.items} == {"trending"}


@pytest.mark.parametrize("heard_of", [["old", "older", "new", "newer"], ["newer", "new", "older", "old"]])
def test_a_new_shop_without_clicks_shows_its_newest_products_whatever_it_heard_of_first(heard_of):
    items = ItemTable()
    told = {"older": (0, 3), "old": (0, 7), "new": (NOON_MS, 2), "newer": (NOON_MS + 1, 1)}
    for item_id in heard_of:
        created_ms, offset = told[item_id]
        items.show(item_id, created_ms=created_ms, offset=offset)

    ranked = rank_for(UserState(), views_of(items, with_crowd=False), POLICY, n=5)

    assert items_of(ranked) == ["newer", "new", "old", "older"]


def test_hidden_bought_and_excluded_items_never_appear():
    views = views_of(table(hidden={"bulb"}), TwoKinds())
    state = state_after(a_click(item_id="lamp", type=Action.PURCHASE))
    shown = items_of(rank_for(state, views, POLICY, n=50, exclude={"spot"}, allow=lambda item: item != "shoe"))

    assert short_hash("lamp") in state.seen
    assert not {"lamp", "bulb", "spot", "shoe"} & set(shown)
    assert "torch" in shown


def test_one_variant_of_a_group_is_enough():
    views = views_of(table(groups={"bulb": "g", "lamp": "g", "spot": "g"}), TwoKinds())
    shown = items_of(rank_for(state_after(a_click(item_id="torch")), views, POLICY, n=50))

    assert len({"bulb", "lamp", "spot"} & set(shown)) == 1


def test_the_page_looked_at_steers_the_list_and_is_not_in_it():
    views = views_of()
    shown = items_of(rank_for(state_after(a_click(item_id="shoe")), views, POLICY, n=3, context_item="lamp"))

    assert shown[0] in LAMPS
    assert "lamp" not in shown


def test_the_same_state_and_views_make_the_same_list():
    views = views_of(factors=TwoKinds())
    state = state_after(a_click(item_id="lamp"), a_click(item_id="shoe"))

    assert rank_for(state, views, POLICY, n=50) == rank_for(state, views, POLICY, n=50)


def test_lists_made_together_are_those_made_one_by_one():
    views = views_of(factors=TwoKinds())
    clicks = ([a_click(item_id="lamp")], [], [a_click(item_id="shoe"), a_click(item_id="spot")], [a_click(item_id="?")])
    states = [state_after(*each) for each in clicks]

    together = rank_for_each(states, views, POLICY, n=50)

    assert together == [rank_for(state, views, POLICY, n=50) for state in states]
    assert rank_for_each([], views, POLICY, n=50) == []


def test_a_list_names_its_version_trigger_and_model():
    views = views_of(factors=TwoKinds())
    click = a_click(item_id="lamp")
    state = state_after(click)
    made = make_list("ann", state, rank_for(state, views, POLICY, n=2), views, partition=3, generated_at="now")

    assert made.version == "0001-0000000000000000-00000000"
    assert (made.trigger.event_id, made.trigger.offset, made.trigger.partition) == (click.event_id, 0, 3)
    assert made.model.als == "two-kinds"


def test_a_list_names_the_content_neighbours_it_was_made_from():
    state = state_after(a_click(item_id="lamp"), a_click(item_id="shoe"))

    assert rank_for(state, views_of(neighbours=Kin()), POLICY, n=2).neighbours == "kin.kin"
    assert rank_for(state, views_of(), POLICY, n=2).neighbours == "-.-"


def test_where_purchases_hide_nothing_what_was_bought_long_ago_may_come_again():
    items = ItemTable([f"item-{number}" for number in range(100)])
    views = Views(items, Trends(items))
    bought = [a_click(item_id=item_id, type=Action.PURCHASE) for item_id in items.ids]

    def shown(seen):
        policy = RecommendPolicy().with_seen(frozenset(seen))
        state, trends = UserState(history=[], events={}, seen={}, queries=[]), PartitionTrends(policy.trends)
        for offset, click in enumerate(bought):
            fold_click(state, trends, click, offset=offset, epoch=1, policy=policy)
        return items_of(rank_for(state, views, policy, n=100))

    assert shown({Action.PURCHASE}) == []
    assert set(shown(())) == set(items.ids)
