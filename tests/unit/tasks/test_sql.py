"""The task type `sql` on SQLite: arguments, results, transactions, saving; nothing secret in what it says."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tracemalloc
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.values import Json
from gnomon.tasks.sql import SQL
from tests.support.postgres import free_port
from tests.support.working import attempt, failure, problems

CANARY = "canary-8c1f0e"
MANY = (
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < :most) select i, 'text ' || i as t from n"
)


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table orders (id integer primary key, item text not null, price real)")
        connection.executemany("insert into orders values (?, ?, ?)", [(1, "pen", 1.5), (2, "ink", None)])
    connection.close()
    return path


def rows(path: Path, sql: str) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def url(path: Path) -> str:
    return f"sqlite:///{path}"


# ---- arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "key"),
    [
        ({"query": "select 1"}, "missing_key", "url"),
        ({"url": "sqlite://"}, "missing_key", "query"),
        ({"url": "sqlite://", "query": "select 1", "statement": "x"}, "conflicting_keys", "statement"),
        ({"url": "a", "dsn": "b", "query": "select 1"}, "conflicting_keys", "dsn"),
        ({"url": "localhost/shop", "query": "select 1"}, "bad_value", "url"),
        ({"url": "sqlite://", "quary": "select 1"}, "unknown_key", "quary"),
        ({"url": "sqlite://", "query": 7}, "bad_type", "query"),
        ({"url": "sqlite://", "query": "select ${x}"}, "reference_in_sql", "query"),
        ({"url": "sqlite://", "statements": ["a", "drop table ${x}"]}, "reference_in_sql", "statements[1]"),
        ({"url": "sqlite://", "statements": "a"}, "bad_type", "statements"),
        ({"url": "sqlite://", "statements": [{"statment": "a"}]}, "unknown_key", "statements[0].statment"),
        ({"url": "sqlite://", "query": "select :day"}, "missing_key", "parameters"),
        ({"url": "sqlite://", "query": "select :day", "parameters": {"dai": 1}}, "missing_key", "parameters.day"),
        ({"url": "sqlite://", "query": "select :a", "parameters": {"a": 1, "b": 1}}, "bad_value", "parameters.b"),
        ({"url": "sqlite://", "query": "select :a", "parameters": [{"a": 1}]}, "bad_type", "parameters"),
        ({"url": "sqlite://", "statement": "x :a", "parameters": [{"a": 1}, {}]}, "missing_key", "parameters[1].a"),
        ({"url": "sqlite://", "query": "select 1", "max_rows": -1}, "bad_value", "max_rows"),
        ({"url": "sqlite://", "query": "select 1", "isolation": "dirty"}, "unknown_value", "isolation"),
        ({"url": "sqlite://", "query": "select 1", "into": "t"}, "bad_type", "into"),
        ({"url": "sqlite://", "query": "select 1", "into": {"mode": "append"}}, "missing_key", "into.table"),
        ({"url": "sqlite://", "query": "select 1", "into": {"table": "t", "mode": "x"}}, "unknown_value", "into.mode"),
        ({"url": "sqlite://", "statement": "x", "into": {"table": "t"}}, "misplaced_key", "into"),
        ({"url": "sqlite://", "query": "delete from t", "into": {"table": "t"}}, "bad_value", "query"),
    ],
)
def test_a_mistake_is_told_with_its_key(arguments: dict[str, Json], code: str, key: str) -> None:
    assert (code, key) in [(p.code, p.key) for p in problems(SQL, arguments)]


def test_a_reference_in_sql_is_answered_with_the_bound_form() -> None:
    (problem,) = problems(SQL, {"url": "sqlite://", "query": "select * from t where day = '${fire_date}'"})
    assert ":fire_date" in problem.hint
    assert "parameters: {fire_date: '${fire_date}'}" in problem.hint


def test_all_problems_come_at_once() -> None:
    found = problems(SQL, {"quary": "x", "max_rows": "many", "into": {"tabel": "t"}})
    assert {p.key for p in found} >= {"quary", "max_rows", "into.tabel", "url", "query", "into.table"}


def test_canonical_arguments_are_a_fixed_point() -> None:
    given = {"dsn": "sqlite://", "query": "select :a", "parameters": {"a": "${a}"}, "isolation": "READ_COMMITTED"}
    canonical = SQL.validate(given)
    assert canonical["url"] == "sqlite://"
    assert canonical["isolation"] == "read committed"
    assert SQL.validate(canonical) == canonical


def test_a_filled_argument_that_is_wrong_only_then() -> None:
    error = failure(SQL, {"url": "sqlite://", "query": "select 1", "max_rows": "${n}"}, n="many")
    assert error.task_code == "bad_arguments"
    assert "max_rows" in error.message


def test_reading_job_files_loads_neither_sqlalchemy_nor_a_driver() -> None:
    code = (
        "import sys\nfrom gnomon.tasks.sql import SQL\nSQL.validate({'url': 'sqlite://', 'query': 'select 1'})\n"
        "assert not {'sqlalchemy', 'psycopg', 'pymysql'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ---- queries -----------------------------------------------------------------------------------


def test_rows_of_a_query(db: Path) -> None:
    result = attempt(SQL, {"url": url(db), "query": "select * from orders where id < :most", "parameters": {"most": 9}})
    assert result == {
        "rows": [{"id": 1, "item": "pen", "price": 1.5}, {"id": 2, "item": "ink", "price": None}],
        "row_count": 2,
        "columns": ["id", "item", "price"],
        "truncated": False,
    }


def test_types_become_json(db: Path) -> None:
    result = attempt(SQL, {"url": url(db), "query": "select 1 as id, 2 as id, x'00ff' as b, 9e999 as big, null as no"})
    assert result["rows"] == [{"id": 1, "id_2": 2, "b": {"base64": "AP8="}, "big": None, "no": None}]


def test_a_list_behind_in(db: Path) -> None:
    arguments: dict[str, Json] = {"url": url(db), "query": "select id from orders where item in :items"}
    result = attempt(
        SQL, {**arguments, "parameters": {"items": "${items}"}}, items=["pen", "'); drop table orders; --"]
    )
    assert result["rows"] == [{"id": 1}]


def test_a_million_rows_stay_out_of_memory() -> None:
    arguments: dict[str, Json] = {"url": "sqlite://", "query": MANY, "parameters": {"most": 1_000_000}}
    attempt(SQL, {**arguments, "parameters": {"most": 1}})
    tracemalloc.start()
    try:
        result = attempt(SQL, arguments)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result["row_count"] == 1000
    assert result["truncated"] is True
    assert len(result["rows"]) == 1000
    assert peak < 8_000_000


def test_rows_too_large_for_a_result_are_counted_only(capsys: pytest.CaptureFixture[str]) -> None:
    query = MANY.replace("'text '", "hex(zeroblob(5000))")
    result = attempt(SQL, {"url": "sqlite://", "query": query, "parameters": {"most": 20}})
    assert (len(result["rows"]), result["row_count"], result["truncated"]) == (5, 20, True)
    assert "60000 bytes" in capsys.readouterr().out


def test_max_rows_none(db: Path) -> None:
    result = attempt(SQL, {"url": url(db), "query": "select * from orders", "max_rows": 0})
    assert (result["rows"], result["row_count"], result["truncated"]) == ([], 0, True)


def test_a_query_without_rows_changes_nothing(db: Path) -> None:
    error = failure(SQL, {"url": url(db), "query": "delete from orders"})
    assert error.task_code == "sql_error"
    assert "statement" in error.message
    assert rows(db, "select count(*) from orders") == [(2,)]


def test_rows_of_a_change_are_committed(db: Path) -> None:
    result = attempt(SQL, {"url": url(db), "query": "update orders set price = 2 returning id"})
    assert result["rows"] == [{"id": 1}, {"id": 2}]
    assert rows(db, "select distinct price from orders") == [(2.0,)]


# ---- statements --------------------------------------------------------------------------------


def test_statements_in_one_transaction(db: Path) -> None:
    statements: list[Json] = [
        "create table log (id integer, note text)",
        {
            "statement": "insert into log values (:id, :note)",
            "parameters": [{"id": 1, "note": "a"}, {"id": 2, "note": "b"}],
        },
        "update orders set item = :item",
    ]
    result = attempt(SQL, {"url": url(db), "statements": statements, "parameters": {"item": "x"}})
    assert result == {"row_counts": [None, 2, 2], "row_count": 4}
    assert rows(db, "select * from log") == [(1, "a"), (2, "b")]


def test_all_or_nothing_and_that_holds_for_tables_too(db: Path) -> None:
    statements: list[Json] = [
        "create table log (id integer)",
        "delete from orders",
        "insert into orders values (1, null, 0)",
    ]
    error = failure(SQL, {"url": url(db), "statements": statements})
    assert error.task_code == "sql_error"
    assert error.message == "statement 3 of 3: NOT NULL constraint failed: orders.item"
    assert error.result == {"state": "SQLITE_CONSTRAINT_NOTNULL"}
    assert rows(db, "select count(*) from orders") == [(2,)]
    assert rows(db, "select name from sqlite_master where name = 'log'") == []


def test_many_values_for_one_statement(db: Path) -> None:
    values: list[Json] = [{"id": n, "item": f"i{n}"} for n in range(10, 30)]
    arguments: dict[str, Json] = {"url": url(db), "statement": "insert into orders (id, item) values (:id, :item)"}
    assert attempt(SQL, {**arguments, "parameters": "${items}"}, items=values) == {"row_counts": [20], "row_count": 20}
    twice = failure(SQL, {**arguments, "parameters": [{"id": 50, "item": "new"}, {"id": 1, "item": CANARY}]})
    assert CANARY not in twice.message
    assert rows(db, "select count(*) from orders") == [(22,)]


def test_autocommit_for_what_no_transaction_can_hold(db: Path) -> None:
    assert failure(SQL, {"url": url(db), "statement": "vacuum"}).task_code == "sql_error"
    attempt(SQL, {"url": url(db), "statement": "vacuum", "isolation": "autocommit"})


# ---- into --------------------------------------------------------------------------------------


def test_into_a_new_table_of_the_same_database(db: Path) -> None:
    arguments: dict[str, Json] = {
        "url": url(db),
        "query": "select id, item from orders where item = :item;",
        "parameters": {"item": "pen"},
        "into": {"table": 'odd "name" :x %s'},
    }
    result = attempt(SQL, arguments)
    assert result == {"row_count": 1, "columns": ["id", "item"], "table": 'odd "name" :x %s', "created": True}
    again = attempt(SQL, arguments)
    assert (again["row_count"], again["created"]) == (1, False)
    assert rows(db, 'select * from "odd ""name"" :x %s"') == [(1, "pen"), (1, "pen")]


def test_a_table_may_be_replaced_from_itself(db: Path) -> None:
    query = "select id, upper(item) as item, price from orders where id = 1"
    attempt(SQL, {"url": url(db), "query": query, "into": {"table": "orders", "mode": "replace"}})
    assert rows(db, "select * from orders") == [(1, "PEN", 1.5)]


def test_into_fails_where_a_table_is(db: Path) -> None:
    error = failure(SQL, {"url": url(db), "query": "select 1 as id", "into": {"table": "orders", "mode": "fail"}})
    assert error.task_code == "table_exists"


def test_from_one_database_into_another(db: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    arguments: dict[str, Json] = {
        "url": url(db),
        "query": "select id, item, price, null as gap, x'01' as data from orders",
        "into": {"url": url(other), "table": "copy"},
    }
    assert attempt(SQL, arguments)["created"] is True
    assert rows(other, "select * from copy") == [(1, "pen", 1.5, None, b"\1"), (2, "ink", None, None, b"\1")]
    attempt(SQL, {**arguments, "into": {"url": url(other), "table": "copy", "mode": "replace"}})
    assert rows(other, "select count(*) from copy") == [(2,)]
    error = failure(SQL, {**arguments, "query": "select 1 as id, 2 as colour"})
    assert "'colour'" in error.message


def test_saving_is_all_or_nothing(db: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("create table t (i integer check (i < 1200), t text)")
        connection.execute("insert into t values (7, 'old')")
    connection.close()
    into: dict[str, Json] = {"url": url(other), "table": "t", "mode": "replace"}
    error = failure(SQL, {"url": url(db), "query": MANY, "parameters": {"most": 1500}, "into": into})
    assert error.task_code == "sql_error"
    assert rows(other, "select * from t") == [(7, "old")]


# ---- refusals ----------------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "missing.db"
    error = failure(SQL, {"url": url(path), "query": "select 1"})
    assert error.task_code == "database_unreachable"
    assert not path.exists()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "mysql", "mariadb"])
def test_nobody_listens_and_the_password_is_not_told(scheme: str, capsys: pytest.CaptureFixture[str]) -> None:
    address = f"{scheme}://reports:{CANARY}@127.0.0.1:{free_port()}/shop"
    error = failure(SQL, {"url": address, "query": "select 1", "connect_timeout": 3})
    assert error.task_code == "database_unreachable"
    assert "127.0.0.1" in error.message
    assert CANARY not in error.message + capsys.readouterr().out


@pytest.mark.parametrize(
    ("address", "code", "says"),
    [
        (f"nodb://u:{CANARY}@h/x", "driver_missing", "nodb"),
        (f"oracle://u:{CANARY}@h/x", "driver_missing", "oracledb"),
        (f"postgresql://u:{CANARY}@h:port/x", "bad_arguments", "url"),
    ],
)
def test_addresses_that_lead_nowhere(address: str, code: str, says: str) -> None:
    error = failure(SQL, {"url": address, "query": "select 1"})
    assert error.task_code == code
    assert says in error.message
    assert CANARY not in error.message


@pytest.mark.parametrize(
    ("scheme", "module", "line"), [("postgresql", "psycopg", "postgres"), ("mysql", "pymysql", "mysql")]
)
def test_a_driver_that_is_not_installed(scheme: str, module: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    error = failure(SQL, {"url": f"{scheme}://h/x", "query": "select 1"})
    assert error.task_code == "driver_missing"
    assert f"pip install 'gnomon[{line}]'" in error.message


def test_secrets_are_looked_up_and_not_told(tmp_path: Path, db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", url(db))
    monkeypatch.setenv("SHOP_ITEM", CANARY)
    arguments: dict[str, Json] = {
        "url": "env:SHOP_URL",
        "query": "select :item as item",
        "parameters": {"item": "env:SHOP_ITEM"},
    }
    assert attempt(SQL, {**arguments, "query": "select length(:item) as n"})["rows"] == [{"n": len(CANARY)}]
    error = failure(SQL, {**arguments, "query": "select json(:item)"})
    assert CANARY not in error.message
    assert failure(SQL, {**arguments, "password": "env:NOT_THERE"}).task_code == "secret_not_found"


def test_a_parameter_is_never_a_reference_to_a_secret(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_ITEM", CANARY)
    arguments: dict[str, Json] = {"url": url(db), "query": "select :item as item", "parameters": {"item": "${item}"}}
    assert attempt(SQL, arguments, item="env:SHOP_ITEM")["rows"] == [{"item": "env:SHOP_ITEM"}]


VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.sampled_from(
    [
        "'; drop table orders; --",
        '" or 1=1 --',
        "%s %(x)s %%",
        ":x \\:x ::text",
        "\\",
        "${x}",
        "$${",
        "env:HOME",
        "?",
        "literal:a",
    ]
)


@given(VALUES)
def test_whatever_a_parameter_holds_it_arrives_as_data(value: str) -> None:
    arguments: dict[str, Json] = {"url": "sqlite://", "query": "select :v as v, '%' as p", "parameters": {"v": "${v}"}}
    assert attempt(SQL, arguments, v=value)["rows"] == [{"v": value, "p": "%"}]
