"""One training: interactions and vectors in, the factors of the next version out."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recsys.als.content import ContentMap, fit_content_map
from recsys.als.fit import FitPolicy, fit, start_factors
from recsys.als.interactions import InteractionArrays, confidence_matrix
from recsys.als.model import FactorModel, Factors
from recsys.confidence import ConfidencePolicy
from recsys.records import CatalogueVectors, unpack_vector
from recsys.types import ItemId, Matrix


@dataclass(frozen=True)
class TrainingInput:
    """What a training learns from; nobody changes any of it meanwhile.

    `now_ms` is the newest event time seen, epoch milliseconds; `previous` is the model to start from.
    """

    interactions: InteractionArrays
    vectors: Mapping[ItemId, CatalogueVectors]
    now_ms: int
    previous: FactorModel | None = None


def train(
    given: TrainingInput,
    confidence: ConfidencePolicy,
    policy: FitPolicy,
    on_iteration: Callable[[], None] | None = None,
) -> Factors | None:
    """Fit factors, and the map from content to factors.

    Parameters
    ----------
    on_iteration : called between two iterations; an exception from it ends the training

    Returns
    -------
    Factors or None
        Without a version yet. None when nobody likes anything.
    """
    matrix, item_ids = confidence_matrix(given.interactions, confidence, given.now_ms)
    if not item_ids:
        return None
    previous = given.previous
    start = None
    if previous is not None and previous.n_factors == policy.n_factors:
        start = start_factors(item_ids, previous, policy.seed)
    factors = fit(matrix, policy, start, on_iteration)
    content = _content_map(item_ids, factors, given.vectors, policy.seed)
    return Factors("", item_ids, factors, policy.regularization, content)


def _content_map(
    item_ids: Sequence[ItemId], factors: Matrix, vectors: Mapping[ItemId, CatalogueVectors], seed: int
) -> ContentMap | None:
    found = [vectors.get(item_id) for item_id in item_ids]
    text = _stacked([(record.text_encoder, record.text) if record else None for record in found])
    image = _stacked([(record.image_encoder, record.image) if record else None for record in found])
    return fit_content_map(text, image, factors, rng=np.random.default_rng(seed))


def _stacked(parts: Sequence[tuple[str, bytes] | None]) -> Matrix:
    """One row for each part, zeros where it is missing or was made by another encoder than most."""
    kinds = Counter((encoder, len(packed)) for encoder, packed in filter(None, parts) if packed)
    if not kinds:
        return np.zeros((len(parts), 0), dtype=np.float32)
    usual = max(kinds, key=lambda kind: (kinds[kind], kind))
    rows = np.zeros((len(parts), usual[1] // 2), dtype=np.float32)
    for row, part in enumerate(parts):
        if part is not None and (part[0], len(part[1])) == usual:
            rows[row] = unpack_vector(part[1])
    return rows
