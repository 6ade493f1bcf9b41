"""The numbers of this process and its siblings. Labels are bounded: route templates and names of ours, never ids."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

# Prometheus' client reads it when it is imported: server/app/processes.py sets it before any worker is started.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_OURS = CollectorRegistry()
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 90.0)

REQUESTS = Counter("codexos_http_requests", "Requests answered.", ("route", "method", "status"), registry=_OURS)
LATENCY = Histogram(
    "codexos_http_request_seconds", "From a request's head to its answer.", ("route", "method"),
    buckets=_SECONDS, registry=_OURS,
)  # fmt: skip
_IN_FLIGHT = Gauge(
    "codexos_http_requests_in_flight", "Requests being worked on.", registry=_OURS, multiprocess_mode="livesum"
)
RATE_DECISIONS = Counter(
    "codexos_rate_limit_decisions", "Requests counted to a limit.", ("limit", "outcome"), registry=_OURS
)
REPLAYS = Counter("codexos_idempotency_replays", "Answers given again to the same Idempotency-Key.", registry=_OURS)
CONFLICTS = Counter(
    "codexos_idempotency_conflicts",
    "Idempotency-Keys refused: under way, or used otherwise.",
    ("code",),
    registry=_OURS,
)
AUTH_FAILURES = Counter("codexos_auth_failures", "Requests answered 401.", ("route",), registry=_OURS)
EMBEDDER_SECONDS = Histogram(
    "codexos_embedder_seconds", "How long the embedder worked on one call.", buckets=_SECONDS, registry=_OURS
)


# Finding a series by its labels takes longer than counting in it.
@cache
def _requests(method: str, route: str, status: int) -> Counter:
    return REQUESTS.labels(route, method, str(status))


@cache
def _latency(method: str, route: str) -> Histogram:
    return LATENCY.labels(route, method)


@cache
def _decisions(limit: str, allowed: bool) -> Counter:
    return RATE_DECISIONS.labels(limit, "allowed" if allowed else "refused")


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    _requests(method, route, status).inc()
    _latency(method, route).observe(seconds)


def count_decision(limit: str, *, allowed: bool) -> None:
    """Count what the rate limiter decided under the limit of that name."""
    _decisions(limit, allowed).inc()


def in_flight() -> AbstractContextManager[None]:
    return _IN_FLIGHT.track_inprogress()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A gauge read at this moment, of the system rather than of a process. Values are keyed by their labels' values."""

    name: str
    describes: str
    labels: tuple[str, ...] = ()
    values: Mapping[tuple[str, ...], int]


def exposition(readings: Sequence[Reading]) -> bytes:
    """Return Prometheus' text format, version 0.0.4, over all processes that share the folder."""
    shared = _OURS
    if os.environ.get(FOLDER_VARIABLE):
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    return generate_latest(shared) + b"".join(_text(reading) for reading in readings)


def _text(reading: Reading) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Read(reading))
    return generate_latest(registry)


class _Read(Collector):
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._reading.name, self._reading.describes, labels=self._reading.labels)
        for labels, value in sorted(self._reading.values.items()):
            family.add_metric(labels, value)
        yield family
