"""The task type `mongo`: arguments, operations on a server that speaks the protocol, refusals by a scripted one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.values import Json
from gnomon.tasks.mongo import MARK, MONGO
from tests.support.mongo import nx, scripted
from tests.support.working import attempt, failure, problems

CANARY = "canary-5be02a"
BASE: dict[str, Json] = {"url": "mongodb://127.0.0.1/shop", "collection": "orders"}


@pytest.fixture(params=["nx-27017", "MONGO_TEST_URI"])
def base(request: pytest.FixtureRequest) -> Iterator[dict[str, Json]]:
    """Where the collection `orders` is, empty."""
    if request.param == "MONGO_TEST_URI":
        if "MONGO_TEST_URI" not in os.environ:
            pytest.skip("MONGO_TEST_URI is not set: not tried on a real MongoDB")
        url = os.environ["MONGO_TEST_URI"]
    else:
        url = nx().url
    base: dict[str, Json] = {"url": url, "database": "gnomon_tests", "collection": "orders"}
    attempt(MONGO, {**base, "operation": "delete", "filter": {}, "many": True})
    yield base
    attempt(MONGO, {**base, "operation": "delete", "filter": {}, "many": True})


# ---- arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "key"),
    [
        ({"operation": "find"}, "missing_key", "url"),
        ({"url": "localhost", "collection": "c", "operation": "find"}, "bad_value", "url"),
        ({"url": "mongodb://h", "operation": "find"}, "missing_key", "collection"),
        ({**BASE, "operation": "findd"}, "unknown_value", "operation"),
        ({**BASE, "operation": "${x}"}, "unknown_value", "operation"),
        ({**BASE, "operation": "find", "fliter": {}}, "unknown_key", "fliter"),
        ({**BASE, "operation": "find", "pipeline": []}, "misplaced_key", "pipeline"),
        ({**BASE, "operation": "find", "filter": "x"}, "bad_type", "filter"),
        ({**BASE, "operation": "find", "sort": [["a", 1]]}, "bad_type", "sort"),
        ({**BASE, "operation": "find", "sort": {"a": "desc"}}, "bad_value", "sort.a"),
        ({**BASE, "operation": "find", "sort": {"a": 1, "b": True}}, "bad_value", "sort.b"),
        ({**BASE, "operation": "delete"}, "missing_key", "filter"),
        ({**BASE, "operation": "update", "filter": {}}, "missing_key", "update"),
        ({**BASE, "operation": "update", "filter": {}, "update": {"a": 1}}, "bad_value", "update"),
        ({**BASE, "operation": "update", "filter": {}, "update": "${u}"}, "operator_refused", "update"),
        ({**BASE, "operation": "insert"}, "missing_key", "document"),
        ({**BASE, "operation": "aggregate", "pipeline": ["${s}"]}, "bad_type", "pipeline"),
        ({**BASE, "operation": "aggregate", "pipeline": "${s}"}, "operator_refused", "pipeline"),
        ({**BASE, "operation": "find", "filter": {"$where": "1"}}, "operator_refused", "filter.$where"),
        ({**BASE, "operation": "find", "allow": ["$eval"]}, "bad_value", "allow"),
        ({**BASE, "operation": "aggregate", "pipeline": [{"$out": "x"}]}, "operator_refused", "pipeline[0].$out"),
        (
            {**BASE, "operation": "aggregate", "pipeline": [{"$facet": {"a": [{"$merge": "x"}]}}]},
            "operator_refused",
            "pipeline[0].$facet.a[0].$merge",
        ),
        (
            {**BASE, "operation": "find", "filter": {"$expr": {"$function": {"body": "x"}}}},
            "operator_refused",
            "filter.$expr.$function",
        ),
        ({**BASE, "operation": "insert", "document": {"$gnomon.filled": 1}}, "reserved_name", "document"),
        (
            {**BASE, "operation": "find", "filter": {"a": {"$gnomon.filled": 1}}},
            "reserved_name",
            "filter.a.$gnomon.filled",
        ),
    ],
)
def test_a_mistake_is_told_with_its_key(arguments: dict[str, Json], code: str, key: str) -> None:
    assert (code, key) in [(p.code, p.key) for p in problems(MONGO, arguments)]


def test_what_is_refused_can_be_allowed() -> None:
    arguments = {**BASE, "operation": "aggregate", "pipeline": [{"$out": "x"}], "allow": ["$out"]}
    assert MONGO.validate(arguments)["allow"] == ["$out"]


def test_reading_job_files_does_not_load_pymongo() -> None:
    code = (
        "import sys\nfrom gnomon.tasks.mongo import MONGO\n"
        "MONGO.validate({'url': 'mongodb://h/d', 'collection': 'c', 'operation': 'find'})\n"
        "assert not {'pymongo', 'bson'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ---- operations --------------------------------------------------------------------------------


def test_insert_find_update_count_aggregate_delete(base: dict[str, Json]) -> None:
    documents: Json = [{"_id": n, "item": f"i{n}", "price": n * 1.5, "tags": ["a", n]} for n in range(5)]
    inserted = attempt(MONGO, {**base, "operation": "insert", "documents": "${d}"}, d=documents)
    assert inserted == {"inserted": 5, "inserted_ids": [0, 1, 2, 3, 4], "truncated": False}

    find: dict[str, Json] = {**base, "operation": "find", "filter": {"_id": {"$gte": "${least}"}}, "sort": {"_id": -1}}
    found = attempt(MONGO, {**find, "projection": {"item": 1}, "limit": 2}, least=1)
    assert found == {"documents": [{"_id": 4, "item": "i4"}, {"_id": 3, "item": "i3"}], "count": 2, "truncated": False}
    capped = attempt(MONGO, {**find, "max_documents": 3}, least=0)
    assert (capped["count"], len(capped["documents"]), capped["truncated"]) == (3, 3, True)
    one = attempt(MONGO, {**base, "operation": "find_one", "filter": {"item": "${item}"}}, item="i2")
    assert one["document"]["_id"] == 2
    assert attempt(MONGO, {**base, "operation": "find_one", "filter": {"item": "none"}})["document"] is None

    update: dict[str, Json] = {
        **base,
        "operation": "update",
        "filter": {"_id": {"$lt": 2}},
        "update": {"$set": {"x": "${x}"}},
    }
    assert attempt(MONGO, {**update, "many": True}, x="$item") == {"matched": 2, "modified": 2, "upserted_id": None}
    made = attempt(MONGO, {**update, "filter": {"_id": 77}, "upsert": True}, x=1)
    assert (made["matched"], made["upserted_id"]) == (0, 77)
    assert attempt(MONGO, {**base, "operation": "count", "filter": {"x": "$item"}}) == {"count": 2}

    pipeline: Json = [{"$match": {"_id": "${id}"}}, {"$addFields": {"echo": "${text}", "own": "$item"}}]
    (row,) = attempt(MONGO, {**base, "operation": "aggregate", "pipeline": pipeline}, id=3, text="$price")["documents"]
    assert (row["echo"], row["own"]) == ("$price", "i3")

    assert attempt(MONGO, {**base, "operation": "delete", "filter": {"_id": 4}}) == {"deleted": 1}
    assert attempt(MONGO, {**base, "operation": "delete", "filter": {}, "many": True}) == {"deleted": 5}


def test_bson_becomes_json(base: dict[str, Json]) -> None:
    document: dict[str, Json] = {
        "at": {"$date": "2026-12-01T10:00:00+02:00"},
        "big": 2**40,
        "nested": {"list": [None, True]},
    }
    inserted = attempt(MONGO, {**base, "operation": "insert", "document": document})
    (made,) = inserted["inserted_ids"]
    assert len(made) == 24
    find: dict[str, Json] = {**base, "operation": "find_one", "filter": {"_id": {"$oid": "${id}"}}}
    found = attempt(MONGO, find, id=made)["document"]
    assert found.pop("_id") == made
    assert found == {"at": "2026-12-01T08:00:00Z", "big": 2**40, "nested": {"list": [None, True]}}
    assert failure(MONGO, find, id="no-id").task_code == "bad_arguments"


def test_all_types_of_bson() -> None:
    from datetime import UTC, datetime
    from uuid import UUID

    import bson

    from gnomon.tasks.mongo_performing import from_bson

    text = "b3b7c6e2-6c0f-4b52-9d3a-3f6a4a1f3c11"
    document = {
        "id": bson.ObjectId("6b01b925e1bf9b1d3d5fcfd1"),
        "dec": bson.Decimal128("1.20"),
        "bin": bson.Binary(b"\0\xff"),
        "long": bson.Int64(5),
        "u": UUID(text),
        "re": bson.Regex("^a"),
        "nan": float("nan"),
        "code": bson.Code("x"),
        "at": datetime(2026, 12, 1, tzinfo=UTC),
    }
    assert from_bson(document) == {
        "id": "6b01b925e1bf9b1d3d5fcfd1",
        "dec": "1.20",
        "bin": {"base64": "AP8="},
        "long": 5,
        "u": text,
        "re": {"regex": "^a"},
        "nan": None,
        "code": "x",
        "at": "2026-12-01T00:00:00Z",
    }


# ---- values from outside are data --------------------------------------------------------------

EVIL: Json = {"$gt": ""}


def asked(operation: str, **keys: Any) -> dict[str, Any]:
    """What arrives at a server."""
    evil = keys.pop("evil", EVIL)
    cursor = {"ok": 1.0, "cursor": {"id": 0, "ns": "shop.orders", "firstBatch": []}, "n": 0, "nModified": 0}
    with scripted(find=cursor, aggregate=cursor, update=cursor, delete=cursor) as server:
        attempt(MONGO, {**BASE, "url": server.url, "operation": operation, **keys}, evil=evil)
    (command,) = server.asked
    return command


def test_a_map_in_a_filter_is_compared_not_obeyed() -> None:
    assert asked("find", filter={"password": "${evil}"})["filter"] == {"password": {"$eq": EVIL}}
    assert asked("find", filter={"a": {"$ne": "${evil}"}})["filter"] == {"a": {"$ne": EVIL}}
    assert asked("find", filter={"a": {"b": "${evil}"}})["filter"] == {"a": {"b": EVIL}}
    assert asked("find", filter={"$and": [{"a": "${evil}"}]})["filter"] == {"$and": [{"a": {"$eq": EVIL}}]}
    assert asked("find", filter={"a": "${evil}"}, evil=["x"])["filter"] == {"a": {"$eq": ["x"]}}
    assert asked("find", filter="${evil}", evil={"a": ["x"], "b": 1})["filter"] == {"a": {"$eq": ["x"]}, "b": 1}


@pytest.mark.parametrize(
    "keys",
    [
        {"filter": "${evil}"},
        {"filter": {"$or": "${evil}"}},
        {"filter": {"$or": ["${evil}"]}},
        {"filter": {"$expr": {"$eq": [1, 1]}, "a": {"$not": "${evil}"}}},
        {"filter": {"a": {"$elemMatch": "${evil}"}}},
        {"filter": {"a": {"$in": ["${evil}"]}}},
        {"filter": {"$where": "${evil}"}, "allow": ["$where"]},
        {"filter": {}, "projection": {"a": "${evil}"}},
        {"filter": {}, "sort": {"a": "${evil}"}},
    ],
)
def test_an_operator_from_outside_is_refused(keys: dict[str, Json]) -> None:
    error = failure(MONGO, {**BASE, "operation": "find", **keys}, evil=EVIL)
    assert error.task_code == "operator_refused"


@pytest.mark.parametrize("operator", ["$set", "$push", "$pull", "$addToSet"])
def test_an_operator_from_outside_within_an_update_is_refused(operator: str) -> None:
    keys: dict[str, Json] = {"filter": {}, "update": {operator: {"a": "${evil}"}}}
    evil: Json = {"score": {"$gte": 0}}
    assert failure(MONGO, {**BASE, "operation": "update", **keys}, evil=evil).task_code == "operator_refused"


def test_lists_for_all_hold_no_operators() -> None:
    keys: dict[str, Json] = {"filter": {"a": {"$all": "${evil}"}}}
    error = failure(MONGO, {**BASE, "operation": "find", **keys}, evil=[{"$elemMatch": {}}])
    assert error.task_code == "operator_refused"


def test_expressions_take_values_literally() -> None:
    def stages(value: Json, *pipeline: Json) -> Any:
        return asked("aggregate", pipeline=list(pipeline), evil=value)["pipeline"]

    assert stages("$secret", {"$set": {"a": "${evil}"}}) == [{"$set": {"a": {"$literal": "$secret"}}}]
    assert stages(EVIL, {"$set": {"a": "${evil}"}}) == [{"$set": {"a": {"$literal": EVIL}}}]
    assert stages(["$x"], {"$set": {"a": "${evil}"}}) == [{"$set": {"a": {"$literal": ["$x"]}}}]
    assert stages("$x", {"$set": {"a": {"$literal": "${evil}"}}}) == [{"$set": {"a": {"$literal": "$x"}}}]
    assert stages(7, {"$limit": "${evil}"}) == [{"$limit": 7}]
    assert stages(EVIL, {"$match": {"a": "${evil}"}}) == [{"$match": {"a": {"$eq": EVIL}}}]
    inner: Json = [{"$match": {"$expr": {"$eq": ["$a", "${evil}"]}}}]
    looked: Any = stages("$$ROOT", {"$lookup": {"from": "b", "pipeline": inner, "as": "c"}})
    assert looked[0]["$lookup"]["pipeline"] == [{"$match": {"$expr": {"$eq": ["$a", {"$literal": "$$ROOT"}]}}}]


def test_a_reference_within_a_longer_text_is_data_as_a_whole() -> None:
    assert asked("aggregate", pipeline=[{"$set": {"a": "$x.${evil}"}}], evil="y")["pipeline"] == [
        {"$set": {"a": {"$literal": "$x.y"}}}
    ]


def test_code_never_comes_from_a_reference() -> None:
    function: Json = {"body": "${evil}", "args": [], "lang": "js"}
    arguments = {
        **BASE,
        "operation": "aggregate",
        "pipeline": [{"$set": {"a": {"$function": function}}}],
        "allow": ["$function"],
    }
    assert failure(MONGO, arguments, evil="return 1").task_code == "operator_refused"


NAMES = st.text(max_size=4) | st.sampled_from(["$gt", "$where", "$gnomon.filled", "$each"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    ["$password", "$$ROOT", "'; return true; //", "${x}", "$${", "env:HOME", "a.b", "literal:x"]
)
NESTED = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@given(NESTED)
def test_whatever_a_value_is_no_operator_of_it_is_obeyed(value: Json) -> None:
    """Without a server: what pymongo would be given."""
    from gnomon.tasks.mongo_building import document_of, expression, filter_of

    mark: Json = {MARK: value}
    assert filter_of({"a": mark}) == {"a": {"$eq": value} if isinstance(value, dict | list) else value}
    assert document_of({"a": [mark]}, "document") == {"a": [value]}
    made = expression(mark, "x")
    assert made == ({"$literal": value} if speaks(value) else value)


def speaks(value: Json) -> bool:
    """Whether an aggregation would see a field, an operator or a document in it."""
    if isinstance(value, list):
        return any(speaks(item) for item in value)
    return isinstance(value, dict) or str(value).startswith("$")


@settings(max_examples=25)
@given(TEXTS)
def test_texts_make_the_round_trip(value: str) -> None:
    base: dict[str, Json] = {"url": nx().url, "collection": "round"}
    attempt(MONGO, {**base, "operation": "insert", "document": {"v": "${v}", "nested": {"v": ["${v}"]}}}, v=value)
    found = attempt(MONGO, {**base, "operation": "find_one", "filter": {"v": "${v}"}}, v=value)["document"]
    attempt(MONGO, {**base, "operation": "delete", "filter": {}, "many": True})
    assert (found["v"], found["nested"]) == (value, {"v": [value]})
