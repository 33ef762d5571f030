import numpy as np
import pytest

from recsys.als.content import LEAST_ITEMS, ContentMap, fit_content_map
from recsys.als.fit import FitPolicy, fit
from recsys.errors import DimensionError
from recsys.types import Matrix
from tests.recsys.als.kinds import kinds_matrix

TEXT_DIM, IMAGE_DIM = 12, 8
NOTHING = np.zeros(0, dtype=np.float32)


def unit_rows(rows: Matrix) -> Matrix:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def descriptions(kinds: np.ndarray, dim: int, seed: int) -> Matrix:
    """Vectors of which those of one kind lie together."""
    centres = np.random.default_rng(100 + dim).normal(size=(4, dim))
    return unit_rows(centres[kinds] + np.random.default_rng(seed).normal(scale=0.3, size=(len(kinds), dim)))


@pytest.fixture(scope="module")
def factors() -> Matrix:
    return fit(kinds_matrix(), FitPolicy(n_factors=8, regularization=0.1, iterations=10))


@pytest.fixture(scope="module")
def content_map(factors: Matrix) -> ContentMap:
    kinds = np.arange(40) // 10
    text, image = descriptions(kinds, TEXT_DIM, 1), descriptions(kinds, IMAGE_DIM, 2)
    text[::7] = 0
    image[1::5] = 0
    learned = fit_content_map(text, image, factors, rng=np.random.default_rng(0))
    assert learned is not None
    return learned


@pytest.mark.parametrize("parts", ["both", "text", "image"])
def test_a_new_product_of_a_known_kind_gets_factors_near_its_kind(
    factors: Matrix, content_map: ContentMap, parts: str
) -> None:
    kinds = np.arange(40) // 10
    text, image = descriptions(kinds, TEXT_DIM, 11), descriptions(kinds, IMAGE_DIM, 12)
    centres = unit_rows(np.stack([factors[kinds == kind].mean(axis=0) for kind in range(4)]))

    predicted = np.stack(
        [
            content_map.predict(text[row] if parts != "image" else NOTHING, image[row] if parts != "text" else NOTHING)
            for row in range(40)
        ]
    )

    assert (np.argmax(predicted @ centres.T, axis=1) == kinds).mean() > 0.95


def test_nothing_known_gives_nothing(content_map: ContentMap) -> None:
    assert not content_map.predict(NOTHING, NOTHING).any()


def test_vectors_of_another_encoder_are_refused(content_map: ContentMap) -> None:
    with pytest.raises(DimensionError, match="a text vector has dimension 5, expected 12"):
        content_map.predict(np.ones(5, dtype=np.float32), NOTHING)
    with pytest.raises(DimensionError, match="an image vector has dimension 5, expected 8"):
        content_map.predict(NOTHING, np.ones(5, dtype=np.float32))


def test_too_few_products_with_vectors_teach_no_map(factors: Matrix) -> None:
    text, image = np.zeros((40, 3), dtype=np.float32), np.zeros((40, 2), dtype=np.float32)
    text[: LEAST_ITEMS - 1] = 1

    assert fit_content_map(text, image, factors, rng=np.random.default_rng(0)) is None


def test_a_linear_truth_is_found_whatever_its_offset() -> None:
    rng = np.random.default_rng(3)
    text = unit_rows(rng.normal(size=(800, 6)))
    truth = rng.normal(size=(6, 4))
    factors = (text @ truth + 10.0).astype(np.float32)

    learned = fit_content_map(text, np.zeros((800, 0), dtype=np.float32), factors, rng=rng)

    assert learned is not None
    assert np.allclose(learned.weights[:-1], truth, atol=0.01)
    assert np.allclose(learned.weights[-1], 10.0, atol=0.01)
    assert learned.image_dim == 0


def test_content_that_says_nothing_is_shrunk_towards_the_mean() -> None:
    rng = np.random.default_rng(4)
    text = unit_rows(rng.normal(size=(200, 50)))
    factors = rng.normal(size=(200, 4)).astype(np.float32)

    learned = fit_content_map(text, np.zeros((200, 0), dtype=np.float32), factors, rng=rng)

    assert learned is not None
    assert np.abs(learned.weights[:-1]).mean() < 0.1
