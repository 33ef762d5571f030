"""What is compiled computes what plain Python computes, wherever its machine code may be kept."""

import numpy as np

from recsys.als.model import _best, _inner_products
from recsys.candidates import Views
from recsys.compiled import compiled
from recsys.counts import ItemTrend
from recsys.events import ACTION_CODE, Action
from recsys.evidence import merge, unhidden
from recsys.history import Interaction, UserState
from recsys.item_table import ItemTable
from recsys.rank import _blend, _in_order
from recsys.ranker import BLEND, _linear
from recsys.refresh import RecommendPolicy, rank_for, rank_for_each
from recsys.tastes import _tastes
from recsys.trends import Trends, _sums
from recsys.warm_up import warm_up


def test_a_function_without_a_place_to_keep_its_code_is_compiled_all_the_same():
    scope: dict[str, object] = {}
    exec("def twice(amounts):\n    return amounts * 2", scope)

    twice = compiled(scope["twice"])

    assert twice(np.arange(3.0)).tolist() == [0.0, 2.0, 4.0]


def test_a_disk_that_has_become_full_does_not_fail_the_call_that_compiles(tmp_path, monkeypatch):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    made = compiled(count_up)
    (tmp_path / "full").touch()
    monkeypatch.setattr(made._cache._cache_file, "_cache_path", str(tmp_path / "full"))

    assert made(np.arange(3.0)).tolist() == [1.0, 2.0, 3.0]
    assert made.stats.cache_misses


def count_up(amounts):
    return amounts + 1


def test_inner_products_are_those_of_numpy_whatever_the_number_of_factors():
    rng = np.random.default_rng(0)
    for n_factors in (1, 3, 4, 7, 64):
        factors = rng.standard_normal((9, n_factors), dtype=np.float32)
        vector = rng.standard_normal(n_factors, dtype=np.float32)

        products = _inner_products(factors, vector)

        assert np.allclose(products, factors.astype(np.float64) @ vector.astype(np.float64), rtol=1e-12, atol=1e-12)


def test_after_the_warm_up_a_list_of_one_user_compiles_nothing():
    warm_up()
    loops = (_tastes, merge, unhidden, _blend, _linear, _in_order, _best, _sums)
    known = [len(loop.signatures) for loop in loops]
    items = ItemTable([f"item-{number}" for number in range(40)])
    trends = Trends(items)
    trends.put(1, "item-3", ItemTrend(offset=7, pairs={"item-5": 2.0, "item-7": 1.0}, next={"item-5": 1.0}))
    views = Views(items, trends)
    touched = UserState(history=[Interaction("item-3", ACTION_CODE[Action.CLICK], 0, 1.0, 0)])
    rank_for(UserState(), views, RecommendPolicy(), n=10)
    rank_for(touched, views, RecommendPolicy(), n=10)
    rank_for(UserState(), views, RecommendPolicy(ranker=BLEND), n=10)
    rank_for_each([UserState(), UserState()], views, RecommendPolicy(), n=10)

    assert [len(loop.signatures) for loop in loops] == known
