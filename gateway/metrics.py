"""The gateway's Prometheus metrics; labels are route templates and outcomes, never a user or an item."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """One registry for each gateway, so that several may live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "freshet_http_requests_total", "Requests by route and status.", ("route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "freshet_http_request_seconds", "Time to answer.", ("route",), buckets=SECONDS, registry=self.registry
        )
        self.events = Counter(
            "freshet_events_total", "Events at the door.", ("topic", "outcome"), registry=self.registry
        )
        self.products = Gauge("freshet_catalogue_products", "Products held.", registry=self.registry)
        self.lists = Counter(
            "freshet_lists_total", "Lists answered, by strategy.", ("strategy",), registry=self.registry
        )
