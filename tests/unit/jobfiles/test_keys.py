"""Every key of a job, every spelling of it, and what it means."""

from __future__ import annotations

from dataclasses import fields

import pytest

from gnomon.core.model import (
    Backoff,
    CatchUp,
    CatchUpMode,
    Dependency,
    Job,
    OnLost,
    Overlap,
    Parameter,
    Rate,
    Retry,
    When,
)
from gnomon.jobfiles.fields import BY_SPELLING, FIELDS, Field
from tests.unit.jobfiles.rooms import job, jobs, only, problems

EVENTS = ["failed", "late", "missed", "recovered"]


@pytest.mark.parametrize(
    ("keys", "attribute", "value"),
    [
        ("description: x", "description", "x"),
        ("task_name: x", "description", "x"),
        ("name: 5", "description", "5"),
        ("enabled: false", "enabled", False),
        ("enabled: no", "enabled", False),
        ("labels: {team: data, tier: 1}", "labels", {"team": "data", "tier": "1"}),
        ("depends_on: [b, {job: c, when: finished}]", "depends_on", (Dependency("b"), Dependency("c", When.FINISHED))),
        ("dependencies: b", "depends_on", (Dependency("b"),)),
        ("dependency_timeout: 1h", "dependency_timeout_s", 3600.0),
        (
            "parameters: {day: today, n: {type: integer, default: 3}, m: {required: true}, o: {x: 1}}",
            "parameters",
            (
                Parameter("day", default="today"),
                Parameter("n", "integer", 3),
                Parameter("m", required=True),
                Parameter("o", default={"x": 1}),
            ),
        ),
        ("for_each: [1, b]", "for_each", [1, "b"]),
        ("for_each: ${runs.list.result}", "for_each", "${runs.list.result}"),
        ("timeout: 20m", "timeout_s", 1200.0),
        ("execution_duration: 30", "timeout_s", 30.0),
        ("timeout_sec: 1.5", "timeout_s", 1.5),
        ("timeout: none", "timeout_s", None),
        ("kill_grace: 0", "kill_grace_s", 0.0),
        ("restarts: 2", "restarts", 2),
        ("restart_count: 3", "restarts", 3),
        ("retries: 1000", "restarts", 1000),
        (
            "retry: {delay: 1s, backoff: fixed, factor: 3, max_delay: 2m, jitter: false, on: [75, failed, OSError]}",
            "retry",
            Retry(1.0, Backoff.FIXED, 3.0, 120.0, False, (75, "failed", "OSError")),
        ),
        ("retry: {on: any}", "retry", Retry()),
        ("overlap: queue-one", "overlap", Overlap.QUEUE_ONE),
        ("catch_up: none", "catch_up", CatchUp(CatchUpMode.NONE)),
        ("catch_up: {mode: all, max_age: 1d, max_count: 5}", "catch_up", CatchUp(CatchUpMode.ALL, 86400.0, 5)),
        ("misfire_grace: 5m", "misfire_grace_s", 300.0),
        ("start_deadline: 1h", "start_deadline_s", 3600.0),
        ("priority: -5", "priority", -5),
        ("pool: db", "pools", {"db": 1}),
        ("pool: {db: 2, net: 1}", "pools", {"db": 2, "net": 1}),
        ("max_active: 3", "max_active", 3),
        ("rate: 10/1m", "rate", Rate(10, 60.0)),
        ("rate: 10/minute", "rate", Rate(10, 60.0)),
        ("rate: {count: 1, period: 5}", "rate", Rate(1, 5.0)),
        ("queue: gpu", "queue", "gpu"),
        ("on_lost: fail", "on_lost", OnLost.FAIL),
        ("pause_after: 3", "pause_after", 3),
        ("alerts: ops", "alerts", {"channels": ["ops"], "on": EVENTS}),
        ("alerts: {to: [ops, dev], on: [failed]}", "alerts", {"channels": ["ops", "dev"], "on": ["failed"]}),
        ("alerts: none", "alerts", {"channels": [], "on": []}),
        ("alerts: {to: ops, late_after: 10m}", "alerts", {"channels": ["ops"], "on": EVENTS, "late_after": 600.0}),
        ("ping: https://hc.example/1", "ping", "https://hc.example/1"),
        ("ping: env:HC", "ping", "env:HC"),
        ("ping: none", "ping", None),
        ("timezone: Europe/Berlin", "timezone", "Europe/Berlin"),
        ("priority: ~", "priority", 0),
    ],
)
def test_a_key_sets_its_attribute(keys: str, attribute: str, value: object) -> None:
    assert getattr(job(keys), attribute) == value


def test_every_attribute_of_a_job_has_a_key() -> None:
    covered = {item.attribute for item in FIELDS if item.attribute} | {"task", "schedules"}
    assert covered == {item.name for item in fields(Job)}


@pytest.mark.parametrize("item", [item for item in FIELDS if item.spellings], ids=lambda item: item.name)
def test_two_spellings_of_one_key_are_an_error_naming_both(item: Field) -> None:
    name, other = item.name, item.spellings[0]
    lines = [f"{name}: a1", f"{other}: a1", "task: [date]", *(["job_id: x"] if name != "job_id" else [])]
    found = [p for p in problems("\n".join(lines)) if p.code == "conflicting_keys"]
    assert len(found) == 1
    assert f"`{name}`" in found[0].message
    assert f"`{other}`" in found[0].message
    assert (found[0].line, found[0].column) == (2, 1)


def test_spellings_are_unique() -> None:
    assert len(BY_SPELLING) == sum(1 + len(item.spellings) for item in FIELDS)


@pytest.mark.parametrize(
    ("keys", "kinds"),
    [
        ("schedule: 30 2 * * *", ["cron"]),
        ("schedule: '@daily'", ["cron"]),
        ("schedule: 2026-12-20T02:00:00Z", ["at"]),
        ("schedule: every 90s", ["every"]),
        ("schedule: every month on the last day at 09:00", ["calendar"]),
        ("schedule: '@reboot'", ["startup"]),
        ("schedule: {cron: '0 1 * * *', timezone: Europe/Berlin, jitter: 2m}", ["cron"]),
        ("schedules: [{every: 1h, name: a}, {at: '2026-12-20T02:00:00Z'}]", ["every", "at"]),
        ("schedule: {type: periodic, every: 15, unit: minutes}", ["every"]),
        ("schedule: {type: specific, time: '04/26/2021 16:00:00'}", ["at"]),
        ("interval_seconds: 5", ["every"]),
        ("start_time: '2026-12-01T09:00:00'", ["at"]),
        ("interval_seconds: 5\nstart_time: '2026-12-01T09:00:00'", ["every"]),
        ("schedule: ~", []),
        ("", []),
    ],
)
def test_schedules(keys: str, kinds: list[str]) -> None:
    assert [spec.kind for spec in job(keys).schedules] == kinds


def test_an_interval_with_a_start_time_counts_from_it() -> None:
    spec = job("interval_seconds: 5\nstart_time: '2026-12-01T09:00:00'\ntimezone: Europe/Berlin").schedules[0]
    assert spec.start is not None
    assert spec.start.isoformat() == "2026-12-01T08:00:00+00:00"
    assert spec.rule["every"] == "5s"
    assert "anchor" in spec.rule


def test_the_zone_of_the_job_is_that_of_its_schedules() -> None:
    assert job("timezone: Asia/Tokyo\nschedule: 0 1 * * *").schedules[0].timezone == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("keys", "kind", "arguments"),
    [
        ("task: echo hello", "command", {"command": "echo hello"}),
        ("task: [echo, hello]", "command", {"command": ["echo", "hello"]}),
        ("task: {type: execute_command, command: 'true'}", "command", {"command": "true"}),
        ("task: {type: Shell, command: 'true'}", "command", {"command": "true"}),
        ("task_type: shell\nentry_point: rm -rf /tmp/x", "command", {"command": "rm -rf /tmp/x"}),
        ("task_type: python\nentry_point: a:b\nargs: [1]", "python", {"callable": "a:b", "args": [1]}),
        ("function: a:b\nkwargs: {x: 1}", "python", {"callable": "a:b", "kwargs": {"x": 1}}),
        ("task: {config_type: Db, dsn: 'x://y', SQL: select}", "sql", {"url": "x://y", "query": "select"}),
        (
            "task: {config_type: database, connectionString: 'x://y', query: select, destination-table: t}",
            "sql",
            {"url": "x://y", "query": "select", "into": {"mode": "append", "table": "t"}},
        ),
        (
            "task: {config_type: FILE, Location: /x, file-operation: Write, file_content: c, FileEncoding: latin-1}",
            "file",
            {"operation": "write", "path": "/x", "content": "c", "encoding": "iso8859-1"},
        ),
        (
            "task: {config_type: api_request, url: 'http://x/', http-method: POST, request_headers: {a: b}, body: c}",
            "http",
            {"url": "http://x/", "method": "POST", "headers": {"a": "b"}, "body": "c"},
        ),
    ],
)
def test_tasks(keys: str, kind: str, arguments: object) -> None:
    task = job(keys).task
    assert (task.type, task.arguments) == (kind, arguments)


def test_timeout_sec_inside_the_task_is_the_timeout_of_the_job() -> None:
    read = job("task: {type: command, command: [date], timeout_sec: 60}")
    assert read.timeout_s == 60.0
    assert dict(read.task.arguments) == {"command": ["date"]}
    both = only("job_id: a\ntimeout: 5\ntask: {type: command, command: [date], timeout_sec: 60}")
    assert (both.code, both.line, both.column) == ("conflicting_keys", 3, 40)
    assert "`timeout`" in both.message


def test_a_task_with_a_configuration_of_another_file_is_not_judged_yet() -> None:
    task = job("task: {type: http, use: elsewhere, method: POST}").task
    assert (task.type, task.use, dict(task.arguments)) == ("http", "elsewhere", {"method": "POST"})


def test_a_task_with_a_configuration_of_this_file_takes_its_type_and_is_judged_together() -> None:
    text = "configurations: {c: {type: api, url: 'http://x'}}\njobs: [{id: a, task: {use: c, method: GET}}]"
    assert jobs(text)["a"].task.type == "http"
    bad = only("configurations: {c: {type: api}}\njobs: [{id: a, task: {use: c}}]")
    assert (bad.code, bad.key) == ("missing_key", "jobs[0].task.url")
