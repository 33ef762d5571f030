"""Lists are made again from what they name, at any position of the counts, whichever worker made them."""

from dataclasses import replace
from types import SimpleNamespace

import msgspec
import pytest

from recsys.candidates import Views
from recsys.catalogue import Catalogue
from recsys.counts import PartitionTrends, decode_trend, encode_trend
from recsys.events import ModelVersions, Product
from recsys.experiments import parse_experiment
from recsys.history import UserState
from recsys.item_table import ItemTable
from recsys.list_rules import ListRules
from recsys.neighbours import ExactNeighbours
from recsys.ranker import BLEND, VERSION
from recsys.refresh import RecommendPolicy, fold_click, make_list, rank_for_users
from recsys.trends import Trends
from streams.log.base import Record
from streams.verify.clicks import Listed
from streams.verify.lists import ListsCheck
from streams.verify.report import Check
from streams.wire.lists import decode_list, encode_list
from tests.builders import a_click

POLICY = RecommendPolicy(top_k=4)
ITEMS = ["lamp", "chair", "shoe", "boot", "vase", "coat"]
READERS = [(3, 3), (9, 5), (9, 9), (14, 9), (20, 20)]
"""Where the counts of a worker stood, and where it had sorted them last."""


class Shop:
    """Twenty records of counts, and a user."""

    def __init__(self, policy=POLICY):
        self.policy = policy
        self.items = ItemTable(ITEMS)
        counts = PartitionTrends(POLICY.trends)
        self.state = UserState(history=[], events={}, seen={}, queries=[])
        self.records = []
        for offset in range(20):
            click = a_click(item_id=ITEMS[offset * offset % 5])
            fold_click(self.state, counts, click, offset=offset, epoch=1, policy=policy)
            value = encode_trend(counts.items[click.item_id])
            self.records.append(Record("trends", 0, offset, 0, click.item_id.encode(), value, ()))
        self.views = SimpleNamespace(items=self.items, catalogue=Catalogue(), factors=None, ranker=None)
        self.views.traits = policy.traits(self.items)
        for place, item_id in enumerate(ITEMS if self.views.traits else ()):
            self.views.traits.describe(Product(item_id=item_id, brand="xy"[place % 2]))
        self.views.now = lambda: Views(self.items, Trends(self.items), named=lambda: self.names("20"))

    def names(self, upto, **changes):
        names = ModelVersions(None, VERSION, upto, "0", None, None, self.policy.name)
        return msgspec.structs.replace(names, **changes)

    def listed(self, upto, is_sorted_at, **changes) -> Listed:
        """A list as a worker makes it that has read so far."""
        trends = Trends(self.items, POLICY.trends)
        for place, record in enumerate(self.records[:upto]):
            if place == is_sorted_at:
                trends.refresh()
            trends.put(0, record.key.decode(), decode_trend(record.value))
        if upto == is_sorted_at:
            trends.refresh()
        name = str(upto) if upto == is_sorted_at else f"{upto}/{is_sorted_at}"
        neighbours = ExactNeighbours(self.views.catalogue)
        traits = self.views.traits
        views = Views(self.items, trends, None, neighbours, lambda: self.names(name, **changes), traits=traits)
        (ranked,) = rank_for_users({"ann": self.state}, views, self.policy, n=4)
        made = make_list("ann", self.state, ranked, views, partition=0, generated_at="")
        return Listed("Redis", "ann", encode_list(made), self.state)

    def check(self, *lists, records=None) -> Check:
        check = Check()
        ListsCheck(self.views, self.policy, {0: self.records if records is None else records}, check).run(lists)
        return check


def test_lists_of_several_workers_at_different_positions_are_made_again():
    shop = Shop()
    check = shop.check(*(shop.listed(*at) for at in READERS))

    assert (check.equal, check.different, dict(check.left_out)) == (len(READERS), 0, {})


def test_lists_made_under_list_rules_are_made_again_and_only_under_the_same():
    shop = Shop(replace(POLICY, rules=ListRules(most_per_brand=1)))
    made = [shop.listed(*at) for at in READERS]

    assert all(len(decode_list(one.value).items) == 2 for one in made)
    assert (check := shop.check(*made)).equal == len(READERS), list(check.problems)

    other = Shop().check(*made)
    assert (other.equal, other.different, other.left_out.total()) == (0, 0, len(READERS))


def test_lists_of_an_experiment_are_made_again_by_their_users_variant():
    variants = [{"name": "blend", "ranker": BLEND}, {"name": "same", "share": 0}]
    experiment = parse_experiment({"name": "two", "variants": variants}, (BLEND,))
    shop = Shop(replace(POLICY, experiment=experiment))
    made = shop.listed(20, 20)
    assert decode_list(made.value).variant == "two:blend"
    assert shop.check(made).equal == 1

    other = msgspec.structs.replace(decode_list(made.value), variant="two:same")
    assert shop.check(Listed("Redis", "ann", encode_list(other), shop.state)).different == 1


def test_a_list_with_another_order_is_found():
    shop = Shop()
    listed = shop.listed(9, 9)
    made = decode_list(listed.value)
    altered = encode_list(msgspec.structs.replace(made, items=made.items[::-1]))

    check = shop.check(Listed(listed.where, listed.user_id, altered, listed.state))
    assert check.different == 1
    assert "place 1 is" in check.first[0]


def test_lists_whose_counts_were_compacted_away_are_left_out_unless_they_are_of_the_present_ones():
    shop = Shop()
    newest = {record.key: record for record in shop.records}
    kept = [record for record in shop.records if newest[record.key] is record]

    check = shop.check(shop.listed(9, 9), shop.listed(20, 20), records=kept)
    assert check.equal == 1
    assert dict(check.left_out) == {"counts of that time have been compacted away": 1}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"als": "old"}, "another model"),
        ({"catalog": "1"}, "the catalogue has changed"),
        ({"policy": "other"}, "other settings"),
        ({"trends": None}, "no counts"),
    ],
)
def test_a_list_of_other_views_is_left_out_and_told_why(change, why):
    shop = Shop()
    check = shop.check(shop.listed(9, 9, **change))

    assert (check.equal, check.different) == (0, 0)
    assert why in next(iter(check.left_out))
