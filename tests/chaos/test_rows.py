"""Each row of `benchmarks/chaos_rows.py` once: after the faults everything equals the reference fold."""

import logging

import pytest

from benchmarks.chaos import run_round
from benchmarks.chaos_rows import ROWS
from tests.services import kafka, redis
from tests.services.process import missing

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("row", [row for row, (_, cycles) in ROWS.items() if cycles])
async def test_after_the_faults_everything_equals_the_reference(row: str) -> None:
    if reason := kafka.what_is_missing() or redis.what_is_missing():
        missing(reason)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    _, cycles = ROWS[row]

    result = await run_round(row, cycles, "ci")

    assert result["result"] == "passed", result
