"""What a `mongo` task does with its client. Runs in workers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from gnomon.core.values import Json, JsonObject

from .data import CONNECT_S, Kept, as_json, deeper_than, quiet
from .mongo_building import documents_of, filter_of, numbers_of, pipeline_of, update_of
from .performing import TaskFailed, Work

_DENIED = (13, 18, 8000)  # Unauthorized, AuthenticationFailed, AtlasError
_LATER_S = 1.0
FETCH = 500


def perform(arguments: JsonObject, work: Work) -> Json:
    """One attempt: canonical arguments, filled values marked, to its result."""
    try:
        import pymongo
    except ImportError:
        text = "pymongo is not installed where workers run: pip install 'gnomon[mongo]'"
        raise TaskFailed("driver_missing", text) from None
    operation = _OPERATIONS[str(arguments["operation"])]
    with _judged(arguments), _client(arguments) as client:
        collection = _collection(client, arguments)
        call = operation(arguments)  # before anything is sent: what is refused is refused at no cost
        work.log(f"{arguments['operation']} {collection.full_name}")
        limit = None if work.timeout_s is None else work.timeout_s + _LATER_S
        # a server is found first: within the timeout of everything that could take as long as everything may
        with pymongo.timeout(client.options.server_selection_timeout):
            client.admin.command("ping", read_preference=client.read_preference)
        with pymongo.timeout(limit):
            result = call(collection)
    note = result.pop("note", None)
    if note:
        work.log(str(note))
    return result


@contextmanager
def _client(arguments: JsonObject) -> Iterator[Any]:
    from pymongo import MongoClient

    wait_s, url = arguments.get("connect_timeout"), str(arguments["url"])
    wait_ms = (wait_s if isinstance(wait_s, int) else CONNECT_S) * 1000
    options = url.partition("?")[2].lower()
    waits: dict[str, Any] = {
        name: wait_ms
        for name in ("serverSelectionTimeoutMS", "connectTimeoutMS")
        if isinstance(wait_s, int) or f"{name.lower()}=" not in options  # the URL's own, if it has one
    }
    user: dict[str, Any] = {
        key: str(arguments[key]) for key in ("username", "password") if arguments.get(key) is not None
    }
    client: Any = MongoClient(
        url,
        tz_aware=True,
        uuidRepresentation="standard",
        datetime_conversion="DATETIME_AUTO",
        appname="gnomon",
        **waits,
        **user,
    )
    try:
        yield client
    finally:
        client.close()


def _collection(client: Any, arguments: JsonObject) -> Any:
    from pymongo.errors import ConfigurationError

    try:
        name = arguments.get("database")
        database = client[str(name)] if name is not None else client.get_default_database()
    except ConfigurationError:
        raise TaskFailed("bad_arguments", "database: neither here nor in the URL") from None
    return database[str(arguments["collection"])]


_DEEPEST = 200
"""No server takes more. Below it, each says for itself what it thinks of a document."""


@contextmanager
def _judged(arguments: JsonObject) -> Iterator[None]:
    """pymongo's failures under our codes, without the values that were given."""
    from bson.errors import BSONError
    from pymongo import errors

    private = [arguments.get(key) for key in ("password", "filter", "pipeline", "document", "documents", "update")]
    within = re.match(r"[^/]*//[^/@]*?:([^/]*)@", str(arguments["url"]))
    private += [within[1], unquote(within[1])] if within else []

    def failed(code: str, error: Exception, result: Json = None) -> TaskFailed:
        return TaskFailed(code, quiet(_message(error), private), result)

    if deeper_than(_DEEPEST, private):
        raise TaskFailed("bad_arguments", "a document is nested too deeply (MongoDB: 100 levels)")
    try:
        yield
    except errors.BulkWriteError as error:
        details = error.details or {}
        first: Mapping[str, Any] = next(iter(details.get("writeErrors", [])), {})
        done: Json = {
            "inserted": details.get("nInserted", 0),
            "failed_at": first.get("index"),
            "state": first.get("code"),
        }
        text = f"{details.get('nInserted', 0)} inserted, then: {_cut(str(first.get('errmsg', '')))}"
        raise TaskFailed("mongo_error", quiet(text, private), done) from None
    except errors.OperationFailure as error:
        code = "access_denied" if error.code in _DENIED else "mongo_error"
        raise failed(code, error, {"state": error.code} if error.code else None) from None
    except (errors.ConfigurationError, errors.InvalidName, errors.InvalidOperation) as error:
        raise failed("mongo_unreachable" if "DNS" in str(error) else "bad_arguments", error) from None
    except errors.ConnectionFailure as error:
        raise failed("mongo_unreachable", error) from None
    except (errors.PyMongoError, BSONError, OverflowError, TypeError, ValueError) as error:
        raise failed("mongo_error", error) from None


def _message(error: Exception) -> str:
    """What it says, without the topology and the whole answer that pymongo adds, or a document."""
    details = getattr(error, "details", None)
    text = details.get("errmsg") if isinstance(details, Mapping) else None
    said = str(error)
    for rest in (", Timeout:", " (configured timeouts", ", full error:"):
        said = said.partition(rest)[0]
    return _cut(str(text or said or type(error).__name__))


def _cut(text: str) -> str:
    return text.partition(" dup key:")[0]


# ---- operations: arguments to what is done with the collection -----------------------------------

Call = Callable[[Any], dict[str, Any]]


def _filter(arguments: JsonObject) -> Any:
    return filter_of(arguments.get("filter") or {})


def _order(arguments: JsonObject) -> list[tuple[str, Any]] | None:
    sort = arguments.get("sort")
    return list(numbers_of(sort, "sort").items()) if isinstance(sort, Mapping) and sort else None


def _projection(arguments: JsonObject) -> Any:
    projection = arguments.get("projection")
    return None if projection is None else numbers_of(projection, "projection")


def _number(arguments: JsonObject, key: str, default: int) -> int:
    value = arguments.get(key)
    return value if isinstance(value, int) else default


def _find(arguments: JsonObject) -> Call:
    condition, projection, order = _filter(arguments), _projection(arguments), _order(arguments)
    skip, limit, most = (
        _number(arguments, key, default) for key, default in (("skip", 0), ("limit", 0), ("max_documents", 1000))
    )
    limit = min(limit, most + 1) if limit else most + 1

    def call(collection: Any) -> dict[str, Any]:
        cursor = collection.find(condition, projection, skip=skip, limit=limit, sort=order, batch_size=FETCH)
        with cursor:
            return _kept(cursor, most)

    return call


def _find_one(arguments: JsonObject) -> Call:
    condition, projection, order = _filter(arguments), _projection(arguments), _order(arguments)
    skip = _number(arguments, "skip", 0)

    def call(collection: Any) -> dict[str, Any]:
        found = collection.find_one(condition, projection, sort=order, skip=skip)
        return {"document": None if found is None else from_bson(found), "count": 0 if found is None else 1}

    return call


def _count(arguments: JsonObject) -> Call:
    condition = _filter(arguments)
    return lambda collection: {"count": collection.count_documents(condition)}


def _aggregate(arguments: JsonObject) -> Call:
    stages, most = pipeline_of(arguments["pipeline"]), _number(arguments, "max_documents", 1000)

    def call(collection: Any) -> dict[str, Any]:
        with collection.aggregate(stages, batchSize=FETCH) as cursor:
            return _kept(cursor, most)

    return call


def _kept(cursor: Any, most: int) -> dict[str, Any]:
    kept = Kept(most)
    for document in cursor:
        kept.add(from_bson(document))
        if kept.full:
            break
    note = kept.note("documents", "max_documents")
    return {"documents": kept.rows, "count": kept.count, "truncated": kept.truncated, "note": note}


def _insert(arguments: JsonObject) -> Call:
    key = "document" if arguments.get("document") is not None else "documents"
    documents = documents_of(arguments[key], key)

    def call(collection: Any) -> dict[str, Any]:
        ids = collection.insert_many(documents).inserted_ids
        kept = Kept(len(ids))
        for one in ids:
            kept.add(from_bson(one))
        return {"inserted": len(ids), "inserted_ids": kept.rows, "truncated": kept.truncated}

    return call


def _update(arguments: JsonObject) -> Call:
    condition, change = _filter(arguments), update_of(arguments["update"])
    many, upsert = arguments.get("many") is True, arguments.get("upsert") is True

    def call(collection: Any) -> dict[str, Any]:
        done = (collection.update_many if many else collection.update_one)(condition, change, upsert=upsert)
        made = None if done.upserted_id is None else from_bson(done.upserted_id)
        return {"matched": done.matched_count, "modified": done.modified_count, "upserted_id": made}

    return call


def _delete(arguments: JsonObject) -> Call:
    condition, many = _filter(arguments), arguments.get("many") is True
    return lambda collection: {
        "deleted": (collection.delete_many if many else collection.delete_one)(condition).deleted_count
    }


_OPERATIONS: Mapping[str, Callable[[JsonObject], Call]] = {
    "find": _find,
    "find_one": _find_one,
    "count": _count,
    "aggregate": _aggregate,
    "insert": _insert,
    "update": _update,
    "delete": _delete,
}


def from_bson(value: Any) -> Json:
    """A value of MongoDB as JSON: ids and exact numbers as text, moments in ISO 8601, bytes marked."""
    if isinstance(value, Mapping):
        return {str(name): from_bson(item) for name, item in value.items()}
    if isinstance(value, list):
        return [from_bson(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if type(value).__name__ == "Regex":
        return {"regex": str(value.pattern)}
    return as_json(value)
