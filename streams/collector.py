"""Python's garbage collector, kept from holding up clicks: it walks through what lasts once, not again and again."""

import gc
from typing import Any

THRESHOLDS = (10_000, 20, 20)
"""Objects made until the youngest are looked through, and how often the younger ones are before the next older. Nearly
everything goes without the collector; as Python starts, it would look through the young 25 times a second."""


def walk_once() -> None:
    """Look no more through what is there now, nor through what survives a full collection from now on.

    A full collection would walk through all states and the whole catalogue, 0.1 s and more at a time. What becomes part
    of a cycle only after that and is then dropped stays in memory; of what lasts hardly anything does.
    """
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    if _keep not in gc.callbacks:
        gc.callbacks.append(_keep)


def _keep(phase: str, info: dict[str, Any]) -> None:
    if phase == "stop" and info["generation"] == 2:
        gc.freeze()
