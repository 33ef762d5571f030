"""From pictures to texts and back, learned on the shop's own products: what a thing looks like, without CLIP."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from recsys.index.contrastive import Contrast, sharpened
from recsys.index.held_out import HeldOut
from recsys.index.lens import Lens
from recsys.types import Matrix, Rows, Vector

FEWEST_PAIRS = 40
"""Products with picture and text below which nothing can be learned and held out."""
MOST_PAIRS = 6_000
"""More teach little, and cost seconds."""
HELD_OUT = 5
"""Each fifth text is held out, with all its pictures, to choose the ridge and to see whether the map is any good."""
RIDGES = (0.3, 1.0, 3.0, 10.0, 30.0)
NEAR_BEST = 0.97
"""Of the best held-out rank, from which on the smallest ridge is taken: as good for products unknown, and better for
those whose other photos are known (mean average precision .80 at .3, .67 at 10, which was the best by a hair)."""
BETTER_THAN_CHANCE = 2.0
"""A map whose held-out mean reciprocal rank is not twice that of chance is not used."""
BEYOND_NOISE = 2.0
"""Standard errors by which a sharpened map must do better on held-out pairs than the ridge's to be used."""
HOW = Contrast(hard=0.5)


@dataclass(frozen=True)
class Calibration:
    """Scores across the bridge on the scale of scores within a part, by least squares over held-out pairs."""

    slope: float
    bias: float


@dataclass(frozen=True)
class BridgeReport:
    """How the held-out pairs fared."""

    n_pairs: int
    ridge: float
    held_out: HeldOut
    """By the ridge's map."""
    sharpened: HeldOut | None = None
    """By the map that InfoNCE made of it; None where it was not tried."""

    @property
    def gain(self) -> float:
        """What sharpening brings on a held-out text, on average: see `HeldOut.by_text`."""
        return 0.0 if self.sharpened is None else float((self.sharpened.by_text - self.held_out.by_text).mean())

    @property
    def noise(self) -> float:
        """Its standard error."""
        if self.sharpened is None:
            return 0.0
        differences = self.sharpened.by_text - self.held_out.by_text
        return float(differences.std() / max(len(differences) - 1, 1) ** 0.5)

    @property
    def is_sharpened(self) -> bool:
        """Whether the sharpened map is the one in use."""
        return self.gain > BEYOND_NOISE * self.noise

    @property
    def in_use(self) -> HeldOut:
        """How the map in use did."""
        return self.sharpened if self.sharpened is not None and self.is_sharpened else self.held_out

    @property
    def is_good(self) -> bool:
        return self.held_out.reciprocal_rank > BETTER_THAN_CHANCE * self.held_out.by_chance


PLAIN = Calibration(1.0, 0.0)
UNTRIED = BridgeReport(0, 0.0, HeldOut.of(np.zeros((0, 0), dtype=np.float32), np.zeros(0, dtype=np.intp)))


@dataclass(frozen=True)
class Bridge:
    """A linear map from picture vectors, seen from their mean, to text vectors, seen from theirs.

    `matrix` is float32, shape (image dim, text dim).
    """

    image_mean: Vector
    text_mean: Vector
    matrix: Matrix
    of_text: Calibration = PLAIN
    """Of a text that looks for pictures."""
    of_image: Calibration = PLAIN
    """Of a picture that looks for texts."""
    report: BridgeReport = UNTRIED

    def crossed(self, images: Matrix, origin: Vector | None = None) -> Matrix:
        """float32, shape (n, text dim): picture vectors, shape (n, image dim), in the space of texts."""
        away = images - (self.image_mean if origin is None else origin)
        return np.asarray(away @ self.matrix, dtype=np.float32)

    def crossed_lengths(self, images: Matrix) -> Vector:
        return np.asarray(np.linalg.norm(self.crossed(images), axis=1), dtype=np.float32)

    def text_lengths(self, texts: Matrix) -> Vector:
        return np.asarray(np.linalg.norm(texts - self.text_mean, axis=1), dtype=np.float32)


def fit_bridge(
    images: Matrix, texts: Matrix, lens: Lens, told: Callable[[str], None] = lambda what: None
) -> Bridge | None:
    """Learn the map from products that have both; None where it is no good on pairs it has not seen.

    Parameters
    ----------
    images : ndarray of float32, shape (n, image dim)
    texts : ndarray of float32, shape (n, text dim)
        Row by row of one product; equal texts count as one product.
    lens : Lens
        How pictures are compared with each other, whose scores those across the bridge are made comparable with.
    told : callable
        Is called with each step that is done, `STEPS` of them.

    Notes
    -----
    Ridge regression, O(n dim^2 + dim^3), then InfoNCE where that does better on held-out pairs beyond noise: four
    seconds for 6,000 pairs. On photos of 81 groceries, mean average precision of a text's photos is .80 where other
    photos of the product were seen and .60 where the product was not; nearest ImageNet class names reach .11.
    """
    if len(images) < FEWEST_PAIRS:
        return None
    chosen = np.linspace(0, len(images) - 1, min(len(images), MOST_PAIRS)).astype(np.intp)
    pairs = Pairs.of(images[chosen], texts[chosen])
    order = np.random.default_rng(0).permutation(int(pairs.groups.max()) + 1)
    is_held = order[pairs.groups] % HELD_OUT == 0
    if not is_held.any() or is_held.all():
        return None
    seen, held = pairs.cut(~is_held), pairs.cut(is_held)
    best = _best_ridge(seen, held, told)
    report = BridgeReport(len(chosen), best[0], held.found_by(best[1]))
    if not report.is_good:
        return None
    sharper = seen.sharpened_map(best[1])
    report = replace(report, sharpened=held.found_by(sharper))
    told("InfoNCE")
    of_text, of_image = _calibrations(sharper if report.is_sharpened else best[1], held.images, held.texts, lens)
    whole = pairs.ridge_map(report.ridge)
    whole = pairs.sharpened_map(whole) if report.is_sharpened else whole
    told("all pairs")
    return replace(whole, of_text=of_text, of_image=of_image, report=report)


def _best_ridge(seen: "Pairs", held: "Pairs", told: Callable[[str], None]) -> tuple[float, Bridge]:
    """The smallest ridge that is nearly as good as the best on what is held out, and its map."""
    trials = []
    for ridge in RIDGES:
        bridge = seen.ridge_map(ridge)
        trials.append((ridge, bridge, held.found_by(bridge).reciprocal_rank))
        told(f"ridge {ridge:g}")
    most = max(rank for _, _, rank in trials)
    return next((ridge, bridge) for ridge, bridge, rank in trials if rank >= NEAR_BEST * most)


STEPS = len(RIDGES) + 2


@dataclass(frozen=True)
class Pairs:
    """Products' pictures and texts, row by row; equal texts are one group, 0 and up."""

    images: Matrix
    texts: Matrix
    groups: Rows = field(repr=False)

    @classmethod
    def of(cls, images: Matrix, texts: Matrix) -> "Pairs":
        return cls(images, texts, np.unique(texts, axis=0, return_inverse=True)[1].reshape(-1))

    def cut(self, rows: NDArray[np.bool_]) -> "Pairs":
        return Pairs.of(self.images[rows], self.texts[rows])

    def ridge_map(self, ridge: float) -> Bridge:
        """The linear map of least squares."""
        image_mean, text_mean = self.images.mean(axis=0), self.texts.mean(axis=0)
        away = (self.images - image_mean).astype(np.float64)
        scatter = away.T @ away
        scatter.flat[:: len(scatter) + 1] += ridge
        matrix = scipy.linalg.solve(scatter, away.T @ (self.texts - text_mean), assume_a="pos")
        return Bridge(image_mean, text_mean, matrix.astype(np.float32))

    def sharpened_map(self, bridge: Bridge, how: Contrast = HOW) -> Bridge:
        """What InfoNCE makes of a map of these pairs."""
        away, texts = self.images - bridge.image_mean, _unit(self.texts - bridge.text_mean)
        return replace(bridge, matrix=sharpened(bridge.matrix, away, texts, self.groups, how))

    def found_by(self, bridge: Bridge) -> HeldOut:
        """How pictures find their texts among all texts here, and texts their pictures."""
        distinct = np.zeros((int(self.groups.max()) + 1, self.texts.shape[1]), dtype=np.float32)
        distinct[self.groups] = self.texts
        scores = _unit(bridge.crossed(self.images)) @ _unit(distinct - bridge.text_mean).T
        return HeldOut.of(scores, self.groups)


def _calibrations(bridge: Bridge, images: Matrix, texts: Matrix, lens: Lens) -> tuple[Calibration, Calibration]:
    """Regress what a score would be with the part there on what it is across the bridge, over pairs of products."""
    across = _unit(texts - bridge.text_mean) @ _unit(bridge.crossed(images)).T
    seen = _unit(lens.seen(images))
    other = ~np.eye(len(images), dtype=np.bool_)
    return _line(across[other], (texts @ texts.T)[other]), _line(across.T[other], (seen @ seen.T)[other])


def _line(scores: Vector, wanted: Vector) -> Calibration:
    slope = float(np.cov(scores, wanted)[0, 1] / max(float(scores.var()), 1e-12))
    slope = max(slope, 1e-3)
    return Calibration(slope, float(wanted.mean()) - slope * float(scores.mean()))


def _unit(vectors: Matrix) -> Matrix:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), dtype=np.float32)
