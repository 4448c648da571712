"""Job files written for other schedulers, as they are: loaded, run, and judged by what they did."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_server import http_server
from tests.support.service import Site, site, until

ONE_JOB = """{"job_id": "daily-report", "description": "…", "schedule": "0 1 * * *",
 "task": {"type": "execute_command", "command": "/usr/bin/python /opt/report.py"}}"""
ONE_TIME = """{"job_id": "once", "schedule": "2099-12-20T02:00:00Z",
 "task": {"type": "execute_command", "command": "true", "timeout_sec": 60}}"""
LIST = """[{"task_id": "task1", "task_name": "Hello", "interval_seconds": 1, "enabled": true, "task_type": "python",
  "entry_point": "pkg.mod:hello"},
 {"task_id": "task2", "task_name": "Clean", "interval_seconds": 1, "enabled": false, "task_type": "shell",
  "entry_point": "rm -rf /tmp/x"},
 {"task_id": "bad", "interval_seconds": "often", "task_type": "shell", "entry_point": "true"}]"""
PIPELINE = """
jobs:
  - id: create_dir
    function: mypkg.steps:create_directory
    args: [out]
  - id: fetch
    function: mypkg.steps:html_to_txt
    args: ["https://example.com/a.html", out/a.txt]
    dependencies: [create_dir]
    execution_duration: 30
    start_time: "2099-12-01T09:00:00"
    restart_count: 2
"""
PERIODIC = """
jobs:
  - {job_id: a, schedule: {type: periodic, every: 15, unit: minutes}, task: {type: shell, command: "true"}}
  - {job_id: b, schedule: {type: specific, time: "04/26/2099 16:00:00"}, task: {type: shell, command: "true"}}
"""
CONFIG_TYPES = """
configurations:
  orders: {{"config_type": "Api-request", "url": "{url}/echo/orders", "http_method": "POST",
            "headers": {{"X-Team": "ops"}}, "body": {{"day": 1}}}}
  note: {{"config_type": "File", "location": "{root}/note.txt", "file_operation": "write",
          "file_content": "grüße", "file_encoding": "latin-1"}}
jobs:
  - {{job_id: post, schedule: "@reboot", task: {{use: orders}}}}
  - {{job_id: get, schedule: "@reboot", task: {{config_type: ApiRequest, apiUrl: "{url}/echo/get", body: ""}}}}
  - {{job_id: fill, schedule: "@reboot", task: {{config_type: Db, connection_string: "sqlite:///{root}/shop.db",
     sql_statement: "insert into orders values (:n, :text)", params: {{n: 2, text: "'); drop table orders; --"}}}}}}
  - {{job_id: ask, depends_on: [fill], task: {{config_type: DATABASE, db_url: "sqlite:///{root}/shop.db",
     sqlQuery: "select count(*) as n from orders"}}}}
  - {{job_id: write, schedule: "@reboot", task: {{use: note}}}}
  - {{job_id: copy, depends_on: [write], task: {{config_type: file, fileOperation: copy, source: "{root}/note.txt",
     file-destination: "{root}/copy.txt"}}}}
"""


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """The packages that the files name; `html_to_txt` fails once, and touches no network."""
    for name, text in {
        "pkg/__init__.py": "",
        "pkg/mod.py": "def hello():\n    print('hello')\n",
        "mypkg/__init__.py": "",
        "mypkg/steps.py": (
            "import os\n"
            "def create_directory(path):\n    os.makedirs(path)\n    return path\n"
            "def html_to_txt(url, target):\n"
            "    if not os.path.exists('tried'):\n        open('tried', 'w').close()\n        raise OSError('once')\n"
            "    with open(target, 'w') as file:\n        file.write(url)\n"
        ),
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_pipeline_file_runs_to_its_end(modules: Path) -> None:
    file = modules / "pipeline.yaml"
    # a failed step is tried again after 10 s by default; the test does not want to wait that long
    file.write_text(PIPELINE + "defaults: {retry: {delay: 0.1}}\n")
    done = subprocess.run(
        [sys.executable, "-m", "gnomon", "run", str(file), "--json"],
        cwd=modules,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    runs = {run["job_id"]: run for run in json.loads(done.stdout)["runs"]}
    assert runs["create_dir"]["state"] == runs["fetch"]["state"] == "succeeded"
    assert runs["create_dir"]["result"] == "out"
    assert [a["outcome"] for a in runs["fetch"]["attempts"]] == ["failed", "succeeded"], "restart_count"
    assert runs["fetch"]["started_at"] >= runs["create_dir"]["finished_at"]
    assert (modules / "out" / "a.txt").read_text() == "https://example.com/a.html"


def test_files_of_other_schedulers_are_served(modules: Path) -> None:
    with site(modules) as place:
        place.write("daily.json", ONE_JOB)
        place.write("once.json", ONE_TIME)
        place.write("list.json", LIST)
        place.write("periodic.yaml", PERIODIC)
        place.serve()
        names = {"daily-report", "once", "task1", "task2", "a", "b"}
        until(lambda: set(_jobs(place)) == names, "all are loaded, and the bad entry alone is left out")
        until(lambda: len(_runs(place, "task1")) >= 2, "the python entry of the list fires")
        jobs = _jobs(place)
        assert jobs["task1"]["description"] == "Hello"
        assert jobs["task2"]["enabled"] is False
        assert jobs["once"]["schedules"][0]["next_fire_at"] == "2099-12-20T02:00:00Z"
        assert jobs["once"]["definition"]["timeout"] == "1m"
        assert jobs["daily-report"]["schedules"][0]["next_fire_at"].endswith("T01:00:00Z")
        assert jobs["b"]["schedules"][0]["next_fire_at"] == "2099-04-26T16:00:00Z"
        assert jobs["a"]["schedules"][0]["rule"] == "every 15m"
        assert not _runs(place, "task2"), "a disabled entry never fires"
        until(lambda: _runs(place, "task1")[-1]["state"] == "succeeded", "its first run is over")
        assert "list.json:5:41: [2].interval_seconds" in place.log.read_text()


def test_configurations_of_others_are_served_and_do_what_they_say(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as db, db:
        db.execute("create table orders (n integer, text text)")
        db.execute("insert into orders values (1, 'first')")
    with site(tmp_path) as place, http_server() as server:
        place.write("configs.yaml", CONFIG_TYPES.format(url=server.url, root=tmp_path))
        place.serve()
        until(lambda: sum(place.states().values()) == 6, "all six jobs fire")
        until(lambda: place.states() == {"succeeded": 6}, "all six do their work")
        runs = {run["job_id"]: run for run in place.cli("runs", "list")}
        assert runs["ask"]["result"]["rows"] == [{"n": 2}]
        assert runs["post"]["configuration"]["name"] == "orders"
        assert runs["get"]["result"]["json"] == {"method": "GET", "rest": "get", "query": []}
    seen = {request.path: request for request in server.seen}
    assert (seen["/echo/orders"].method, json.loads(seen["/echo/orders"].body)) == ("POST", {"day": 1})
    assert seen["/echo/orders"].header("x-team") == "ops"
    with closing(sqlite3.connect(tmp_path / "shop.db")) as db:
        assert db.execute("select * from orders").fetchall() == [(1, "first"), (2, "'); drop table orders; --")]
    assert (tmp_path / "copy.txt").read_bytes() == "grüße".encode("latin-1")


def _jobs(place: Site) -> dict[str, dict[str, Any]]:
    return {job["job_id"]: job for job in place.cli("jobs", "list")}


def _runs(place: Site, job_id: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = place.cli("runs", "list", "--job", job_id)
    return found
