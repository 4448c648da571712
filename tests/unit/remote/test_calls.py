"""Every method of the clients against the OpenAPI document: path, method, parameters, answer."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from gnomon.core.records import Page
from gnomon.remote import calls as _calls  # noqa: F401 (its modules are looked up below)
from gnomon.remote.calls.call import Call, Followed, Listed
from gnomon.remote.interface import Follower, Interface, Lister, Method
from tests.support import answers

RENAMED = {("backfill_job", "since"): "from"}
OUTSIDE = {"get_health"}
"""What is asked outside of the API."""
FREE = {"create_job": "definition", "put_job": "definition"}
"""Arguments that are the body as a whole."""


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    return answers.openapi()


def methods() -> dict[str, Any]:
    kinds = (Method, Lister, Follower)
    return {name: one.make for name, one in vars(Interface).items() if isinstance(one, kinds)}


def operations(openapi: dict[str, Any]) -> dict[str, tuple[str, str, dict[str, Any]]]:
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, some in openapi["paths"].items()
        for method, operation in some.items()
    }


def value_of(name: str, annotation: Any) -> Any:
    """A value that shows in the request, and tells whose it is."""
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    if bool in options:
        return True
    if int in options:
        return 7
    if any(get_origin(o) is Mapping for o in options):
        return {"key": name}
    if any(get_origin(o) is not None and "Sequence" in str(o) for o in options) and str not in options:
        return [name]
    return name


def called(make: Any, *, dry: bool = False) -> tuple[Call[Any], dict[str, Any]]:
    hints = get_type_hints(make)
    names = inspect.signature(make).parameters
    given = {name: value_of(name, hints[name]) for name in names}
    if "dry_run" in given:
        given["dry_run"] = dry
    made = make(**given)
    if isinstance(made, Listed):
        return made.first, given
    return (made.call if isinstance(made, Followed) else made), given


def test_every_operation_has_exactly_one_method(openapi: dict[str, Any]) -> None:
    asked = [called(make)[0].operation for make in methods().values()]
    assert sorted(asked) == sorted({*operations(openapi), *OUTSIDE})
    assert [name for name, make in methods().items() if name != make.__name__] == []
    assert [n for n, make in methods().items() if called(make)[0].operation != n] == []


@pytest.mark.parametrize("name", sorted(methods().keys() - OUTSIDE))
def test_a_method_asks_what_the_document_says(name: str, openapi: dict[str, Any]) -> None:
    method, path, operation = operations(openapi)[name]
    make = methods()[name]
    call, given = called(make, dry=True)
    assert (call.method, call.path) == (method, path)
    parameters = {(p["in"], p["name"].lower()) for p in operation.get("parameters", ())}
    assert {n for place, n in parameters if place == "path"} == set(re.findall(r"{(\w+)}", path)) == call.names.keys()
    queries = {n for place, n in parameters if place == "query"} - {"cursor"}
    assert call.query.keys() == queries
    assert [key for key, value in call.query.items() if value in (None, (), [])] == []
    headers = {n for place, n in parameters if place == "header"}
    keyed = called(make)[0].keyed
    assert {h.lower() for h in call.headers} | ({"idempotency-key"} if keyed else set()) == headers
    assert isinstance(make(**given), Listed) == (name.startswith("list_")), "lists are lists"


@pytest.mark.parametrize("name", sorted(methods().keys() - OUTSIDE))
def test_a_body_has_the_keys_of_its_model(name: str, openapi: dict[str, Any]) -> None:
    operation = operations(openapi)[name][2]
    call, given = called(methods()[name], dry=True)
    said = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if said is None:
        assert call.body is None
        return
    if name in FREE:
        assert call.body == given[FREE[name]]
        return
    options = [one for one in said.get("anyOf", [said]) if "$ref" in one]
    model = openapi["components"]["schemas"][options[0]["$ref"].rpartition("/")[2]]
    assert call.body is not None
    assert call.body.keys() == model["properties"].keys()
    for argument, value in given.items():
        key = RENAMED.get((name, argument), argument)
        if key in call.body:
            assert call.body[key] in (value, [value]), argument


@pytest.mark.parametrize("name", sorted(methods().keys() - OUTSIDE))
def test_an_answer_has_the_type_of_its_model(name: str, openapi: dict[str, Any]) -> None:
    operation = operations(openapi)[name][2]
    said = next(r for status, r in operation["responses"].items() if status.startswith("2"))
    schema = said.get("content", {}).get("application/json", {}).get("schema", {})
    returned = get_type_hints(methods()[name])["return"]
    model = str(schema.get("$ref", "")).rpartition("/")[2]
    if returned is Followed or name == "get_run_log":
        assert "application/json" not in said["content"]
    elif get_origin(returned) is Listed:
        items = openapi["components"]["schemas"][model]["properties"]["items"]
        assert answers.python(items) == f"list[{get_args(returned)[0].__name__}]"
    elif name == "get_openapi":
        assert model == "Document"
    else:
        assert getattr(get_args(returned)[0], "__name__", None) == (model or "NoneType")


def test_the_types_of_answers_are_those_of_the_document() -> None:
    for path, wanted in answers.texts().items():
        assert path.read_text("utf-8") == wanted, "run `python -m tests.support.answers`"


def test_what_may_be_sent_twice() -> None:
    """Reads, what has a key, and what is the same when done twice; nothing else."""
    once = {name for name, make in methods().items() if not (c := called(make)[0]).keyed and not c.repeatable}
    assert once == {
        *("cancel_flow", "cancel_run", "change_user", "create_token", "create_user", "delete_configuration"),
        *("delete_configurations", "delete_job", "delete_jobs", "delete_run", "delete_runs", "delete_schedule"),
        *("delete_schedules", "delete_token", "delete_user", "pause_jobs", "put_configuration", "put_job"),
        *("put_schedule", "resume_jobs", "revoke_token", "sign_in", "sign_out", "skip_run"),
    }
    assert all(called(make, dry=True)[0].repeatable for name, make in methods().items() if name == "delete_jobs")
    plain = methods()["put_job"]("a", {})
    assert plain.repeatable, "without If-Match it is the same twice"


def test_a_name_with_a_slash_is_one_part_of_a_path() -> None:
    assert methods()["get_job"]("etl/night ly").target == "/api/v1/jobs/etl%2Fnight%20ly"
    made = methods()["list_runs"](state=["failed", "lost"], q="a b&c", limit=3).first
    assert made.target == "/api/v1/runs?q=a+b%26c&state=failed&state=lost&limit=3"


def test_pages_are_pages() -> None:
    listed = methods()["list_jobs"](limit=2)
    assert listed.at(None).query["limit"] == 2
    assert listed.at("abc").query["cursor"] == "abc"
    assert Page(()).next is None
