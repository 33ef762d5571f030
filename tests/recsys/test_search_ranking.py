import numpy as np
import pytest

from recsys.als.model import FactorModel, Factors
from recsys.candidates import Views
from recsys.events import Price
from recsys.history import UserState
from recsys.item_table import ItemTable
from recsys.refresh import RecommendPolicy
from recsys.search import SearchHit, SearchQuery
from recsys.search_ranking import FEATURES, Evidence, RankingWeights, features, ranked
from recsys.trends import ItemTrend, Trends
from tests.builders import NOON_MS, a_click
from tests.recsys.products import fields, stocked
from tests.recsys.test_rank import state_after

HITS = [SearchHit("lamp", 0.8), SearchHit("sofa", 0.7), SearchHit("boot", 0.6)]
DAY_MS = 86_400_000
NOTHING = dict.fromkeys(FEATURES, 0.0)


def evidence(factors=None, trends=None, products=(), now_ms=NOON_MS):
    items = ItemTable([hit.item_id for hit in HITS])
    counts = Trends(items)
    for item_id, trend in (trends or {}).items():
        counts.put(0, item_id, trend)
    catalogue = stocked(*(hit.item_id for hit in HITS))
    for product in products:
        catalogue.put_fields(product)
    return Evidence(Views(items, counts, factors), catalogue, RecommendPolicy(), now_ms)


def feature(name, state=None, of=None):
    made = features(HITS, state or UserState(), of or evidence())
    return made[:, FEATURES.index(name)].tolist()


def test_for_a_guest_in_a_shop_without_clicks_the_order_is_that_of_relevance():
    assert ranked(HITS, SearchQuery(n=3), UserState(), evidence()) == [
        SearchHit(h.item_id, pytest.approx(h.score)) for h in HITS
    ]
    assert ranked([], SearchQuery(n=3), UserState(), evidence()) == []


def test_what_the_user_had_before_is_known_again():
    assert feature("had", state_after(a_click(item_id="boot"))) == [0, 0, 1]


def test_the_user_s_own_vector_speaks_for_what_suits_it():
    factors = np.array([[1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
    model = FactorModel(Factors("1", ("lamp", "sofa", "boot"), factors, regularization=0.1))

    taste = feature("taste", state_after(a_click(item_id="lamp")), evidence(model))

    assert taste[0] > taste[1] > taste[2] >= 0


def test_what_goes_with_the_user_s_recent_items_is_spoken_for():
    trends = {
        "lamp": ItemTrend(count=4.0, popularity=1.0, pairs={"sofa": 2.0}),
        "sofa": ItemTrend(count=4.0, popularity=1.0),
    }

    assert feature("together", state_after(a_click(item_id="lamp")), evidence(trends=trends)) == [0, 0.5, 0]


def test_popularity_counts_by_orders_of_magnitude():
    trends = {"sofa": ItemTrend(count=256, popularity=256.0), "lamp": ItemTrend(count=1, popularity=1.0)}

    assert feature("popularity", of=evidence(trends=trends)) == [0.5, 1, 0]


def test_a_product_is_new_for_a_month():
    made = [
        fields("lamp", created_at_ms=NOON_MS),
        fields("sofa", created_at_ms=NOON_MS - 30 * DAY_MS),
        fields("boot", created_at_ms=NOON_MS - 3_000 * DAY_MS),
    ]

    assert feature("new", of=evidence(products=made)) == [1, 0.5, pytest.approx(0, abs=1e-6)]


def test_a_price_fits_that_is_near_the_middle_of_what_the_user_likes():
    made = [fields("lamp", price=Price(10.0, "EUR")), fields("sofa", price=Price(20.0, "EUR")), fields("boot")]
    made += [fields("hat", price=Price(10.0, "EUR"))]

    fit = feature("price", state_after(a_click(item_id="hat")), evidence(products=made))

    assert fit[:2] == [pytest.approx(1), pytest.approx(0.5)]
    assert feature("price", of=evidence(products=made)) == [0, 0, 0]


def test_each_feature_adds_its_weight_to_the_relevance():
    weights = RankingWeights(**{**NOTHING, "had": 0.3})

    best = ranked(HITS, SearchQuery(n=2), state_after(a_click(item_id="boot")), evidence(), weights)

    assert [hit.item_id for hit in best] == ["boot", "lamp"]
    assert best[0].score == pytest.approx(0.9)
    assert np.isfinite([hit.score for hit in best]).all()


def test_a_product_named_by_its_id_stays_first_whatever_speaks_for_others():
    hits = [SearchHit("sku-1", 0.75), SearchHit("lamp", 0.7)]
    weights = RankingWeights(**{**NOTHING, "had": 0.9})
    state = state_after(a_click(item_id="lamp"))

    assert ranked(hits, SearchQuery("SKU-1"), state, evidence(), weights)[0].item_id == "sku-1"
    assert ranked(hits, SearchQuery("sku"), state, evidence(), weights)[0].item_id == "lamp"


def test_a_picture_is_hardly_outweighed():
    weights = RankingWeights(**{**NOTHING, "had": 0.9})
    query = SearchQuery(image_vector=np.ones(4, dtype=np.float32), n=1)

    assert ranked(HITS, query, state_after(a_click(item_id="boot")), evidence(), weights)[0].item_id == "lamp"
