"""The task type `sql`: a query whose rows are kept or saved into a table, or statements in one transaction.

Promise: values reach the database as bound parameters only. A `${…}` in the text of a statement is refused where files
are read. `docs/tasks-sql.md` is the manual of every key.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

from gnomon.core.errors import UsageError
from gnomon.core.substitution import references_in
from gnomon.core.values import Json, JsonObject

from .data import Judge, Judging, bad_arguments, is_secret
from .performing import Work, pool_order

KEYS = (
    *("url", "username", "password", "query", "statement", "statements", "parameters"),
    *("max_rows", "into", "isolation", "connect_timeout"),
)
TEXTS = ("query", "statement", "statements")
INTO_KEYS = ("url", "username", "password", "table", "mode")
MODES = ("append", "replace", "fail")
ISOLATIONS = ("read uncommitted", "read committed", "repeatable read", "serializable", "snapshot", "autocommit")
READS = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*(?:select|values|with|table)\b", re.I | re.S)
_CONTROL = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(commit|abort|end|start\s+transaction|rollback(?!\s+(\w+\s+)?to\b)"
    r"|begin(?=\s*(;|$|transaction|tran\b|work|immediate|deferred|exclusive|isolation|read)))\b\s*(;|\w|$)",
    re.I | re.S,
)
_BIND = re.compile(r"(?<![:\w\x5c]):([\w$]+)(?![:\w$])")  # as sqlalchemy.text() finds them
_CAST = re.compile(r"(?<![:\w\x5c]):([\w$]+)(?=::)")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\+[A-Za-z0-9_]+)?://")
_TABLE = re.compile(r"[^.\0]{1,128}(\.[^.\0]{1,128})?")


class Sql:
    """SQLAlchemy in a worker process, one connection for each attempt."""

    name = "sql"
    aliases = ("db", "execute_sql")
    executor = "pool"
    isolated = True
    secrets = ("url", "username", "password", "parameters", "into")

    def validate(self, arguments: JsonObject) -> dict[str, Json]:
        """The canonical arguments: `dsn` is called `url`; other keys only when given.

        Raises:
            UsageError: one problem per mistake, keys relative to the arguments: `url`, `statements[1]`, ….
        """
        return canonical(arguments, filled=False)

    def describe(self, arguments: JsonObject) -> str:
        """One line for lists, at most 200 characters: the SQL."""
        text = next((arguments[key] for key in TEXTS if key in arguments), "")
        if isinstance(text, Sequence) and not isinstance(text, str):
            text = "; ".join(str(item.get("statement") if isinstance(item, Mapping) else item) for item in text)
        line = " ".join(str(text).split())
        return line if len(line) <= 200 else line[:199] + "…"

    def order(self, arguments: JsonObject) -> dict[str, Json]:
        """What the pool is given."""
        return pool_order("gnomon.tasks.sql:run", arguments, self.secrets)


def run(work: Work) -> Json:
    """Perform one attempt, in a worker.

    Raises:
        TaskFailed: `bad_arguments`, `database_unreachable`, `access_denied`, `driver_missing`, `table_exists`,
            `sql_error`.
    """
    from .sql_performing import perform

    try:
        arguments = canonical(work.arguments, filled=True)
    except UsageError as error:
        raise bad_arguments(error) from None
    return perform(arguments, work)


def canonical(arguments: JsonObject, *, filled: bool) -> dict[str, Json]:
    """See `Sql.validate`; `filled`: references are filled and secrets looked up."""
    judging = Judging(_one_spelling(arguments), "sql", filled=filled)
    if arguments.get("dsn") is not None and arguments.get("url") is not None:
        judging.problem("conflicting_keys", "`url` and `dsn` mean the same", "dsn", "keep `url`")
    judging.known(KEYS)
    _connection(judging)
    _texts(judging)
    judging.take("max_rows", judging.count(0, 1_000_000))
    judging.take("connect_timeout", judging.count(1, 600))
    if judging.arguments.get("isolation") is not None:
        folded = judging.arguments["isolation"]
        text = folded.replace("_", " ").replace("-", " ") if isinstance(folded, str) else folded
        judging.canonical["isolation"] = judging.open(text, "isolation", judging.word(ISOLATIONS))
    if judging.arguments.get("into") is not None:
        _into(judging)
    return judging.done()


def _one_spelling(arguments: JsonObject) -> dict[str, Json]:
    given = dict(arguments)
    if "dsn" in given:
        dsn = given.pop("dsn")
        given.setdefault("url", dsn)
    return given


def _connection(judging: Judging) -> None:
    if judging.arguments.get("url") is None:
        hint = "e.g. postgresql://host/database, sqlite:////absolute/path.db"
        judging.problem("missing_key", "a task of type sql needs a database", "url", hint)
    judging.take("url", _url(judging))
    for key in ("username", "password"):
        judging.take(key, judging.text)


def _url(judging: Judging) -> Judge:
    def judge(value: Json, key: str) -> Json:
        judging.text(value, key)
        if (
            isinstance(value, str)
            and value.strip()
            and not _URL.match(value)
            and (judging.filled or not is_secret(value))
        ):
            hint = "write DIALECT://HOST/DATABASE, e.g. postgresql://db.example.com/shop"
            judging.problem("bad_value", "is no URL of a database", key, hint)
        return value

    return judge


def _texts(judging: Judging) -> None:
    """Exactly one of query, statement, statements; each named parameter has a value, each value a name."""
    given = [key for key in TEXTS if judging.arguments.get(key) is not None]
    if len(given) != 1:
        code, text = ("missing_key", "needs") if not given else ("conflicting_keys", "takes only one of")
        key = given[1] if given else "query"
        judging.problem(code, f"a task of type sql {text} `query`, `statement` or `statements`", key)
    for key in given:
        value = judging.arguments[key]
        if key != "statements":
            _sql(judging, value, key)
            judging.canonical[key] = value
        elif not isinstance(value, Sequence) or isinstance(value, str) or not value:
            judging.problem("bad_type", f"expected a list of statements, not {value!r:.60}", key, "write [a, b]")
        else:
            judging.canonical[key] = [_statement(judging, item, f"{key}[{n}]") for n, item in enumerate(value)]
    _parameters(judging, given)


def _statement(judging: Judging, item: Json, key: str) -> Json:
    if not isinstance(item, Mapping):
        _sql(judging, item, key)
        return item
    judging.known(("statement", "parameters"), item, f"{key}.")
    _sql(judging, item.get("statement"), f"{key}.statement")
    own = item.get("parameters")
    if own is not None:
        _check_values(judging, own, f"{key}.parameters", names_in(item.get("statement")), many=True)
    return dict(item)


def _sql(judging: Judging, text: Json, key: str) -> None:
    judging.text(text, key)
    if isinstance(text, str) and not judging.filled:
        for name in dict.fromkeys(references_in(text)):
            word = re.sub(r"\W+", "_", name).strip("_") or "value"
            hint = f"write :{word} there and parameters: {{{word}: '${{{name}}}'}}; literally: $${{{name}}}"
            judging.problem("reference_in_sql", f"${{{name}}} stands inside SQL", key, hint)
    control = _CONTROL.match(text) if isinstance(text, str) else None
    if control and str(judging.arguments.get("isolation")).lower() != "autocommit":
        hint = "leave it out: everything is one transaction; with isolation: autocommit there is none"
        judging.problem("bad_value", f"{control[1].upper()} would end the transaction of the task", key, hint)


def names_in(text: Json) -> list[str]:
    """The bound parameters of a statement, in order."""
    return list(dict.fromkeys(_BIND.findall(spaced(text)))) if isinstance(text, str) else []


def spaced(text: str) -> str:
    """`text` such that sqlalchemy.text() sees the parameter in `:day::date`."""
    return _CAST.sub(r":\1 ", text)


def _parameters(judging: Judging, given: Sequence[str]) -> None:
    texts: list[Json] = []
    for key in given:
        value = judging.canonical.get(key)
        shared = value if isinstance(value, list) else [value]
        texts += [item for item in shared if not (isinstance(item, Mapping) and item.get("parameters") is not None)]
    named = [n for t in texts for n in names_in(t.get("statement") if isinstance(t, Mapping) else t)]
    values = judging.arguments.get("parameters")
    if values is not None:
        many = "statement" in given
        judging.canonical["parameters"] = judging.open(
            values, "parameters", lambda value, key: _check_values(judging, value, key, named, many=many)
        )
    elif named and given:
        hint = f"add parameters: {{{named[0]}: …}}; a colon that is meant literally is \\:"
        judging.problem("missing_key", f":{named[0]} has no value", "parameters", hint)


def _check_values(judging: Judging, values: Json, key: str, named: Sequence[str], *, many: bool) -> Json:
    """A map with a value for each name, or, if there may be `many`, a list of those."""
    if judging.has_reference(values):
        return values
    if isinstance(values, Sequence) and not isinstance(values, str) and many:
        if not values:
            judging.problem("bad_value", "no map of values in the list: nothing would be done", key)
        for number, one in enumerate(values):
            _check_values(judging, one, f"{key}[{number}]", named, many=False)
        return list(values)
    if not isinstance(values, Mapping):
        more = ", or a list of such maps" if many else ""
        judging.problem("bad_type", f"expected a map of names to values{more}, not {values!r:.60}", key)
        return values
    for name in dict.fromkeys(named):
        if name not in values:
            hint = "a colon that is meant literally is \\:"
            judging.problem("missing_key", f":{name} has no value", f"{key}.{name}", hint)
    for name in values:
        if name not in named:
            near = difflib.get_close_matches(name, named, n=1)
            hint = f"did you mean {near[0]}?" if near else f"write :{name} where it belongs"
            judging.problem("bad_value", f"no statement has a parameter :{name}", f"{key}.{name}", hint)
    return dict(values)


def _into(judging: Judging) -> None:
    into = judging.arguments["into"]
    if not isinstance(into, Mapping):
        judging.problem("bad_type", f"expected {{table: NAME}}, not {into!r:.60}", "into")
        return
    judging.known(INTO_KEYS, into, "into.")
    query = judging.arguments.get("query")
    if query is None:
        judging.problem("misplaced_key", "`into` saves the rows of a `query`", "into")
    elif isinstance(query, str) and not READS.match(query):
        judging.problem("bad_value", "with `into` the query must read: SELECT, VALUES or WITH", "query")
    table, mode = into.get("table"), into.get("mode", "append")
    canonical_into: dict[str, Json] = {"mode": judging.open(mode, "into.mode", judging.word(MODES))}
    if table is None:
        judging.problem("missing_key", "which table?", "into.table", "into: {table: NAME}")
    elif judging.has_reference(table) or (isinstance(table, str) and _TABLE.fullmatch(table)):
        canonical_into["table"] = table
    else:
        judging.problem("bad_value", f"{table!r:.60} is no name of a table", "into.table", "NAME or SCHEMA.NAME")
    for key, judge in (("url", _url(judging)), ("username", judging.text), ("password", judging.text)):
        if into.get(key) is not None:
            canonical_into[key] = judging.open(into[key], f"into.{key}", judge)
    judging.canonical["into"] = canonical_into


SQL = Sql()
