"""`freshet rebuild`: what it says when it cannot do it."""

from pathlib import Path

from tests.gateway.cli.command import Freshet


def test_an_embedded_redis_that_nobody_runs_cannot_be_filled(tmp_path: Path):
    outcome = Freshet(tmp_path)("rebuild", "redis")

    assert outcome.code == 1
    assert "start one, or set FRESHET_REDIS" in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
