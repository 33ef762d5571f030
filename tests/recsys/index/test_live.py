import numpy as np
import pytest

from recsys.errors import DimensionError
from recsys.ids import ItemIds
from recsys.index.live import LiveIndex
from tests.recsys.products import random_units, unit

N = 3000
TEXT, IMAGE = random_units(N, 16), random_units(N, 40, seed=1)
HALF = {"text": 0.5, "image": 0.5}


def live_index(with_image=lambda number: number % 3 != 0) -> LiveIndex:
    """Items 0, 1, …; every third has no image."""
    index = LiveIndex(ItemIds())
    for number in range(N):
        index.put(str(number), "text", TEXT[number])
        if with_image(number):
            index.put(str(number), "image", IMAGE[number])
    return index


def brute_force(text, image, weights):
    halves = TEXT.astype(np.float16).astype(np.float64), IMAGE.astype(np.float16).astype(np.float64)
    with_image = np.arange(N) % 3 != 0
    return weights["text"] * (halves[0] @ text) + weights["image"] * (halves[1] @ image) * with_image


@pytest.mark.parametrize("weights", [HALF, {"text": 0.8, "image": 0.2}])
def test_searching_by_both_parts_is_exactly_the_search_in_their_concatenation(weights):
    index = live_index()

    for text, image in zip(random_units(10, 16, seed=2), random_units(10, 40, seed=3), strict=True):
        hits = index.search({"text": text, "image": image}, 10, weights=weights)
        scores = brute_force(text, image, weights)
        assert [item_id for item_id, _ in hits] == [str(row) for row in np.argsort(-scores)[:10]]
        assert [score for _, score in hits] == pytest.approx(np.sort(scores)[::-1][:10].tolist(), abs=1e-5)


def test_a_query_of_one_part_scores_by_that_part_alone():
    index = live_index()

    hits = index.search({"image": 3 * IMAGE[1], "text": np.zeros(16, dtype=np.float32)}, 1)
    assert hits == [("1", pytest.approx(1, abs=1e-3))]


def test_items_without_any_part_of_the_query_are_not_found():
    index = LiveIndex(ItemIds())
    index.put("words", "text", unit(1, 0))
    index.put("picture", "image", unit(0, 1, 0))

    assert [item_id for item_id, _ in index.search({"image": unit(0, -1, 0)}, 10)] == ["picture"]


def test_equal_scores_come_in_order_of_item_id_however_many_there_are():
    index = LiveIndex(ItemIds())
    for number in range(999, -1, -1):
        index.put(f"{number:03}", "text", unit(1, 1))

    assert [item_id for item_id, _ in index.search({"text": unit(1, 0)}, 5)] == ["000", "001", "002", "003", "004"]


def test_a_new_encoder_fills_a_generation_of_its_own_while_the_old_one_serves():
    index = LiveIndex(ItemIds())
    for item_id in ("boot", "lamp", "sofa"):
        index.put(item_id, "text", unit(1, 0), encoder="old")
    index.put("sofa", "text", unit(0, 0, 1), encoder="new")

    assert [item_id for item_id, _ in index.search({"text": unit(1, 0)}, 9)] == ["boot", "lamp"]
    assert [item_id for item_id, _ in index.search({"text": unit(1, 1, 1)}, 9)] == ["sofa"]
    with pytest.raises(DimensionError, match="text vector has dimension 4"):
        index.search({"text": unit(1, 1, 1, 1)}, 9)


def test_vectors_of_two_encoders_of_the_same_length_never_meet():
    index = LiveIndex(ItemIds())
    index.put("boot", "text", unit(1, 0), encoder="old")
    for item_id in ("lamp", "sofa"):
        index.put(item_id, "text", unit(1, 0), encoder="new")

    assert [item_id for item_id, _ in index.search({"text": unit(1, 0)}, 9)] == ["lamp", "sofa"]


def test_likeness_is_taken_from_the_mean_so_that_what_all_share_counts_for_nothing():
    index = LiveIndex(ItemIds())
    for item_id, own in {"boot": (1, 0.1), "shoe": (1, 0.3), "lamp": (-1, 0.1), "candle": (-1, 0.3)}.items():
        index.put(item_id, "text", unit(*own, 20))

    assert [item_id for item_id, _ in index.like("boot", 3)] == ["shoe", "lamp", "candle"]
    scores = dict(index.like("boot", 3))
    assert scores["shoe"] > 0.9
    assert scores["lamp"] < -0.9


def test_likeness_agrees_with_brute_force():
    index = live_index(with_image=lambda number: True)
    text, image = (m.astype(np.float16).astype(np.float64) for m in (TEXT, IMAGE))
    text, image = text - text.mean(axis=0), image - image.mean(axis=0)
    text, image = (m / np.linalg.norm(m, axis=1, keepdims=True) for m in (text, image))

    for row in range(10):
        scores = 0.5 * text @ text[row] + 0.5 * image @ image[row]
        scores[row] = -np.inf
        expected = [str(found) for found in np.argsort(-scores)[:10]]
        assert [item_id for item_id, _ in index.like(str(row), 10)] == expected


def test_an_item_without_vectors_is_like_nothing():
    assert live_index().like("unknown", 3) == []
