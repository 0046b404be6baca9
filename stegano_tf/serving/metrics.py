"""The server's metrics, for Prometheus."""

import time

import prometheus_client
from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_FRESH = 0.1  # seconds; the page takes milliseconds, which everybody else waits for
_ROWS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The metrics of one server and of its process (memory, CPU time, open files)."""

    def __init__(self):
        self._page, self._page_until = b"", 0.0
        self._registry = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self._registry)
        ours = {"namespace": "stegano_tf", "registry": self._registry}
        batch = ("model", "signature")
        request = (*batch, "entrypoint")
        self._requests = Counter("requests", "Predict requests by the status they got.", (*request, "code"), **ours)
        text = "Time from a predict request's arrival to its answer."
        self._seconds = Histogram("request_seconds", text, request, buckets=_SECONDS, **ours)
        self.in_progress = Gauge("requests_in_progress", "Predict requests that are read, wait, or run.", **ours)
        text = "Pictures, or pairs, that were run as one batch."
        self.batch_rows = Histogram("batch_rows", text, batch, buckets=_ROWS, **ours)
        self.run_seconds = Histogram("run_seconds", "Time that a batch took to run.", batch, buckets=_SECONDS, **ours)

    def answered(self, model: str, signature: str, entrypoint: str, code: str, seconds: float) -> None:
        """Counts a request; `model` and `signature` are empty if the request named none that exists."""
        self._requests.labels(model, signature, entrypoint, code).inc()
        self._seconds.labels(model, signature, entrypoint).observe(seconds)

    def page(self) -> tuple[bytes, str]:
        """Returns the metrics in Prometheus' text format, at most `_FRESH` seconds old, and its content type."""
        if (now := time.monotonic()) > self._page_until:
            self._page, self._page_until = prometheus_client.generate_latest(self._registry), now + _FRESH
        return self._page, prometheus_client.CONTENT_TYPE_LATEST
