"""Traces to an OpenTelemetry collector: one for each flow, a span for each run and each attempt.

Spans are made when a run has ended, from what the database says of it: a run that outlived a restart has its span like
any other. Exporting happens in threads of its own; a collector that is away costs spans, never a run.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gnomon.core.attempts import Outcome
from gnomon.core.errors import GnomonError, usage
from gnomon.core.ports import Store
from gnomon.core.records import AttemptRecord, RunRecord
from gnomon.core.states import FINAL, State
from gnomon.core.tracing import attempt_span, run_span, trace_id
from gnomon.core.values import to_micros
from gnomon.core.version import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

logger = logging.getLogger("gnomon")
_WAITING = 10_000
_AT_ONCE = 500


class Traces:
    """Takes runs that ended, and exports their spans.

    Args:
        endpoint: base address of a collector that speaks OTLP over HTTP (`http://127.0.0.1:4318`).
        node: the name of this process.

    Raises:
        UsageError: the packages are not installed.
    """

    def __init__(self, endpoint: str, store: Store, node: str) -> None:
        self._provider, self._ids = _provider(endpoint, node)
        self._tracer = self._provider.get_tracer("gnomon", __version__)
        self._store = store
        self._ended: queue.Queue[RunRecord | None] = queue.Queue(_WAITING)
        self._dropped = False
        self._thread = threading.Thread(target=self._run, name="gnomon-traces", daemon=True)
        self._thread.start()

    def ended(self, runs: Iterable[RunRecord]) -> None:
        """Runs that are over. Returns at once; more than 10,000 that wait are not traced."""
        for run in runs:
            if run.state not in FINAL:
                continue
            try:
                self._ended.put_nowait(run)
            except queue.Full:
                if not self._dropped:
                    logger.warning("traces: more runs end than can be exported, some are left out")
                self._dropped = True
                return
        self._dropped = False

    def close(self, timeout_s: float = 3.0) -> None:
        """Export what is there, for at most so long."""
        try:
            self._ended.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)
        self._provider.shutdown()

    def _run(self) -> None:
        over = False
        while not over:
            batch = [self._ended.get()]
            while len(batch) < _AT_ONCE:
                try:
                    batch.append(self._ended.get_nowait())
                except queue.Empty:
                    break
            over = None in batch
            runs = [run for run in batch if run is not None]
            try:
                attempts = self._store.read(lambda r, ids=[run.id for run in runs]: r.attempts(ids)) if runs else {}  # type: ignore[misc]
                for run in runs:
                    self._span(run, attempts.get(run.id, ()))
            except GnomonError as error:
                logger.warning("traces of %d runs are lost: %s", len(runs), error)
            except Exception:
                logger.exception("traces of %d runs are lost", len(runs))

    def _span(self, run: RunRecord, attempts: Sequence[AttemptRecord]) -> None:
        root = run.flow_id if run.id != run.flow_id else None
        above = run.parent_id or root
        end = run.finished_at or run.due_at
        attributes: dict[str, Any] = {
            "gnomon.job.id": run.job_id,
            "gnomon.run.id": run.id,
            "gnomon.flow.id": run.flow_id,
            "gnomon.run.state": str(run.state),
            "gnomon.run.cause": str(run.cause),
            "gnomon.run.actor": run.actor,
            "gnomon.run.attempts": run.attempts,
        }
        optional = {
            "gnomon.schedule.id": run.schedule_id,
            "gnomon.run.lateness_s": run.lateness_s,
            "gnomon.run.reason": run.reason,
            "gnomon.run.retry_of": run.retry_of,
        }
        attributes |= {key: value for key, value in optional.items() if value is not None}
        problem = None if run.error is None else f"{run.error.code}: {run.error.message}"
        begin = min(run.queued_at or run.due_at, end)
        failed = run.state is State.FAILED
        self._emit(
            run.job_id, run, run_span(run.id), above and run_span(above), (begin, end), attributes, failed, problem
        )
        for attempt in attempts:
            self._attempt(run, attempt)

    def _attempt(self, run: RunRecord, attempt: AttemptRecord) -> None:
        if attempt.finished_at is None:
            return
        attributes: dict[str, Any] = {
            "gnomon.run.id": run.id,
            "gnomon.attempt.number": attempt.number,
            "gnomon.attempt.outcome": str(attempt.outcome),
            "gnomon.node": attempt.node_id,
        }
        if attempt.exit_code is not None:
            attributes["process.exit.code"] = attempt.exit_code
        problem = None if attempt.error is None else f"{attempt.error.code}: {attempt.error.message}"
        times = min(attempt.started_at or attempt.claimed_at, attempt.finished_at), attempt.finished_at
        span = attempt_span(run.id, attempt.number)
        failed = attempt.outcome is not Outcome.SUCCEEDED
        self._emit(f"attempt {attempt.number}", run, span, run_span(run.id), times, attributes, failed, problem)

    def _emit(
        self,
        name: str,
        run: RunRecord,
        span_id: int,
        parent: int | str | None,
        times: tuple[datetime, datetime],
        attributes: dict[str, Any],
        failed: bool,
        problem: str | None,
    ) -> None:
        from opentelemetry import trace
        from opentelemetry.context import Context

        context = Context()
        self._ids.trace, self._ids.span = trace_id(run.flow_id), span_id
        if isinstance(parent, int):
            flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
            above = trace.SpanContext(self._ids.trace, parent, is_remote=False, trace_flags=flags)
            context = trace.set_span_in_context(trace.NonRecordingSpan(above), context)
        begin, end = (to_micros(at) * 1000 for at in times)
        span = self._tracer.start_span(name, context, attributes=attributes, start_time=begin)
        if failed:
            span.set_status(trace.StatusCode.ERROR, problem)
        span.end(end)


class _Ids:
    """Gives the next span the ids that were computed for it."""

    trace = span = 1

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span

    def is_trace_id_random(self) -> bool:
        return False


def _provider(endpoint: str, node: str) -> tuple[TracerProvider, _Ids]:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        hint = 'pip install "gnomon[otel]"'
        raise usage("otel_missing", "traces need OpenTelemetry", key="otlp_endpoint", hint=hint) from None
    ids = _Ids()
    resource = Resource.create({"service.name": "gnomon", "service.version": __version__, "service.instance.id": node})
    provider = TracerProvider(resource=resource, id_generator=ids, shutdown_on_exit=False)  # type: ignore[arg-type]
    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=500))
    return provider, ids
