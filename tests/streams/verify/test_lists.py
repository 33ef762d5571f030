"""Lists are made again from what they name, at any position of the counts, whichever worker made them."""

from types import SimpleNamespace

import msgspec
import pytest

from recsys.candidates import Views
from recsys.catalogue import Catalogue
from recsys.counts import PartitionTrends, decode_trend, encode_trend
from recsys.events import ModelVersions
from recsys.history import UserState
from recsys.item_table import ItemTable
from recsys.ranker import VERSION
from recsys.refresh import RecommendPolicy, fold_click, make_list, rank_for
from recsys.trends import Trends
from streams.log.base import Record
from streams.verify.clicks import Listed
from streams.verify.lists import ExactNeighbours, ListsCheck
from streams.verify.report import Check
from streams.wire.lists import decode_list, encode_list
from tests.builders import a_click

POLICY = RecommendPolicy(top_k=4)
ITEMS = ["lamp", "chair", "shoe", "boot", "vase", "coat"]
READERS = [(3, 3), (9, 5), (9, 9), (14, 9), (20, 20)]
"""Where the counts of a worker stood, and where it had sorted them last."""


class Shop:
    """Twenty records of counts, and a user."""

    def __init__(self):
        self.items = ItemTable(ITEMS)
        counts = PartitionTrends(POLICY.trends)
        self.state = UserState(history=[], events={}, seen={}, queries=[])
        self.records = []
        for offset in range(20):
            click = a_click(item_id=ITEMS[offset * offset % 5])
            fold_click(self.state, counts, click, offset=offset, epoch=1, policy=POLICY)
            value = encode_trend(counts.items[click.item_id])
            self.records.append(Record("trends", 0, offset, 0, click.item_id.encode(), value, ()))
        self.views = SimpleNamespace(items=self.items, catalogue=Catalogue(), factors=None, ranker=None)
        self.views.now = lambda: Views(self.items, Trends(self.items), named=lambda: self.names("20"))

    def names(self, upto, **changes):
        names = ModelVersions(None, VERSION, upto, "0", None, None, POLICY.name)
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
        neighbours = ExactNeighbours(self.views)
        views = Views(self.items, trends, None, neighbours, lambda: self.names(name, **changes))
        ranked = rank_for(self.state, views, POLICY, n=4)
        made = make_list("ann", self.state, ranked, views, partition=0, generated_at="")
        return Listed("Redis", "ann", encode_list(made), self.state)

    def check(self, *lists, records=None) -> Check:
        check = Check()
        ListsCheck(self.views, POLICY, {0: self.records if records is None else records}, check).run(lists)
        return check


def test_lists_of_several_workers_at_different_positions_are_made_again():
    shop = Shop()
    check = shop.check(*(shop.listed(*at) for at in READERS))

    assert (check.equal, check.different, dict(check.left_out)) == (len(READERS), 0, {})


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
