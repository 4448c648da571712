"""Values on their way into statements and out of them, on SQLite and PostgreSQL; what a failure leaves behind."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gnomon.core.values import Json
from gnomon.tasks.sql import SQL
from tests.support.postgres import Postgres, postgres
from tests.support.service import until
from tests.support.working import attempt, failure, problems


@pytest.fixture
def server() -> Postgres:
    return postgres()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with a table `t` of the numbers 1 to 3."""
    if request.param == "postgresql":
        postgres().rows("drop table if exists t")
    address = postgres().url() if request.param == "postgresql" else f"sqlite:///{tmp_path}/b.db"
    attempt(SQL, {"url": address, "statements": ["create table t (n int)", "insert into t values (1), (2), (3)"]})
    return address


@pytest.mark.parametrize("text", ["n in :some", "n in (:some)", "n IN ( :some )", "n not in (0) and n in\n:some"])
@pytest.mark.parametrize(("some", "found"), [([1, 3], 2), ([2], 1), ([], 0), ([None, 1], 1)])
def test_a_list_behind_in_with_and_without_parentheses(url: str, text: str, some: Json, found: int) -> None:
    query: dict[str, Json] = {"url": url, "query": f"select n from t where {text}", "parameters": {"some": "${some}"}}
    assert attempt(SQL, query, some=some)["row_count"] == found


def test_one_value_behind_in_is_a_list_of_one(url: str) -> None:
    query: dict[str, Json] = {
        "url": url,
        "query": "select n from t where n in :some",
        "parameters": {"some": "${some}"},
    }
    assert attempt(SQL, query, some=2)["rows"] == [{"n": 2}]


def test_a_list_behind_in_of_a_statement_that_is_done_for_each(url: str) -> None:
    values: list[Json] = [{"some": [1]}, {"some": [2, 3]}, {"some": []}]
    done = attempt(SQL, {"url": url, "statement": "delete from t where n in (:some)", "parameters": values})
    assert done == {"row_counts": [3], "row_count": 3}


@pytest.mark.parametrize(
    "word", ["commit", "-- now\nCOMMIT;", "rollback", "begin", "end;", "start transaction", "abort"]
)
def test_nobody_ends_the_transaction_of_the_task(word: str) -> None:
    (problem,) = problems(SQL, {"url": "sqlite://", "statements": ["select 1", word, "select 2"]})
    assert (problem.key, problem.code) == ("statements[1]", "bad_value")
    assert "isolation: autocommit" in problem.hint
    SQL.validate({"url": "sqlite://", "statements": ["select 1", word], "isolation": "autocommit"})


@pytest.mark.parametrize("text", ["rollback to savepoint a", "begin dbms_stats.gather; end;", "endless", "commits"])
def test_what_only_looks_so_is_let_through(text: str) -> None:
    SQL.validate({"url": "sqlite://", "statement": text})


def test_two_statements_in_one_text(tmp_path: Path) -> None:
    error = failure(SQL, {"url": "sqlite://", "statement": "select 1; select 2"})
    assert "`statements: [one, another]`" in error.message


def test_a_locked_database_says_how_long_it_waited(tmp_path: Path) -> None:
    path = tmp_path / "locked.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("create table t (n int)")
    connection.execute("begin exclusive")
    try:
        task: dict[str, Json] = {"url": f"sqlite:///{path}", "query": "select * from t", "connect_timeout": 1}
        error = failure(SQL, task)
        assert (error.task_code, error.result) == ("sql_error", {"state": "SQLITE_BUSY"})
        assert "connect_timeout (1 s)" in error.message
        error = failure(SQL, {**task, "url": f"sqlite:///{path}?timeout=0.1", "connect_timeout": None})
        assert "locked" in error.message, "what the URL says counts when the task says nothing"
    finally:
        connection.close()


# ---- PostgreSQL ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        ("infinity", "timestamptz", "infinity"),
        ("4713-01-01 BC", "date", "4713-01-01 BC"),
        ("99999-12-31", "timestamp", "99999-12-31 00:00:00"),
        ("24:00", "time", "24:00:00"),
        ("2026-12-01", "date", "2026-12-01"),
    ],
)
def test_times_that_python_does_not_know_are_text(server: Postgres, value: str, kind: str, shown: str) -> None:
    query: dict[str, Json] = {
        "url": server.url(),
        "query": f"select cast(:v as {kind}) as v",
        "parameters": {"v": value},
    }
    assert attempt(SQL, query)["rows"] == [{"v": shown}]


def test_arrays_are_of_one_type(server: Postgres) -> None:
    query: dict[str, Json] = {"url": server.url(), "query": "select :v as v", "parameters": {"v": "${v}"}}
    assert attempt(SQL, query, v=[1.5, 2, None])["rows"] == [{"v": [1.5, 2.0, None]}]
    error = failure(SQL, query, v=[1, "a"])
    assert (error.task_code, error.message) == (
        "bad_arguments", "parameters.v: an array holds one type, not numbers and texts",
    )  # fmt: skip


def test_a_parameter_whose_type_nothing_says(server: Postgres) -> None:
    error = failure(SQL, {"url": server.url(), "query": "select 1 where :v is null", "parameters": {"v": None}})
    assert "cast(:name as text)" in error.message


def test_an_option_that_the_driver_does_not_have(server: Postgres) -> None:
    error = failure(SQL, {"url": server.url() + "?bogus=1", "query": "select 1"})
    assert (error.task_code, error.message) == ("bad_arguments", 'url: invalid connection option "bogus"')


def test_a_connection_that_cannot_roll_back_does_not_hide_why(
    server: Postgres, capfd: pytest.CaptureFixture[str]
) -> None:
    error = failure(SQL, {"url": server.url(), "query": "copy (select 1) to stdout"})
    assert "COPY" in error.message
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.fixture
def alone(server: Postgres) -> Iterator[Postgres]:
    """The server, with nobody else at the database when the test ends."""
    others = "select query from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
    until(lambda: not server.rows(others), "nobody is there")
    yield server
    until(lambda: not server.rows(others), f"no connection is left: {server.rows(others)}", 5)


def test_no_attempt_leaves_a_connection(alone: Postgres, tmp_path: Path) -> None:
    base: dict[str, Json] = {"url": alone.url()}
    copy: Json = {"table": "t", "url": f"sqlite:///{tmp_path}/c.db", "mode": "replace"}
    for _ in range(3):
        attempt(SQL, {**base, "query": "select generate_series(1, 5000) as n", "max_rows": 3})
        attempt(SQL, {**base, "query": "select generate_series(1, 5000) as n", "into": copy})
        failure(SQL, {**base, "query": "select 1/0 as n"})
        failure(SQL, {**base, "query": "select 1 as m", "into": copy})
        failure(SQL, {**base, "query": "select 1", "isolation": "snapshot"})
        failure(SQL, {**base, "query": "copy (select 1) to stdout"})
