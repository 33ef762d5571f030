"""Users stay in their variant, variants get their share, and rates say how sure they are."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from recsys.errors import ConfigError
from recsys.evaluation.figures import Bootstrap
from recsys.experiments import Experiment, Outcome, Rate, parse_experiment, summary
from recsys.history import UserState
from recsys.item_table import ItemTable
from recsys.list_rules import ListRules
from recsys.ranker import BLEND, VERSION
from recsys.refresh import make_list, rank_for, rank_for_users
from tests.builders import a_click
from tests.recsys.test_list_rules import PRODUCTS
from tests.recsys.test_rank import POLICY, TwoKinds, Views, crowd, state_after

USERS = [f"user-{number}" for number in range(3_000)]


def an_experiment(*variants: dict, name: str = "varied") -> Experiment:
    return parse_experiment({"name": name, "variants": list(variants)}, (VERSION, BLEND))


TWO = an_experiment({"name": "as-is"}, {"name": "few", "most_per_brand": 1, "share": 3})


def test_variants_get_users_by_their_shares():
    counts = Counter(TWO.variant_of(user).name for user in USERS)

    assert counts["few"] / len(USERS) == pytest.approx(0.75, abs=0.03)


def test_a_user_stays_in_a_variant_until_the_experiment_has_another_name():
    again = an_experiment({"name": "as-is"}, {"name": "few", "share": 3})
    other = an_experiment({"name": "as-is"}, {"name": "few", "share": 3}, name="next")

    drawn = [TWO.variant_of(user).name for user in USERS]
    assert [again.variant_of(user).name for user in USERS] == drawn
    both = Counter(zip(drawn, [other.variant_of(user).name for user in USERS], strict=True))
    assert both["few", "few"] / len(USERS) == pytest.approx(0.75**2, abs=0.03)  # drawn anew


def test_a_variant_without_a_share_has_nobody():
    alone = an_experiment({"name": "all"}, {"name": "none", "share": 0})

    assert {alone.variant_of(user).name for user in USERS} == {"all"}


def test_lists_are_made_by_their_users_variant_and_name_it():
    policy = replace(POLICY, experiment=TWO)
    items = ItemTable()
    traits = policy.traits(items)
    for item_id, product in PRODUCTS.items():
        items.show(item_id, visible=traits.describe(product))
    views = Views(items, crowd(items), TwoKinds(), traits=traits)
    states = {user: state_after(a_click(item_id="shoe")) for user in USERS[:20]}

    for user, ranked in zip(states, rank_for_users(states, views, policy, n=8), strict=True):
        variant = TWO.variant_of(user).name
        limits = ListRules(most_per_brand=1 if variant == "few" else 0)
        expected = rank_for(states[user], views, replace(POLICY, rules=limits), n=8)
        assert ranked.items == expected.items
        made = make_list(user, states[user], ranked, views, partition=0, generated_at="")
        assert made.variant == f"varied:{variant}"
    assert policy.for_user("") is policy
    assert not rank_for(UserState(), views, POLICY, n=1).variant


def test_a_variant_may_have_a_ranker_of_its_own_and_lists_name_that():
    policy = replace(POLICY, experiment=an_experiment({"name": "blend", "ranker": BLEND}, {"name": "none", "share": 0}))
    items = ItemTable(PRODUCTS)
    views = Views(items, crowd(items), TwoKinds())
    state = state_after(a_click(item_id="shoe"))

    (ranked,) = rank_for_users({"ann": state}, views, policy, n=8)

    assert ranked.items == rank_for(state, views, replace(POLICY, ranker=BLEND), n=8).items
    assert make_list("ann", state, ranked, views, partition=0, generated_at="").model.ranker == BLEND


def test_the_error_of_a_rate_is_what_a_bootstrap_over_users_says():
    rng = np.random.default_rng(1)
    taste = rng.beta(1, 4, size=400)
    outcomes = {}
    for number, chance in enumerate(taste.tolist()):
        choices = int(rng.geometric(0.1))
        outcomes[str(number)] = Outcome(choices, int(rng.binomial(choices, chance)))
    users = [user for user, one in outcomes.items() for _ in range(one.choices)]
    hits = np.array([float(n < one.hits) for one in outcomes.values() for n in range(one.choices)])

    rate = summary(outcomes).hit_rate

    assert rate.value == pytest.approx(hits.mean())
    assert rate.interval == pytest.approx(Bootstrap(users, rounds=4_000).interval(hits), abs=0.004)


def test_two_rates_differ_by_more_than_chance_only_where_their_errors_allow():
    assert Rate(0.2, 0.03).over(Rate(0.1, 0.04)).error == pytest.approx(0.05)
    assert np.isnan(summary({}).hit_rate.value)
    assert np.isnan(summary({"ann": Outcome(2, 1)}).hit_rate.error)


@pytest.mark.parametrize(
    ("variants", "sentence"),
    [
        ([{"name": "alone"}], "two variants or more"),
        ([{"name": "same"}, {"name": "same"}], "each with a name of its own"),
        ([{"name": "a", "share": 0}, {"name": "b", "share": 0}], "a share above 0"),
        ([{"name": "a"}, {"name": "b", "ranker": "best"}], "unknown ranker 'best': linear-2, blend-1"),
        ([{"name": "a"}, {"name": "b", "weight_view": 3}], "unknown field `weight_view`"),
        ([{"name": "a:b"}, {"name": "c"}], "matching regex"),
    ],
)
def test_an_experiment_that_cannot_be_is_refused(variants, sentence):
    with pytest.raises(ConfigError) as refused:
        an_experiment(*variants)
    assert sentence in str(refused.value)
