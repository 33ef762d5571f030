"""Whatever a seed does to workers, log and Redis: what is left equals the reference fold and never went back."""

import pytest

from streams import retry
from tests.simulation.play import play

SEEDS, AT_ONCE, QUICK = 2_000, 100, 300
"""All of them, in chunks; `make check` plays the first `QUICK` and leaves the rest to `make test`."""
STARTS = [pytest.param(start, marks=[] if start < QUICK else pytest.mark.slow) for start in range(0, SEEDS, AT_ONCE)]


@pytest.fixture(autouse=True)
def _waits(monkeypatch):
    monkeypatch.setattr(retry, "LONGEST_WAIT_S", 0.0)


@pytest.mark.parametrize("start", STARTS)
def test_a_seed_leaves_what_the_reference_says(start):
    for seed in range(start, start + AT_ONCE):
        try:
            play(seed)
        except Exception as error:
            error.add_note(f"python -m tests.simulation.play {seed}")
            raise


def test_a_seed_replays_exactly():
    assert [play(seed) for seed in range(20)] == [play(seed) for seed in range(20)]
