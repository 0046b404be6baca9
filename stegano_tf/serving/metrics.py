"""The server's metrics, for Prometheus."""

import prometheus_client

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The metrics of one server and of its process (memory, CPU time, open files)."""

    def __init__(self):
        self._registry = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self._registry)
        labels = ("model", "signature", "entrypoint")
        self._requests = self._make(
            prometheus_client.Counter, "requests", "Predict requests by the status they got.", (*labels, "code")
        )
        self._seconds = self._make(
            prometheus_client.Histogram,
            "request_seconds",
            "Time from a predict request's arrival to its answer.",
            labels,
            buckets=_SECONDS,
        )
        self.in_progress = self._make(
            prometheus_client.Gauge, "requests_in_progress", "Predict requests that are read, wait, or run."
        )
        self.batch_rows = self._make(
            prometheus_client.Histogram,
            "batch_rows",
            "Pictures, or pairs, that were run as one batch.",
            ("model", "signature"),
            buckets=(1, 2, 4, 8, 16, 32, 64),
        )
        self.run_seconds = self._make(
            prometheus_client.Histogram,
            "run_seconds",
            "Time that a batch took to run.",
            ("model", "signature"),
            buckets=_SECONDS,
        )

    def _make(self, kind, name: str, text: str, labels=(), **options):
        return kind(name, text, labels, namespace="stegano_tf", registry=self._registry, **options)

    def answered(self, model: str, signature: str, entrypoint: str, code: str, seconds: float) -> None:
        """Counts a request; `model` and `signature` are empty if the request named none that exists."""
        self._requests.labels(model, signature, entrypoint, code).inc()
        self._seconds.labels(model, signature, entrypoint).observe(seconds)

    def page(self) -> tuple[bytes, str]:
        """Returns the metrics in Prometheus' text format, and its content type."""
        return prometheus_client.generate_latest(self._registry), prometheus_client.CONTENT_TYPE_LATEST
