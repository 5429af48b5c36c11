"""``GET /metrics``: numbers for an operator's monitoring, in Prometheus' text format. Never a person, never an address.

Counters live as long as the process; what waits is read from the store when it is asked for.
"""

from collections.abc import Iterator

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from newsletter.composition import Service
from newsletter.feedback.ingest import backlog


router = APIRouter()


class Metrics:
    """The counters of one process."""

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        self.kept = Counter(
            "newsletter_event_calls_kept", "Genuine calls of the event webhook.", registry=self.registry
        )
        self.refused = Counter(
            "newsletter_event_calls_refused",
            "Calls of the event webhook that were refused.",
            ["why"],
            registry=self.registry,
        )
        self.registry.register(_Backlog(service))


class _Backlog(Collector):
    """What waits in the store, read when somebody asks."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def describe(self) -> list[GaugeMetricFamily]:
        """Name the gauge without asking the store."""
        return [_calls_waiting()]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read the gauge."""
        with self.service.database.reading() as session:
            waiting = backlog(session)
        gauge = _calls_waiting()
        gauge.add_metric((), waiting.calls)
        yield gauge


def _calls_waiting() -> GaugeMetricFamily:
    return GaugeMetricFamily("newsletter_event_calls_waiting", "Calls of the event webhook that are not applied yet.")


def metrics_of(request: Request) -> Metrics:
    """Give this process's counters."""
    metrics: Metrics = request.app.state.metrics
    return metrics


@router.get("/metrics")
def show(request: Request) -> Response:
    """Show the numbers."""
    return Response(generate_latest(metrics_of(request).registry), media_type=CONTENT_TYPE_LATEST)
