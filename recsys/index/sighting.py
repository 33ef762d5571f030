"""Learning a `Sight` from an index, in steps of which only the long one may run in another thread."""

from collections.abc import Callable, Sequence

import numpy as np

from recsys.index.bridge import Bridge, fit_bridge
from recsys.index.lens import Lens, fit_lens
from recsys.index.live import Key, LiveIndex, Sight
from recsys.index.measure import Measure
from recsys.index.mutable import MutableSegment
from recsys.types import Matrix

MOST_GROUPS = 1_500
"""Products whose pictures the lens learns from; more take seconds and change nothing."""


class Sighting:
    """One fit of an index's sight.

    The writer makes it, any thread calls `fit`, and the writer `put_in_use`, which takes account of what changed
    meanwhile.

    Parameters
    ----------
    pictures : sequence of ndarray of float16, each of shape (n_pictures, dim)
        Of products with several pictures; those of another dimension are left out.
    """

    def __init__(self, index: LiveIndex, pictures: Sequence[Matrix]) -> None:
        self.index, self._pictures = index, pictures
        self._images, self._texts = index.largest("image"), index.largest("text")
        self._seen, self._crossed, self._texts_seen = Measure(), Measure(), Measure()
        self._sight: Sight | None = None
        if self._images is not None:
            self._seen.watch(self._images[1])
            self._crossed.watch(self._images[1])
        if self._texts is not None:
            self._texts_seen.watch(self._texts[1])

    def fit(self, told: Callable[[str], None] = lambda what: None) -> None:
        """Learn; nothing is learned of a shop without pictures. `told` hears of each step, as `fit_bridge` has it."""
        if self._images is None:
            return
        key, images = self._images
        step = max(1, len(self._pictures) // MOST_GROUPS)
        groups = [group.astype(np.float32) for group in self._pictures[::step] if group.shape[1] == images.dim]
        lens = fit_lens(images.mean(), groups)
        self._seen.fill(images, lens.lengths)
        bridge = None if self._texts is None else self._bridge(images, self._texts[1], lens, told)
        self._sight = self._with_bridge(key, lens, bridge, images)

    def put_in_use(self) -> bool:
        """Let the index compare through what was learned; whether there was anything."""
        if self._sight is None or self._images is None:
            return False
        self.index.put_in_use(self._sight)
        self._seen.settle(self._images[1])
        if self._sight.bridge is not None and self._texts is not None:
            self._crossed.settle(self._images[1])
            self._texts_seen.settle(self._texts[1])
        return True

    def _with_bridge(self, key: Key, lens: Lens, bridge: Bridge | None, images: MutableSegment) -> Sight:
        if bridge is None or self._texts is None:
            return Sight(key, lens, self._seen)
        self._crossed.fill(images, bridge.crossed_lengths)
        self._texts_seen.fill(self._texts[1], bridge.text_lengths)
        return Sight(key, lens, self._seen, self._texts[0], bridge, self._crossed, self._texts_seen)

    @staticmethod
    def _bridge(
        images: MutableSegment, texts: MutableSegment, lens: Lens, told: Callable[[str], None]
    ) -> Bridge | None:
        rows = images.held_rows()
        rows = rows[texts.are_held(rows)]
        # Thinned before it is gathered: 100,000 products would take 700 MB.
        rows = rows[:: max(1, len(rows) // 6_000)]
        return fit_bridge(images.gather(rows).astype(np.float32), texts.gather(rows).astype(np.float32), lens, told)
