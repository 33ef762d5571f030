"""Each choice is held against the list that stood before it, and against popularity."""

from msgspec import structs

from recsys.candidates import Views
from recsys.confidence import ConfidencePolicy
from recsys.counts import PartitionTrends, TrendsPolicy
from recsys.events import Action, ListItem, ModelVersions, Reason, RecommendationList
from recsys.history import UserState, short_hash
from recsys.item_table import ItemTable
from recsys.trends import summed
from streams.agents.live_scores import SHOWN, LiveScores
from tests.builders import NOON_MS, a_click

POPULAR = [f"popular-{number}" for number in range(2 * SHOWN)]


def a_list(item_ids: list[str]) -> RecommendationList:
    items = tuple(ListItem(item_id, 1.0, False, Reason("for_you")) for item_id in item_ids)
    return RecommendationList("1", "ann", "r", "", "personal", None, ModelVersions(None, None), items)


def a_shop() -> Views:
    trends, items = PartitionTrends(TrendsPolicy()), ItemTable([*POPULAR, "lamp"])
    for place, item_id in enumerate(POPULAR):
        trends.observe(item_id, 100.0 - place, NOON_MS, place, ())
    return Views(items, summed(items, {0: trends}, TrendsPolicy()))


def scored(live: LiveScores) -> tuple[int, int, int]:
    tally = live.tallies["personal", ""]
    return tally.choices, tally.hits, tally.popular_hits


def test_a_choice_counts_when_a_list_stood_and_hits_when_its_first_ten_held_it():
    live, views = LiveScores(ConfidencePolicy()), a_shop()
    live.score(a_click("ann", "lamp"), UserState(), views)
    assert not live.tallies, "no list stood"

    live.stands(a_list([*POPULAR[: SHOWN - 1], "lamp", "far-down"]))
    for item_id in ("lamp", "far-down", POPULAR[0]):
        live.score(a_click("ann", item_id), UserState(), views)
    for action in (Action.IMPRESSION, Action.HIDE):
        live.score(a_click("ann", "lamp", type=action), UserState(), views)

    assert scored(live) == (3, 2, 1)
    live.forget()
    live.score(a_click("ann", "lamp"), UserState(), views)
    assert scored(live) == (3, 2, 1)


def test_a_choice_counts_for_the_variant_of_the_list_that_stood():
    live, views = LiveScores(ConfidencePolicy()), a_shop()
    for variant, chosen in (("two:a", "lamp"), ("two:b", "vase")):
        live.stands(structs.replace(a_list(["lamp"]), variant=variant))
        live.score(a_click("ann", chosen), UserState(), views)

    assert {kind: tally.hits for kind, tally in live.tallies.items()} == {
        ("personal", "two:a"): 1,
        ("personal", "two:b"): 0,
    }


def test_popularity_shows_a_user_what_the_user_has_not_bought():
    live, views = LiveScores(ConfidencePolicy()), a_shop()
    live.stands(a_list(["lamp"]))
    bought = UserState(seen={short_hash(item_id): NOON_MS for item_id in POPULAR[:3]})

    live.score(a_click("ann", POPULAR[SHOWN]), UserState(), views)
    live.score(a_click("ann", POPULAR[SHOWN]), bought, views)
    live.score(a_click("ann", POPULAR[SHOWN + 3]), bought, views)

    assert scored(live) == (3, 0, 1)
