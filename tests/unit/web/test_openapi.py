"""The OpenAPI document: complete, true, and stable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from jsonschema_rs import Draft202012Validator

from gnomon.jobfiles.fields import FIELDS
from gnomon.system.clock import SystemClock
from gnomon.web.application import document, interface
from gnomon.web.openapi import routes_of
from gnomon.web.problems import MEDIA_TYPE
from gnomon.web.service import Service

IDS = Path(__file__).with_name("operation_ids.txt")


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    app = interface(Service(desk=lambda actor, address: cast(Any, None), clock=SystemClock()))
    return document(app)


def operations(openapi: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_says_what_it_does(openapi: dict[str, Any]) -> None:
    described = {tag["name"] for tag in openapi["tags"]}
    for name, operation in operations(openapi):
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name
        assert described.issuperset(operation["tags"]), name
        for parameter in operation.get("parameters", ()):
            assert parameter["schema"].get("type") or "$ref" in parameter["schema"], (name, parameter["name"])


def test_operation_ids_stay(openapi: dict[str, Any]) -> None:
    found = [operation["operationId"] for _, operation in operations(openapi)]
    assert len(set(found)) == len(found)
    assert all(name.replace("_", "a").isalnum() and name == name.lower() for name in found)
    kept = IDS.read_text().split()
    assert set(kept) <= set(found), "an operation of a release is gone: clients call it by this name"
    assert sorted(found) == kept, f"new operations go into {IDS.name}, sorted"


def test_every_answer_has_an_example_that_is_one(openapi: dict[str, Any]) -> None:
    wrong = []
    for name, operation in operations(openapi):
        said = [answer for status, answer in operation["responses"].items() if status < "300"]
        assert len(said) == 1, name
        for content in said[0].get("content", {}).values():
            wrong += faults(openapi, name, content["schema"], content.get("example"))
    assert wrong == []


def test_examples_of_bodies_are_bodies(openapi: dict[str, Any]) -> None:
    wrong = []
    for name, operation in operations(openapi):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            schema = resolved(openapi, content["schema"])
            example = schema.get("example", content.get("example", (schema.get("examples") or [None])[0]))
            wrong += faults(openapi, name, content["schema"], example)
    assert wrong == []


def test_a_definition_has_every_key_of_a_job_file(openapi: dict[str, Any]) -> None:
    body = openapi["paths"]["/api/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert list(body["properties"]) == [field.name for field in FIELDS if not field.part_of]
    assert all(key.get("description") for key in body["properties"].values())


def test_refusals_are_problem_documents(openapi: dict[str, Any]) -> None:
    for name, operation in operations(openapi):
        assert {"401", "403", "422"} <= operation["responses"].keys(), name
        for status, answer in operation["responses"].items():
            if status >= "400":
                assert list(answer["content"]) == [MEDIA_TYPE], name
                assert answer["content"][MEDIA_TYPE]["schema"]["$ref"].endswith("/ProblemDocument"), name


def test_edits_that_may_be_stale_take_if_match(openapi: dict[str, Any]) -> None:
    put = openapi["paths"]["/api/v1/schedules/{schedule_id}"]["put"]
    assert "If-Match" in [parameter["name"] for parameter in put["parameters"]]
    assert "ETag" in openapi["paths"]["/api/v1/schedules/{schedule_id}"]["get"]["responses"]["200"]["headers"]


def test_every_route_is_in_the_document_and_names_its_permission(openapi: dict[str, Any]) -> None:
    app = interface(Service(desk=lambda actor, address: cast(Any, None), clock=SystemClock()))
    routes = [route for route in routes_of(app.routes) if route.include_in_schema]
    assert {route.operation_id for route in routes} == {op["operationId"] for _, op in operations(openapi)}
    for route in routes:
        asked = [inner for inner in route.dependant.dependencies if hasattr(inner.call, "permission")]
        assert len(asked) == (0 if route.operation_id == "sign_in" else 1), route.operation_id


def faults(openapi: dict[str, Any], name: str, schema: dict[str, Any], example: Any) -> list[str]:
    """What is wrong with an example, in words."""
    if example is None:
        return [f"{name}: no example"]
    validator = Draft202012Validator({**schema, "components": openapi["components"]})
    return [f"{name}: {error.message} at {error.instance_path}" for error in validator.iter_errors(example)]


def resolved(openapi: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema itself: behind its reference, and without null."""
    for inner in schema.get("anyOf", ()):
        if inner != {"type": "null"}:
            return resolved(openapi, inner)
    here: dict[str, Any] = openapi
    for part in schema["$ref"].removeprefix("#/").split("/") if "$ref" in schema else ():
        here = here[part]
    return here if "$ref" in schema else schema
