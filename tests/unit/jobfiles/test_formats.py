"""The shapes a file may have, and the formats of others that load unchanged."""

from __future__ import annotations

import pytest

from gnomon.core.identity import schedule_ids
from tests.unit.jobfiles.rooms import jobs, parsed

NATIVE = """
defaults: {timezone: Europe/Berlin, restarts: 2}
configurations:
  warehouse: {type: sql, url: "postgresql://reports@db/warehouse", password: "env:WAREHOUSE_PASSWORD"}
jobs:
  - job_id: extract
    description: Yesterday's orders
    schedule: "30 2 * * *"
    timeout: 20m
    task: {type: sql, use: warehouse, query: "select * from orders where day = :day", parameters: {day: "${fire_date}"}}
  - job_id: report
    depends_on: [extract]
    task: {type: command, command: [python, report.py, "${runs.extract.result.row_count}"], env: {MODE: full}}
  - job_id: ping
    schedules:
      - {name: office, cron: "*/5 8-18 * * 1-5", exclude: [holidays:DE-BE]}
      - {name: night, every: 1h, jitter: 2m}
    overlap: skip
    task: {type: http, url: "https://example.com/health", expect: {status: 200}}
"""


def test_the_native_format() -> None:
    found = jobs(NATIVE)
    assert list(found) == ["extract", "report", "ping"]
    assert all(job.restarts == 2 and job.timezone == "Europe/Berlin" for job in found.values())
    assert found["extract"].timeout_s == 1200
    assert found["extract"].task.use == "warehouse"
    assert schedule_ids(found["extract"]) == ("extract:default",)
    assert schedule_ids(found["ping"]) == ("ping:office", "ping:night")
    assert parsed(NATIVE).configurations["warehouse"]["type"] == "sql"


def test_one_job_per_file_in_three_formats() -> None:
    as_yaml = jobs("job_id: a\nrestarts: 2\ntask: {type: command, command: [date]}")
    as_json = jobs('{"job_id": "a", "restarts": 2, "task": {"type": "command", "command": ["date"]}}', "a.json")
    as_toml = jobs('job_id = "a"\nrestarts = 2\n[task]\ntype = "command"\ncommand = ["date"]', "a.toml")
    assert as_yaml == as_json == as_toml


def test_a_single_job_may_declare_pools() -> None:
    found = parsed("pools: {db: 2}\njob_id: a\npool: db\ntask: [date]")
    assert found.problems == ()
    assert found.pools == {"db": 2}
    assert found.jobs[0].pools == {"db": 1}


def test_simple_json_jobs() -> None:
    one = """{"job_id": "daily-report", "description": "…", "schedule": "0 1 * * *",
     "task": {"type": "execute_command", "command": "/usr/bin/python /opt/report.py"}}"""
    two = """{"job_id": "once", "schedule": "2026-12-20T02:00:00Z",
     "task": {"type": "execute_command", "command": "true", "timeout_sec": 60}}"""
    assert jobs(one, "a.json")["daily-report"].task.type == "command"
    once = jobs(two, "a.json")["once"]
    assert once.timeout_s == 60
    assert once.schedules[0].kind == "at"


def test_a_bare_list() -> None:
    text = """[{"task_id": "task1", "task_name": "Hello", "interval_seconds": 5, "enabled": true,
      "task_type": "python", "entry_point": "pkg.mod:hello"},
     {"task_id": "task2", "task_name": "Clean", "interval_seconds": 10, "enabled": false,
      "task_type": "shell", "entry_point": "rm -rf /tmp/x"}]"""
    found = jobs(text, "a.json")
    assert found["task1"].task.arguments["callable"] == "pkg.mod:hello"
    assert found["task1"].description == "Hello"
    assert found["task1"].schedules[0].rule["every"] == "5s"
    assert not found["task2"].enabled
    assert found["task2"].task.arguments == {"command": "rm -rf /tmp/x"}


def test_a_list_of_functions() -> None:
    found = jobs("""
jobs:
  - id: create_dir
    function: mypkg.steps:create_directory
    args: [out]
  - id: fetch
    function: mypkg.steps:html_to_txt
    args: ["https://example.com/a.html", out/a.txt]
    dependencies: [create_dir]
    execution_duration: 30      # seconds: the timeout
    start_time: "2026-12-01T09:00:00"
    restart_count: 2
""")
    fetch = found["fetch"]
    assert found["create_dir"].schedules == ()
    assert (fetch.timeout_s, fetch.restarts, fetch.depends_on[0].job) == (30, 2, "create_dir")
    assert fetch.task.arguments["args"] == ["https://example.com/a.html", "out/a.txt"]
    assert fetch.schedules[0].kind == "at"


@pytest.mark.parametrize(
    ("config", "kind", "arguments"),
    [
        (
            '{"config_type": "Api-request", "url": "http://x", "http_method": "POST", "headers": {}, "body": "b"}',
            "http",
            {"url": "http://x", "method": "POST", "headers": {}, "body": "b"},
        ),
        (
            '{"config_type": "Db", "url": "sqlite://", "query": "select 1"}',
            "sql",
            {"url": "sqlite://", "query": "select 1"},
        ),
        (
            '{"config_type": "File", "location": "/x", "file_operation": "write", "file_content": "c",'
            ' "file_encoding": "utf-8"}',
            "file",
            {"path": "/x", "operation": "write", "content": "c", "encoding": "utf-8"},
        ),
    ],
)
def test_task_configurations_of_others(config: str, kind: str, arguments: object) -> None:
    found = parsed(f'{{"configurations": {{"c": {config}}}}}', "a.json")
    assert found.problems == ()
    assert found.configurations == {"c": {"type": kind, **arguments}}  # type: ignore[dict-item]


def test_the_bad_entries_of_a_bare_list_are_skipped_and_the_others_load() -> None:
    found = parsed(
        "- {id: a, task: [date]}\n- {id: b, task: [date], restarts: x}\n- 5\n- {id: c, task: [date], enabled: false}"
    )
    assert [job.job_id for job in found.jobs] == ["a", "c"]
    assert [p.key for p in found.problems] == ["[1].restarts", "[2]"]
    assert found.usable
    assert found.skipped == {"b", None}


def test_under_jobs_one_bad_entry_spoils_the_file() -> None:
    found = parsed("jobs:\n- {id: a, task: [date]}\n- {id: b, task: [date], restarts: x}")
    assert not found.usable


def test_defaults_give_way_to_every_spelling_of_the_same_thing() -> None:
    found = jobs("""
defaults: {retries: 2, schedule: every 1h, task_type: python, labels: {team: a}}
jobs:
  - {id: a, restart_count: 5, entry_point: "m:f"}
  - {id: b, interval_seconds: 5, task: [date], labels: {x: y}}
  - {id: c, schedule: ~, function: "m:f", retries: ~}
""")
    assert found["a"].restarts == 5
    assert found["a"].task.type == "python"
    assert found["a"].schedules[0].rule["every"] == "1h"
    assert found["b"].schedules[0].rule["every"] == "5s"
    assert found["b"].labels == {"x": "y"}
    assert found["c"].schedules == ()
    assert found["c"].restarts == 0


def test_a_file_may_hold_no_jobs() -> None:
    assert parsed("jobs: []").usable
    assert parsed("pools: {db: 2}").jobs == ()
    assert parsed("[]", "a.json").usable


def test_unnamed_schedules_in_a_list_keep_their_ids_when_reordered() -> None:
    one = jobs("job_id: a\ntask: [date]\nschedules: [every 1h, every 2h]")["a"]
    two = jobs("job_id: a\ntask: [date]\nschedules: [every 2h, {every: 1h, jitter: 5}]")["a"]
    assert set(schedule_ids(one)) == set(schedule_ids(two))
    assert len(set(schedule_ids(one))) == 2
