"""A worker's Prometheus metrics, read from what its agents count anyway; no label ever names a user or an item."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from streams.agents.live_scores import LiveScores
from streams.agents.recommend import ClickProcessor
from streams.shared_views import SharedViews

if TYPE_CHECKING:
    from streams.agents.embed import EmbedProcessor  # a worker that only recommends fetches and decodes no pictures


class WorkerMetrics:
    """Collects the counters of one worker; a role that does not run has none."""

    def __init__(self, views: SharedViews, registry: CollectorRegistry | None = None) -> None:
        self.views = views
        self.clicks: ClickProcessor | None = None
        self.products: EmbedProcessor | None = None
        self.registry = registry or CollectorRegistry()
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """What prometheus_client asks for at each scrape."""
        yield _gauge("freshet_catalogue_products", "Products held.", len(self.views.catalogue))
        yield _gauge("freshet_catalogue_vectors", "Products with vectors.", self.views.n_with_vectors)
        if self.clicks is not None:
            counters = self.clicks.counters
            yield _counter("freshet_clicks_applied", "Clicks folded in.", counters.applied)
            yield _counter("freshet_clicks_refused", "Clicks that became dead letters.", counters.refused)
            yield _counter("freshet_lists_written", "Lists written to Redis and the topic.", counters.lists)
            yield _counter("freshet_click_batches", "Batches of clicks.", counters.batches)
            yield _gauge("freshet_partitions_owned", "Partitions of clicks owned.", len(self.clicks.partitions))
            yield from _live_scores(self.clicks.live)
            users = sum(len(owned.states) for owned in self.clicks.partitions.values())
            yield _gauge("freshet_users", "Users held.", users)
        if self.products is not None:
            made = self.products.counters
            yield _counter("freshet_products_arrived", "Product messages taken.", made.arrived)
            yield _counter("freshet_products_refused", "Product messages that became dead letters.", made.refused)
            yield _counter("freshet_products_embedded", "Products given vectors.", made.embedded)
            yield _gauge("freshet_products_waiting", "Products that wait for vectors.", self.products.n_waiting)

    def describe(self) -> Iterable[Metric]:
        """Nothing ahead of time: which metrics there are depends on the roles."""
        return ()


def _live_scores(live: LiveScores) -> Iterator[Metric]:
    """How often the ten first of the list that stood before a choice held it, beside the ten most popular."""
    choices = CounterMetricFamily("freshet_choices", "Choices of users who had a list.", labels=["strategy", "variant"])
    hits = CounterMetricFamily("freshet_choice_hits", "Those that were foretold.", labels=["strategy", "variant", "by"])
    for kind, tally in sorted(live.tallies.items()):
        choices.add_metric(kind, tally.choices)
        hits.add_metric([*kind, "list"], tally.hits)
        hits.add_metric([*kind, "popularity"], tally.popular_hits)
    yield from (choices, hits)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
