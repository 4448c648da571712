"""`sql` jobs through the command as installed: results for jobs downstream, a timeout that reaches the server."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.values import Json
from tests.support.postgres import PASSWORD, postgres
from tests.support.service import Site, site, until

SLOW = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"


@pytest.fixture
def place(tmp_path: Path) -> Any:
    with site(tmp_path) as place:
        yield place


def run_file(place: Site, name: str, document: Json, code: int) -> dict[str, Any]:
    place.write(name, document)
    answer = place.cli("run", str(place.jobs / name), code=code)
    assert PASSWORD not in json.dumps(answer)
    return {run["job_id"]: run for run in answer["runs"]}


def test_a_timeout_stops_the_statement_on_the_server(place: Site) -> None:
    server = postgres()
    task = {"type": "sql", "url": server.url(password=None), "query": "select pg_sleep(300), 'timeout-e2e'"}
    password = place.root / "password"
    password.write_text(PASSWORD)
    jobs = [{"job_id": "slow", "timeout": 1.5, "task": {**task, "password": f"file:{password}"}}]
    runs = run_file(place, "slow.json", {"jobs": jobs}, 1)
    assert runs["slow"]["error"]["code"] == "timed_out"
    until(lambda: not server.busy_with("'timeout-e2e'"), "the server has stopped too")


def test_a_timeout_stops_sqlite_without_waiting_for_the_kill(place: Site) -> None:
    jobs = [
        {"job_id": "slow", "timeout": 1, "kill_grace": 60, "task": {"type": "sql", "url": "sqlite://", "query": SLOW}}
    ]
    runs = run_file(place, "slow.json", {"jobs": jobs}, 1)
    assert runs["slow"]["error"]["code"] == "timed_out"
    assert runs["slow"]["duration_s"] < 20


def test_results_go_downstream_and_no_secret_is_kept(place: Site) -> None:
    server = postgres()
    file = f"sqlite:///{place.root / 'copy.db'}"
    password = place.root / "password"
    password.write_text(PASSWORD)
    first: dict[str, Json] = {
        "type": "db",
        "url": server.url(password=None),
        "password": f"file:{password}",
        "query": "select i as id, :name as name from generate_series(1, 3) as i",
        "parameters": {"name": "'; drop table copy; --"},
        "into": {"url": file, "table": "copy"},
    }
    second: dict[str, Json] = {
        "type": "execute_sql",
        "dsn": file,
        "query": "select max(id) as top from copy where id < :n",
        "parameters": {"n": "${runs.first.result.row_count}"},
    }
    wrong: dict[str, Json] = {**first, "password": "literal:canary-wrong-77", "url": server.url(password=None)}
    jobs = [
        {"job_id": "first", "task": first},
        {"job_id": "second", "depends_on": ["first"], "task": second},
        {"job_id": "wrong", "depends_on": ["second"], "task": wrong},
    ]
    runs = run_file(place, "flow.json", {"jobs": jobs}, 1)
    assert runs["first"]["result"]["row_count"] == 3
    assert runs["second"]["result"]["rows"] == [{"top": 2}]
    assert runs["wrong"]["error"]["code"] == "access_denied"
    assert "canary-wrong-77" not in runs["wrong"]["error"]["message"]
    with sqlite3.connect(place.root / "copy.db") as connection:
        assert connection.execute("select distinct name from copy").fetchall() == [("'; drop table copy; --",)]
    connection.close()
    kept = [
        p for p in place.root.rglob("*") if p.is_file() and p.name != "password" and PASSWORD.encode() in p.read_bytes()
    ]
    assert kept == []
