"""/metrics for Prometheus: on its own port, or for whoever shows the token."""

from __future__ import annotations

import hmac
import os
import threading
import time
from collections.abc import Iterator
from functools import cache

from flask import Blueprint, Flask, Response, current_app, request
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from smsapp.domain import metrics as catalogue
from smsapp.domain.metrics import MetricType
from smsapp.services.monitoring import metrics
from smsapp.services.platform import clock
from smsapp.web import guard
from smsapp.web.edge import BEGUN

CACHE_SECONDS = 5.0
"""How long a process answers with the numbers it has: several scrapers cost no more than one."""
ON_OWN_PORT = frozenset({"metrics", "health"})
"""Blueprints that METRICS_PORT answers."""

bp = Blueprint("metrics", __name__)
own = CollectorRegistry()
"""Of one process; with several, prometheus_client keeps the numbers of all of them in files (gunicorn.conf.py)."""
request_seconds = Histogram(
    catalogue.REQUEST_SECONDS.full_name,
    catalogue.REQUEST_SECONDS.help,
    catalogue.REQUEST_SECONDS.labels,
    registry=own,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
_series = cache(request_seconds.labels)


class GatheredNumbers(Collector):
    """What the database and Redis hold, looked up at most every CACHE_SECONDS."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = float("-inf")
        self._samples: list[metrics.Sample] = []

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Yield every metric of the catalogue, those without numbers empty."""
        families = {
            metric.name: (CounterMetricFamily if metric.type is MetricType.COUNTER else GaugeMetricFamily)(
                catalogue.PREFIX + metric.name, metric.help, labels=metric.labels
            )
            for metric in catalogue.GATHERED
        }
        for name, labels, value in self._present():
            families[name].add_metric(labels, float(value))
        yield from families.values()

    def forget(self) -> None:
        """Look the numbers up at the next scrape."""
        self._until = float("-inf")

    def _present(self) -> list[metrics.Sample]:
        with self._lock:
            if time.monotonic() > self._until:
                self._samples = metrics.gather(clock.now())
                self._until = time.monotonic() + CACHE_SECONDS
            return self._samples


gathered = GatheredNumbers()


def init_app(app: Flask) -> None:
    """Measure requests; answer nothing else on METRICS_PORT."""
    app.after_request(_observe)
    if app.config["METRICS_PORT"]:
        app.before_request(_only_metrics)


@bp.get("/metrics")
@guard.public
def show() -> Response:
    """Answer all metrics in the format Prometheus asks for; 404 if neither a port nor a token is set."""
    token: str = current_app.config["METRICS_TOKEN"]
    if not _is_own_port():
        if not token:
            return Response("Set METRICS_PORT or METRICS_TOKEN to read metrics.\n", 404, mimetype="text/plain")
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            challenge = {"WWW-Authenticate": "Bearer"}
            return Response("METRICS_TOKEN is missing or wrong.\n", 401, challenge, mimetype="text/plain")
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(own)
    registry.register(gathered)
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(registry), content_type=content_type)


def _is_own_port() -> bool:
    """Return whether the request came to METRICS_PORT, by the socket itself where the server shows it."""
    port: int = current_app.config["METRICS_PORT"]
    if not port or request.environ.get("SERVER_PORT") != str(port):
        return False
    connection = request.environ.get("gunicorn.socket")
    address = connection.getsockname() if connection is not None else ()
    return connection is None or (isinstance(address, tuple) and address[1] == port)


def _only_metrics() -> Response | None:
    came_to_it = request.environ.get("SERVER_PORT") == str(current_app.config["METRICS_PORT"])
    if not came_to_it or request.blueprint in ON_OWN_PORT:
        return None
    return Response("Only /metrics, /healthz and /readyz are answered here.\n", 404, mimetype="text/plain")


def _observe(response: Response) -> Response:
    area = request.blueprint or ("static" if request.endpoint == "static" else "none")
    seconds = time.perf_counter() - request.environ.get(BEGUN, time.perf_counter())
    _series(area, f"{response.status_code // 100}xx").observe(seconds)
    return response
