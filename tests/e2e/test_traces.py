"""Traces, exported to a collector that speaks OTLP over HTTP."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.service import Site, until


class Collector(http.server.BaseHTTPRequestHandler):
    """Keeps the spans it is sent."""

    spans: list[Any]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        assert self.path == "/v1/traces"
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[Any]]]:
    spans: list[Any] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Kept", (Collector,), {"spans": spans}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    thread.join()
    server.server_close()


class Traced(Site):
    endpoint = ""

    def environment(self) -> dict[str, str]:
        return super().environment() | {"GNOMON_OTLP_ENDPOINT": self.endpoint}


def _of(span: Any) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_a_flow_is_one_trace_and_tasks_know_their_span(tmp_path: Path, collector: tuple[str, list[Any]]) -> None:
    url, spans = collector
    place = Traced(tmp_path)
    place.endpoint = url
    with contextlib.closing(place):
        task = {
            "type": "command",
            "command": "echo $TRACEPARENT > trace-$GNOMON_JOB_ID; exit $CODE",
            "cwd": str(tmp_path),
        }
        place.write("a.json", {"job_id": "first", "task": {**task, "env": {"CODE": "0"}}})
        below = {"job_id": "second", "depends_on": ["first"], "task": {**task, "env": {"CODE": "3"}}}
        place.write("b.json", {**below, "restarts": 1, "retry": {"delay": 0.05}})
        process = place.serve()
        until(lambda: len(place.rows("select 1 from jobs")) == 2, "the jobs are loaded")
        place.cli("run", "first", "--no-wait")
        until(lambda: place.states() == {"succeeded": 1, "failed": 1}, "both are over")
        place.kill(process, 15)
    runs = {_of(span)["gnomon.job.id"]: span for span in spans if "gnomon.job.id" in _of(span)}
    assert set(runs) == {"first", "second"}
    assert len({span.trace_id for span in spans}) == 1, "one trace"
    first, second = runs["first"], runs["second"]
    assert first.parent_span_id == b""
    assert second.parent_span_id == first.span_id
    attempts = [span for span in spans if span.parent_span_id == second.span_id]
    assert [span.name for span in attempts] == ["attempt 1", "attempt 2"]
    assert [_of(span)["process.exit.code"] for span in attempts] == [3, 3]
    assert second.status.code == 2
    assert "exit code 3" in second.status.message
    assert all(span.end_time_unix_nano >= span.start_time_unix_nano > 0 for span in spans)
    told = (tmp_path / "trace-second").read_text().strip().split("-")
    assert told == ["00", second.trace_id.hex(), attempts[1].span_id.hex(), "01"]


def test_a_collector_that_is_away_costs_no_run(tmp_path: Path) -> None:
    place = Traced(tmp_path)
    place.endpoint = "http://127.0.0.1:9"
    with contextlib.closing(place):
        place.write("a.json", {"job_id": "a", "schedule": "every 1s", "task": {"type": "command", "command": "true"}})
        place.serve()
        until(lambda: place.states().get("succeeded", 0) >= 2, "runs go on")
