"""A click brings its kind to the front; what may not be shown never is; each place says why."""

import numpy as np

from recsys.candidates import CandidatePolicy, Views
from recsys.events import Action
from recsys.history import UserState, short_hash
from recsys.refresh import RecommendPolicy, fold_click, make_list, rank_for
from recsys.trends import PartitionTrends, TrendsPolicy, summed
from tests.builders import a_click

POLICY = RecommendPolicy(candidates=CandidatePolicy(from_factors=20), trends=TrendsPolicy())
SHOES = ["boot", "clog", "pump", "shoe"]
LAMPS = ["bulb", "lamp", "spot", "torch"]


class PlainShelf:
    def __init__(self, hidden=(), groups=None):
        self.hidden, self.groups = set(hidden), groups or {}

    def is_visible(self, item_id):
        return item_id not in self.hidden

    def group_of(self, item_id):
        return self.groups.get(item_id, "")

    def newest(self, limit):
        return [item for item in ("fresh-1", "fresh-2") if item not in self.hidden][:limit]


class TwoKinds:
    """Shoes lie along one axis, lamps along the other."""

    version = "two-kinds"
    vectors = {**{s: np.array([1.0, 0.0]) for s in SHOES}, **{lamp: np.array([0.0, 1.0]) for lamp in LAMPS}}

    def fold_in(self, history):
        vector = np.zeros(2)
        for item_id, confidence in history:
            if confidence > 0:
                vector += self.vectors.get(item_id, np.zeros(2))
        return vector

    def top(self, vector, k):
        scored = sorted(((float(v @ vector), item) for item, v in self.vectors.items()), key=lambda p: (-p[0], p[1]))
        return [item for _, item in scored[:k]], np.array([score for score, _ in scored[:k]])


class Kin:
    def get(self, item_id):
        return [("kin-of-" + item_id, 0.9)]


def state_after(*clicks):
    state, trends = UserState(history=[], events={}, seen={}, queries=[]), PartitionTrends(POLICY.trends)
    for offset, click in enumerate(clicks):
        fold_click(state, trends, click, offset=offset, epoch=1, policy=POLICY)
    return state


def crowd_trends():
    """Many users: lamps go with lamps, shoes with shoes, and shoes are twice as popular."""
    trends = PartitionTrends(POLICY.trends)
    offset = 0
    for user, kind in enumerate([SHOES, LAMPS, SHOES]):
        state = UserState(history=[], events={}, seen={}, queries=[])
        for item_id in kind:
            fold_click(state, trends, a_click(f"u{user}", item_id), offset=offset, epoch=1, policy=POLICY)
            offset += 1
    return summed({0: trends}, POLICY.trends)


def items_of(ranked):
    return [item.item_id for item in ranked.items]


def test_one_click_ranks_the_rest_of_its_kind_first():
    views = Views(PlainShelf(), crowd_trends(), TwoKinds())
    ranked = rank_for(state_after(a_click(item_id="lamp")), views, POLICY, n=4)

    assert set(items_of(ranked)) == set(LAMPS)
    assert ranked.strategy == "personal"


def test_without_a_model_what_goes_together_makes_the_list():
    ranked = rank_for(state_after(a_click(item_id="lamp")), Views(PlainShelf(), crowd_trends()), POLICY, n=3)

    assert set(items_of(ranked)) == set(LAMPS) - {"lamp"}
    assert ranked.strategy == "session"
    assert all(item.reason.kind == "because_you_viewed" and item.reason.item_id == "lamp" for item in ranked.items)


def test_without_either_content_neighbours_do():
    views = Views(PlainShelf(), summed({}, POLICY.trends), None, Kin())
    ranked = rank_for(state_after(a_click(item_id="lamp")), views, POLICY, n=1)

    assert items_of(ranked) == ["kin-of-lamp"]
    assert ranked.strategy == "similar"


def test_a_user_never_seen_gets_what_is_popular():
    ranked = rank_for(UserState(), Views(PlainShelf(), crowd_trends(), TwoKinds()), POLICY, n=4)

    assert set(items_of(ranked)) == set(SHOES)
    assert ranked.strategy == "trending"
    assert {item.reason.kind for item in ranked.items} == {"trending"}


def test_a_new_shop_without_clicks_shows_its_newest_products():
    ranked = rank_for(UserState(), Views(PlainShelf(), summed({}, POLICY.trends)), POLICY, n=5)

    assert items_of(ranked) == ["fresh-1", "fresh-2"]


def test_hidden_bought_and_excluded_items_never_appear():
    views = Views(PlainShelf(hidden={"bulb"}), crowd_trends(), TwoKinds())
    state = state_after(a_click(item_id="lamp", type=Action.PURCHASE))
    shown = items_of(rank_for(state, views, POLICY, n=50, exclude={"spot"}, allow=lambda item: item != "shoe"))

    assert short_hash("lamp") in state.seen
    assert not {"lamp", "bulb", "spot", "shoe"} & set(shown)
    assert "torch" in shown


def test_one_variant_of_a_group_is_enough():
    views = Views(PlainShelf(groups={"bulb": "g", "lamp": "g", "spot": "g"}), crowd_trends(), TwoKinds())
    shown = items_of(rank_for(state_after(a_click(item_id="torch")), views, POLICY, n=50))

    assert len({"bulb", "lamp", "spot"} & set(shown)) == 1


def test_the_page_looked_at_steers_the_list_and_is_not_in_it():
    views = Views(PlainShelf(), crowd_trends())
    shown = items_of(rank_for(state_after(a_click(item_id="shoe")), views, POLICY, n=3, context_item="lamp"))

    assert shown[0] in LAMPS
    assert "lamp" not in shown


def test_the_same_state_and_views_make_the_same_list():
    views = Views(PlainShelf(), crowd_trends(), TwoKinds())
    state = state_after(a_click(item_id="lamp"), a_click(item_id="shoe"))

    assert rank_for(state, views, POLICY, n=50) == rank_for(state, views, POLICY, n=50)


def test_a_list_names_its_version_trigger_and_model():
    views = Views(PlainShelf(), crowd_trends(), TwoKinds())
    click = a_click(item_id="lamp")
    state = state_after(click)
    made = make_list("ann", state, rank_for(state, views, POLICY, n=2), views, partition=3, generated_at="now")

    assert made.version == "0001-0000000000000000-00000000"
    assert (made.trigger.event_id, made.trigger.offset, made.trigger.partition) == (click.event_id, 0, 3)
    assert made.model.als == "two-kinds"
