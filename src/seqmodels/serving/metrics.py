"""What a server counts, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.responses import Response

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
REQUESTS = (1, 2, 4, 8, 16, 32, 64, 128)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "seqmodels_requests", "Requests by endpoint and status", ["endpoint", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "seqmodels_request_seconds",
            "Time from the headers of a request to the end of its answer",
            ["endpoint"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.batches = Histogram(
            "seqmodels_batch_requests",
            "Requests that the model answers together",
            buckets=REQUESTS,
            registry=self.registry,
        )

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a number that is asked for whenever metrics are read."""
        Gauge(f"seqmodels_{name}", text, registry=self.registry).set_function(value)

    def count(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a request that ended."""
        self.requests.labels(endpoint, str(status)).inc()
        self.seconds.labels(endpoint).observe(seconds)

    def response(self) -> Response:
        """Return all metrics in the text format of Prometheus."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE)
