"""Everything that ranking and search compile, compiled or loaded before the first click has to wait for it."""

from collections.abc import Sequence

import numpy as np

from recsys.als.model import FactorModel, Factors
from recsys.candidates import Views
from recsys.counts import ItemTrend
from recsys.events import ACTION_CODE, Action
from recsys.history import Interaction, UserState
from recsys.index.half import widened
from recsys.item_table import ItemTable
from recsys.list_rules import ListRules
from recsys.ranker import BLEND
from recsys.refresh import RecommendPolicy, rank_for
from recsys.signatures import WORDS, similarity
from recsys.trends import Trends


def warm_up(rules: Sequence[ListRules] = (ListRules(),)) -> None:
    """Make one list in a shop of two products: some 0.5 s in every process, 10 s in the first after an installation.

    Parameters
    ----------
    rules : those that lists will be made under
    """
    items = ItemTable(["clicked", "other"])
    factors = np.eye(2, 8, dtype=np.float32)
    widened(factors.astype(np.float16))
    model = FactorModel(Factors("warm-up", tuple(items.ids), factors, regularization=1.0))
    clicked = Interaction("clicked", ACTION_CODE[Action.CLICK], 0, 1.0, 0)
    if any(one.near_duplicates for one in rules):
        similarity(np.zeros(WORDS, dtype=np.uint64), np.zeros(WORDS, dtype=np.uint64))
    policies = [RecommendPolicy(rules=one) for one in rules]
    for policy in (*policies, RecommendPolicy(ranker=BLEND)):
        trends = Trends(items)
        trends.put(0, "clicked", ItemTrend(offset=0, pairs={"other": 1.0}, next={"other": 1.0}))
        views = Views(items, trends, model, traits=policy.traits(items))
        # A place more than there are products, as what fills a short list is compiled, too.
        rank_for(UserState(history=[clicked]), views, policy, n=3)
