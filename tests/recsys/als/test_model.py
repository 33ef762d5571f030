import numpy as np
import pytest

from recsys.als.content import ContentMap
from recsys.als.fold_in import fold_in_user
from recsys.als.model import FactorModel, Factors
from recsys.als.retrieval import EXACT_ROWS
from recsys.errors import DimensionError
from recsys.types import Matrix
from tests.recsys.als.test_retrieval import skewed_factors

NOTHING = np.zeros(0, dtype=np.float32)


def a_model(factors: Matrix, content: ContentMap | None = None) -> FactorModel:
    ids = tuple(f"item-{row}" for row in range(len(factors)))
    return FactorModel(Factors("7", ids, factors, regularization=0.1, content=content))


SHOES, LAMPS = ["item-0", "item-1", "item-2"], ["item-3", "item-4", "item-5"]
TWO_KINDS = np.array([[1, 0]] * 3 + [[0, 1]] * 3, dtype=np.float32)


def test_one_click_ranks_the_rest_of_its_kind_first() -> None:
    model = a_model(TWO_KINDS)

    item_ids, scores = model.top(model.fold_in([("item-1", 3.0)]), 6)

    assert item_ids[:3] == SHOES
    assert scores[0] == scores[2] > scores[3]


def test_a_dislike_of_a_liked_kind_brings_it_down() -> None:
    model = a_model(TWO_KINDS)

    without = model.fold_in([("item-0", 3.0)])
    with_dislike = model.fold_in([("item-0", 3.0), ("item-1", -5.0)])

    assert model.scores(with_dislike, SHOES).max() < model.scores(without, SHOES).min()


def test_a_history_of_unknown_items_gives_zeros() -> None:
    model = a_model(TWO_KINDS)

    assert not model.fold_in([("never-seen", 3.0)]).any()
    assert not model.fold_in([]).any()


def test_unknown_items_of_a_history_are_left_out() -> None:
    model = a_model(TWO_KINDS)

    assert np.array_equal(model.fold_in([("no", 9.0), ("item-4", 2.0)]), model.fold_in([("item-4", 2.0)]))


def test_the_fold_in_is_the_exact_one_of_its_rows() -> None:
    model = a_model(skewed_factors(500, 16))
    confidence = np.array([2.0, 7.0, -3.0], dtype=np.float32)

    vector = model.fold_in([("item-9", 2.0), ("item-400", 7.0), ("item-77", -3.0)])

    rows = model.trained.factors[[9, 400, 77]]
    assert np.array_equal(vector, fold_in_user(rows, model.gram, confidence, regularization=0.1))


def test_a_new_product_changes_nobody_who_has_not_touched_it() -> None:
    model = a_model(TWO_KINDS)
    before = model.fold_in([("item-1", 3.0)])

    model.add_content_item("new-shoe", np.array([0.9, 0.1], dtype=np.float32))

    assert np.array_equal(model.fold_in([("item-1", 3.0)]), before)
    assert model.origin("new-shoe") == "content"
    assert "new-shoe" in model.top(before, 4)[0]


def test_touching_a_new_product_leads_to_its_kind() -> None:
    model = a_model(TWO_KINDS)
    model.add_content_item("new-lamp", np.array([0.1, 0.8], dtype=np.float32))

    item_ids, _ = model.top(model.fold_in([("new-lamp", 4.0)]), 3)

    assert item_ids == LAMPS


def test_a_trained_item_keeps_what_it_learned() -> None:
    model = a_model(TWO_KINDS)

    assert not model.add_content_item("item-0", np.array([0, 5], dtype=np.float32))
    assert model.scores(np.array([1, 0], dtype=np.float32), ["item-0"])[0] == 1.0
    assert model.origin("item-0") == "trained"
    assert model.origin("never-seen") is None


def test_newer_content_takes_the_place_of_older_also_after_sealing() -> None:
    model = a_model(skewed_factors(EXACT_ROWS, 8))
    model.add_content_item("new", np.full(8, 0.5, dtype=np.float32))
    model.add_content_item("newer", np.full(8, 0.25, dtype=np.float32))
    assert model.wants_sealing
    model.seal()
    assert not model.wants_sealing

    model.add_content_item("new", np.full(8, 90.0, dtype=np.float32))

    item_ids, scores = model.top(np.ones(8, dtype=np.float32), 3)
    assert (item_ids[0], scores[0]) == ("new", 720.0)
    assert len(model) == EXACT_ROWS + 2


def test_answers_are_the_same_alone_and_together_to_the_last_bit() -> None:
    model, vectors = a_model(skewed_factors(6_000, 32)), skewed_factors(40, 32, seed=5)
    model.seal()

    together = model.top_rows(vectors, 60)

    for vector, (rows, scores) in zip(vectors, together, strict=True):
        (alone,) = model.top_rows(vector[None], 60)
        assert np.array_equal(alone[0], rows)
        assert np.array_equal(alone[1], scores)
        item_ids = [model.ids[row] for row in rows.tolist()]
        assert np.array_equal(scores.astype(np.float32), model.scores(vector, item_ids))
        assert np.array_equal(np.sort(model.top_rows(vector[None], 10)[0][1]), np.sort(scores)[-10:])


def test_scores_are_zero_for_items_without_factors() -> None:
    model = a_model(TWO_KINDS)

    scores = model.scores(np.array([2, 3], dtype=np.float32), ["item-0", "never-seen", "item-5"])

    assert scores.tolist() == [2.0, 0.0, 3.0]


def test_content_is_predicted_only_where_there_is_a_map_and_a_vector() -> None:
    content = ContentMap(np.array([[2, 0], [0, 2], [0, 0]], dtype=np.float32), text_dim=1)
    text = np.ones(1, dtype=np.float32)

    predicted = a_model(TWO_KINDS, content).predict(text, NOTHING)

    assert predicted is not None
    assert predicted.tolist() == [2.0, 0.0]
    assert a_model(TWO_KINDS, content).predict(NOTHING, NOTHING) is None
    assert a_model(TWO_KINDS).predict(text, NOTHING) is None
    of_another_encoder = np.ones(5, dtype=np.float32)
    assert a_model(TWO_KINDS, content).predict(of_another_encoder, NOTHING) is None


def test_ids_and_factors_of_different_length_are_refused() -> None:
    with pytest.raises(DimensionError, match="the list of items has dimension 1, expected 6"):
        FactorModel(Factors("7", ("item-0",), TWO_KINDS, regularization=0.1))


def test_a_shop_that_trained_on_texts_alone_predicts_a_pictured_product_from_its_text() -> None:
    content = ContentMap(np.array([[2, 0], [0, 0]], dtype=np.float32), text_dim=1)
    model = a_model(TWO_KINDS, content)
    text, picture = np.ones(1, dtype=np.float32), np.ones(3, dtype=np.float32)

    both = model.predict(text, picture)

    assert both is not None
    np.testing.assert_array_equal(both, model.predict(text, NOTHING))
    assert model.predict(NOTHING, picture) is None
