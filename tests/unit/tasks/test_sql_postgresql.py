"""The task type `sql` on a real PostgreSQL."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.values import Json
from gnomon.tasks.sql import SQL
from tests.support.postgres import PASSWORD, Postgres, postgres
from tests.support.working import attempt, failure

CANARY = "canary-8c1f0e"


@pytest.fixture
def server() -> Iterator[Postgres]:
    """With an empty schema `work`, which is gone afterwards."""
    server = postgres()
    server.rows("drop schema if exists work cascade")
    server.rows("create schema work")
    yield server
    server.rows("drop schema work cascade")


def test_types_become_json(server: Postgres) -> None:
    query = """select 1 as i, 9007199254740993 as big, 1.50::numeric as n, 'NaN'::numeric as nan,
        'Infinity'::float8 as f, date '2026-12-01' as d, timestamptz '2026-12-01 10:00+02' as t,
        interval '90 min' as v, '\\x00ff'::bytea as b,
        'b3b7c6e2-6c0f-4b52-9d3a-3f6a4a1f3c11'::uuid as u, array[1,2] as a, '{"x": [1.5]}'::jsonb as j,
        inet '10.0.0.1' as ip, true as yes, null as no, 'a\\:b' as text"""
    (row,) = attempt(SQL, {"url": server.url(), "query": query})["rows"]
    moment = row.pop("t")
    assert moment in ("2026-12-01T08:00:00+00:00", "2026-12-01T10:00:00+02:00")
    numbers = {"i": 1, "big": 9007199254740993, "n": "1.50", "nan": None, "f": None, "d": "2026-12-01", "v": 5400.0}
    values = {"b": {"base64": "AP8="}, "u": "b3b7c6e2-6c0f-4b52-9d3a-3f6a4a1f3c11", "a": [1, 2], "j": {"x": [1.5]}}
    assert row == numbers | values | {"ip": "10.0.0.1", "yes": True, "no": None, "text": "a:b"}


def test_a_result_is_read_through_a_cursor_of_the_server(server: Postgres) -> None:
    query = "select i, repeat('x', 1000) as t from generate_series(1, 10000000) as i"
    result = attempt(SQL, {"url": server.url(), "query": query, "max_rows": 20})
    assert (result["row_count"], result["truncated"]) == (20, True)


def test_statements_are_all_or_nothing(server: Postgres) -> None:
    statements: list[Json] = ["create table work.t (id int primary key)", "insert into work.t values (1), (1)"]
    error = failure(SQL, {"url": server.url(), "statements": statements})
    assert error.task_code == "sql_error"
    assert error.message.startswith("statement 2 of 2: duplicate key value")
    assert error.result == {"state": "23505"}
    assert server.rows("select to_regclass('work.t')") == [(None,)]


def test_messages_do_not_quote_values(server: Postgres) -> None:
    server.rows("create table work.t (id text primary key)")
    arguments: dict[str, Json] = {"url": server.url(), "statement": "insert into work.t values (:v)"}
    values: list[Json] = [{"v": CANARY}, {"v": CANARY}]
    assert CANARY not in failure(SQL, {**arguments, "parameters": values}).message
    query = {"url": server.url(), "query": "select cast(:v as integer) as n", "parameters": {"v": CANARY}}
    error = failure(SQL, query)
    assert "invalid input syntax" in error.message
    assert CANARY not in error.message


def test_a_wrong_password_and_an_unknown_database(server: Postgres) -> None:
    wrong = failure(SQL, {"url": server.url(password=CANARY), "query": "select 1"})
    assert wrong.task_code == "access_denied"
    assert CANARY not in wrong.message
    missing = failure(SQL, {"url": server.url("no_such_database"), "query": "select 1"})
    assert missing.task_code == "database_unreachable"
    assert "no_such_database" in missing.message
    assert PASSWORD not in missing.message


def test_username_and_password_beside_the_url(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_PASSWORD", PASSWORD)
    url = server.url(user="nobody", password=None)
    arguments: dict[str, Json] = {"url": url, "username": "gnomon", "password": "env:PG_PASSWORD"}
    assert attempt(SQL, {**arguments, "query": "select current_user as who"})["rows"] == [{"who": "gnomon"}]


def test_isolation_and_autocommit(server: Postgres) -> None:
    query = "select current_setting('transaction_isolation') as level"
    result = attempt(SQL, {"url": server.url(), "query": query, "isolation": "repeatable_read"})
    assert result["rows"] == [{"level": "repeatable read"}]
    assert failure(SQL, {"url": server.url(), "statement": "vacuum"}).task_code == "sql_error"
    attempt(SQL, {"url": server.url(), "statement": "vacuum", "isolation": "autocommit"})
    attempt(SQL, {"url": server.url(), "query": query, "isolation": "autocommit"})


def test_the_server_is_told_when_to_stop(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    query = "select current_setting('statement_timeout') as t, current_setting('client_connection_check_interval') as c"
    assert attempt(SQL, {"url": server.url(), "query": query})["rows"] == [{"t": "0", "c": "5s"}]
    monkeypatch.setenv("GNOMON_TIMEOUT", "29.0")
    assert attempt(SQL, {"url": server.url(), "query": query})["rows"] == [{"t": "30s", "c": "5s"}]


def test_into_a_table_of_exactly_the_types_of_the_result(server: Postgres) -> None:
    query = "select 1 as id, :day::date as day, array['a'] as tags, '{}'::jsonb as doc, 2.50::numeric as price"
    arguments: dict[str, Json] = {"url": server.url(), "query": query, "parameters": {"day": "2026-12-01"}}
    into = {"table": "work.Orders 100%"}
    assert attempt(SQL, {**arguments, "into": into})["created"] is True
    assert attempt(SQL, {**arguments, "into": {**into, "mode": "replace"}})["row_count"] == 1
    columns = "select data_type from information_schema.columns where table_schema = 'work' order by ordinal_position"
    assert [kind for (kind,) in server.rows(columns)] == ["integer", "date", "ARRAY", "jsonb", "numeric"]
    assert server.rows('select count(*) from work."Orders 100%"') == [(1,)]


def test_between_postgresql_and_sqlite(server: Postgres, tmp_path: Path) -> None:
    file = f"sqlite:///{tmp_path / 'copy.db'}"
    query = """select i as id, date '2026-12-01' as day, 1.25 as price, i % 2 = 0 as even, '{"k": 1}'::jsonb as doc,
        array[i] as list, gen_random_uuid() as u, timestamptz '2026-12-01 10:00Z' as at, null as gap
        from generate_series(1, 1200) as i"""
    there: dict[str, Json] = {"url": server.url(), "query": query, "into": {"url": file, "table": "copy"}}
    assert attempt(SQL, there)["row_count"] == 1200
    into: dict[str, Json] = {"url": server.url(), "table": "work.copy"}
    back = attempt(SQL, {"url": file, "query": "select * from copy", "into": into})
    assert (back["row_count"], back["created"]) == (1200, True)
    assert server.rows("select sum(id), min(day)::text from work.copy") == [(720600, "2026-12-01")]
    again = failure(SQL, {**there, "into": {"url": file, "table": "copy", "mode": "fail"}})
    assert again.task_code == "table_exists"


def test_a_connection_that_is_lost_in_the_middle(server: Postgres) -> None:
    def kill() -> None:
        from tests.support.service import until

        (victim,) = until(lambda: server.busy_with("'victim'"), "the query runs")
        server.rows("select pg_terminate_backend(%s)", victim[0])

    thread = threading.Thread(target=kill)
    thread.start()
    error = failure(SQL, {"url": server.url(), "statement": "select pg_sleep(60), 'victim'"})
    thread.join()
    assert error.task_code == "database_unreachable"


VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.sampled_from(
    ["'; drop table orders; --", "%s %(x)s %%", ":x \\:x ::text", "E'\\'", "${x}", "$1", "env:HOME", "{1,2}", "\\x00"]
)


@settings(max_examples=25)
@given(VALUES, st.lists(VALUES, min_size=1, max_size=3))
def test_whatever_a_parameter_holds_it_arrives_as_data(value: str, values: list[str]) -> None:
    arguments: dict[str, Json] = {
        "url": postgres().url(),
        "query": "select :v as v, '%' as p, :list \\:\\: text[] as list, 1 in :numbers as n",
        "parameters": {"v": "${v}", "list": "${list}", "numbers": [1, 2]},
    }
    (row,) = attempt(SQL, arguments, v=value, list=values)["rows"]
    assert row == {"v": value, "p": "%", "list": values, "n": True}


# ---- MySQL: what can be shown without a server ---------------------------------------------------


@contextmanager
def speaker(greeting: bytes) -> Iterator[int]:
    """A server that says one thing to whoever comes first."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(greeting)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def packet(body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + b"\0" + body


@pytest.mark.parametrize(
    ("greeting", "code"),
    [
        (packet(b"\xff\x15\x04#28000Access denied for user"), "access_denied"),
        (packet(b"\xff\x10\x04Too many connections"), "database_unreachable"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "database_unreachable"),
    ],
)
def test_mysql_that_refuses(greeting: bytes, code: str) -> None:
    with speaker(greeting) as port:
        url = f"mysql://u:{CANARY}@127.0.0.1:{port}/x"
        error = failure(SQL, {"url": url, "query": "select 1", "connect_timeout": 5})
    assert error.task_code == code
    assert CANARY not in error.message
