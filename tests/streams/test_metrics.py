"""A scrape tells what a worker has done, and never a user or a product."""

from pathlib import Path

from prometheus_client import generate_latest

from streams.log.open import open_log
from streams.metrics import WorkerMetrics
from streams.policy import recommend_policy
from streams.settings import Settings
from streams.shared_views import SharedViews
from tests.builders import a_click
from tests.streams.agents.test_recommend import Bench, bench

__all__ = ["bench"]


async def test_a_scrape_counts_applied_and_refused_clicks(bench: Bench, tmp_path: Path):
    settings = Settings(data_dir=tmp_path, partitions=2)
    metrics = WorkerMetrics(SharedViews(settings, open_log(settings), recommend_policy(settings)))
    metrics.clicks = processor = bench.processor()
    await processor.process(await bench.produce(a_click("secret-user", "secret-item"), b"{"))

    text = generate_latest(metrics.registry).decode()
    assert "freshet_clicks_applied_total 1.0" in text
    assert "freshet_clicks_refused_total 1.0" in text
    assert "secret" not in text
