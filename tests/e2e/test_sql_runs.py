"""`sql` jobs through the command as installed: results for jobs downstream, a timeout that reaches the server."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.values import Json
from tests.support.mongo import nx
from tests.support.postgres import PASSWORD, postgres
from tests.support.service import Site, site, until

KILLED = "select pg_sleep(301)"
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


@pytest.mark.slow
def test_nothing_half_done_is_left_by_a_timeout_or_by_a_kill(place: Site) -> None:
    server = postgres()
    server.rows("drop table if exists half; create table half (n int)")
    file = place.root / "half.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("create table half (n int)")
    connection.close()
    slow = f"insert into half {SLOW}"
    postgresql = {
        "type": "sql",
        "url": server.url(),
        "statements": ["insert into half values (1)", "select pg_sleep(300)"],
    }
    sqlite = {"type": "sql", "url": f"sqlite:///{file}", "statements": ["insert into half values (1)", slow]}
    jobs = [
        {"job_id": "timeout-postgresql", "timeout": 1, "task": postgresql},
        {"job_id": "timeout-sqlite", "timeout": 1, "task": sqlite},
        {
            "job_id": "kill",
            "on_lost": "fail",
            "task": {**postgresql, "statements": [*postgresql["statements"][:1], KILLED]},
        },
    ]
    place.write("half.json", {"jobs": jobs})
    with place.root.joinpath("answer.json").open("wb") as answer:
        command = [sys.executable, "-m", "gnomon", "run", str(place.jobs / "half.json"), "--json"]
        running = subprocess.Popen(command, env=place.environment(), cwd=place.root, stdout=answer)
    until(lambda: server.busy_with(KILLED), "the statement is at work")
    ((worker,),) = server.rows("select client_port from pg_stat_activity where query = %s", KILLED)
    os.kill(owner_of(int(str(worker))), signal.SIGKILL)
    assert running.wait(30) == 1
    runs = {run["job_id"]: run for run in json.loads((place.root / "answer.json").read_bytes())["runs"]}
    assert [runs[job["job_id"]]["error"]["code"] for job in jobs][:2] == ["timed_out"] * 2
    assert runs["kill"]["state"] == "failed"
    until(lambda: not server.busy_with("pg_sleep(300)") and not server.busy_with(KILLED), "the server has stopped too")
    assert server.rows("select * from half") == []
    connection = sqlite3.connect(file)
    assert connection.execute("select count(*) from half").fetchall() == [(0,)]
    connection.close()


def owner_of(port: int) -> int:
    """The process that holds the socket bound to this port (proc_pid_net(5))."""
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    inode = next(f[9] for f in map(str.split, table) if int(f[1].split(":")[1], 16) == port and f[9] != "0")
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if os.readlink(link) == f"socket:[{inode}]":
                return int(link.parts[2])
    raise AssertionError(f"nobody has port {port}")


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
    with closing(sqlite3.connect(place.root / "copy.db")) as connection, connection:
        assert connection.execute("select distinct name from copy").fetchall() == [("'; drop table copy; --",)]
    connection.close()
    kept = [
        p for p in place.root.rglob("*") if p.is_file() and p.name != "password" and PASSWORD.encode() in p.read_bytes()
    ]
    assert kept == []


HOSTILE = [
    *(
        "'; drop table t; --",
        '" or 1=1',
        "\\'; x",
        ":name %(n)s ? $1",
        "${nothing} $${x}",
        "$(touch x) `touch x` | x && x",
    ),
    *(
        '{"$ne": null}',
        "$where",
        "{$gt: ''}",
        "env:HOME",
        "file:/etc/passwd",
        "literal:x",
        "--help",
        "\n\t\r",
        "ünï😀",
        "",
    ),
]


def test_whatever_parameters_hold_arrives_in_every_database(place: Site) -> None:
    server, file = postgres(), place.root / "data.db"
    create = "create table hostile (n int, v text)"
    server.rows(f"drop table if exists hostile; {create}")
    connection = sqlite3.connect(file)
    connection.execute(create)
    rows = [{"n": number, "v": text} for number, text in enumerate(HOSTILE)]
    base = {"url": nx().url, "database": "hostile", "collection": "hostile"}
    insert = {"type": "sql", "statement": "insert into hostile values (:n, :v)", "parameters": "${rows}"}
    find = {"type": "mongo", **base, "operation": "count", "filter": {"v": {"$in": "${texts}"}, "n": "${n}"}}
    tasks = {
        "sqlite": {**insert, "url": f"sqlite:///{file}"},
        "postgresql": {**insert, "url": server.url()},
        "mongo": {"type": "mongo", **base, "operation": "insert", "documents": "${rows}"},
        "asked": {"type": "sql", "url": f"sqlite:///{file}", "query": "select :v as v", "parameters": {"v": "x${a}y"}},
        "found": find,
    }
    given = {"rows": rows, "texts": HOSTILE, "n": len(HOSTILE) - 1, "a": HOSTILE[0]}
    parameters = {name: {"type": "any", "default": value} for name, value in given.items()}
    after = {"asked": ["sqlite"], "found": ["mongo"]}
    jobs = [
        {"job_id": name, "task": task, "parameters": parameters, "depends_on": after.get(name, [])}
        for name, task in tasks.items()
    ]
    runs = run_file(place, "hostile.json", {"jobs": jobs}, 0)
    assert connection.execute("select n, v from hostile order by n").fetchall() == list(enumerate(HOSTILE))
    connection.close()
    assert server.rows("select n, v from hostile order by n") == list(enumerate(HOSTILE))
    assert runs["mongo"]["result"]["inserted"] == len(HOSTILE)
    assert runs["found"]["result"] == {"count": 1}
    assert runs["asked"]["result"]["rows"] == [{"v": f"x{HOSTILE[0]}y"}]
