"""`/metrics`: the numbers of this process and the state of the database, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, ProcessCollector, exposition
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from gnomon.core.errors import GnomonError
from gnomon.core.health import Check, Health, Level
from gnomon.core.version import __version__
from gnomon.operations.gauges import Gauges, gauges
from gnomon.operations.tally import Histogram

from .service import Service

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
def metrics(request: Request) -> Response:
    """For Prometheus and whatever reads its format. Names of jobs are all it tells of their content."""
    registry: CollectorRegistry = request.app.state.registry
    return Response(exposition.generate_latest(registry), media_type=exposition.CONTENT_TYPE_PLAIN_0_0_4)


def registry_of(service: Service) -> CollectorRegistry:
    """What one scheduler process tells."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Scheduler(service))
    ProcessCollector(registry=registry)
    return registry


class _Scheduler:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._desk = service.desk("metrics", None)

    def collect(self) -> Iterator[Metric]:
        """All of it; where the database cannot be read, what this process knows by itself."""
        yield from self._own()
        try:
            found = gauges(self._desk, self._service.own)
        except GnomonError as error:
            away = Check("database", Level.FAILING, error.brief)
            yield from _health(Health(self._service.clock.now(), (away,)))
            return
        yield from _of_database(found, self._service.node_id)

    def _own(self) -> Iterator[Metric]:
        tally = self._service.tally
        build = GaugeMetricFamily("gnomon_build_info", "Always 1; the version is a label.", labels=("version",))
        build.add_metric((__version__,), 1)
        yield build
        quiet = self._service.quiet_s()
        if quiet is not None:
            yield _gauge("gnomon_loop_quiet_seconds", "How long ago the loop of this scheduler last turned.", quiet)
        with tally.lock:
            ended = CounterMetricFamily(
                "gnomon_runs_ended", "Runs that ended, by the end this process saw.", labels=("job_id", "state")
            )
            for (job_id, state), count in tally.runs.items():
                ended.add_metric((job_id, state), count)
            skips = CounterMetricFamily("gnomon_skips", "Fire times that made no run, by reason.", labels=("reason",))
            for reason, count in tally.skips.items():
                skips.add_metric((reason,), count)
            yield ended
            yield skips
            yield _histogram("gnomon_run_duration_seconds", "How long runs took that ended.", tally.durations)
            yield _histogram("gnomon_run_lateness_seconds", "How long after their due time runs began.", tally.lateness)
            yield _histogram("gnomon_store_commit_seconds", "How long the disk took to keep a commit.", tally.commits)


def _of_database(found: Gauges, node_id: str) -> Iterator[Metric]:
    active = GaugeMetricFamily("gnomon_runs", "Runs that are not over, by state.", labels=("state",))
    for state, count in found.active.items():
        active.add_metric((state,), count)
    yield active
    yield _gauge("gnomon_queue_oldest_seconds", "How long the oldest queued run could have begun.", found.queued_s)
    used = GaugeMetricFamily("gnomon_slots_used", "Attempts that go on.", labels=("node",))
    slots = GaugeMetricFamily("gnomon_slots", "How many attempts a node performs at once.", labels=("node",))
    for node, count in found.live.items():
        used.add_metric((node,), count)
    for node, count in found.slots.items():
        slots.add_metric((node,), count)
    yield used
    yield slots
    yield _gauge("gnomon_leader", "1 if this scheduler plans.", int(found.leader == node_id))
    yield _gauge("gnomon_leader_known", "1 if any scheduler plans.", int(found.leader is not None))
    yield _gauge("gnomon_nodes", "Schedulers on this database that are alive.", len(found.slots))
    yield _gauge("gnomon_schedules_overdue", "Schedules that should have been decided a minute ago.", found.overdue)
    yield _gauge("gnomon_incidents_open", "Open incidents that nobody acknowledged.", found.incidents)
    yield from _health(found.health)


def _health(verdict: Health) -> Iterator[Metric]:
    levels = GaugeMetricFamily("gnomon_health", "1 for the level that `gnomon health` finds.", labels=("level",))
    for level in Level:
        levels.add_metric((str(level),), int(level is verdict.level))
    yield levels
    findings = GaugeMetricFamily("gnomon_health_finding", "1 for what is wrong.", labels=("finding", "level"))
    for name, level in {(check.name, check.level) for check in verdict.checks if not check.ok}:
        findings.add_metric((name, str(level)), 1)
    yield findings
    yield _gauge("gnomon_healthy", "0 if a restart or a person is needed.", int(verdict.level is not Level.FAILING))


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, value)


def _histogram(name: str, about: str, values: Histogram) -> HistogramMetricFamily:
    upto, buckets = 0, []
    for bound, count in zip((*values.bounds, float("inf")), values.counts, strict=True):
        upto += count
        buckets.append(("+Inf" if bound == float("inf") else repr(float(bound)), upto))
    return HistogramMetricFamily(name, about, buckets, values.total)
