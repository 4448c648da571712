"""Configurations over REST."""

from __future__ import annotations

import pytest

from gnomon.core.records import Source, SourceKind
from gnomon.operations.configurations import save_configuration
from tests.unit.web.calling import Caller, World

FILE = "/etc/gnomon/jobs.d/shared.yaml"
BODY = {"type": "http", "arguments": {"url": "http://127.0.0.1/"}}


def names(document: dict[str, list[dict[str, str]]]) -> list[str]:
    return [item["name"] for item in document["items"]]


@pytest.fixture
def used(world: World, author: Caller) -> World:
    """`api` with a job that uses it, `old` that nobody uses, `filed` of a file."""
    author.put("/configurations/api", BODY)
    author.put("/configurations/old", {"arguments": {"cwd": "/tmp"}})
    save_configuration(world.desk, "filed", None, {}, Source(SourceKind.FILE, FILE))
    world.job("ping", task={"use": "api"})
    return world


def test_one_is_saved_read_changed_and_deleted(author: Caller, viewer: Caller) -> None:
    made = author.ask("PUT", "/configurations/team%2Fapi", BODY)
    assert made.json()["version"] == 1
    assert made.headers["etag"] == viewer.tag("/configurations/team%2Fapi")
    assert author.put("/configurations/team%2Fapi", BODY)["version"] == 1, "the same again is no new version"
    changed = author.put("/configurations/team%2Fapi", {"type": "api", "arguments": {"url": "http://127.0.0.1/2"}})
    assert (changed["name"], changed["version"], changed["type"]) == ("team/api", 2, "http")
    kept = viewer.get("/configurations/team%2Fapi/versions")
    assert [(item["version"], item["actor"]) for item in kept["items"]] == [(2, "rest:a-author"), (1, "rest:a-author")]
    assert viewer.get("/configurations/team%2Fapi/versions/1")["arguments"] == BODY["arguments"]
    author.delete("/configurations/team%2Fapi")
    viewer.refused("GET", "/configurations/team%2Fapi", 404, "configuration_not_found")


def test_a_stale_edit_is_refused(author: Caller, used: World) -> None:
    old = author.tag("/configurations/api")
    author.put("/configurations/api", {"type": "http", "arguments": {"url": "http://127.0.0.1/2"}}, match=old)
    author.put("/configurations/api", BODY, 412, match=old)
    author.put("/configurations/new", BODY, 412, match=old)
    author.refused("GET", "/configurations/new", 404, "configuration_not_found")
    unused = author.tag("/configurations/old")
    author.put("/configurations/old", BODY)
    author.delete("/configurations/old", 412, match=unused)
    author.delete("/configurations/old", match=author.tag("/configurations/old"))


def test_a_new_user_is_no_edit(author: Caller, used: World) -> None:
    before = author.tag("/configurations/old")
    used.job("pong", task={"type": "command", "command": ["true"], "use": "old"})
    assert author.get("/configurations/old")["used_by"] == ["pong"]
    assert author.tag("/configurations/old") == before


def test_refusals(author: Caller, operator: Caller, used: World) -> None:
    author.refused("DELETE", "/configurations/api", 409, "configuration_in_use")
    for method, body in (("PUT", BODY), ("DELETE", None)):
        told = author.refused(method, "/configurations/filed", 409, "configuration_owned_by_file", body)
        assert FILE in told["detail"]
        operator.refused(method, "/configurations/api", 403, "forbidden", body)
    author.refused("DELETE", "/configurations/none", 404, "configuration_not_found")
    author.refused("GET", "/configurations/none/versions", 404, "configuration_not_found")
    author.refused("GET", "/configurations/api/versions/7", 404, "configuration_version_not_found")
    author.refused("GET", "/configurations/api/versions/x", 422, "bad_value")
    author.refused("PUT", "/configurations/a b", 422, "bad_name", BODY)
    author.refused("PUT", "/configurations/x", 422, "missing_key", {"type": "http"})
    author.refused("PUT", "/configurations/x", 422, "task_type_unknown", {"type": "htp", "arguments": {}})
    told = author.refused("PUT", "/configurations/x", 422, "unknown_key", {"type": "http", "arguments": {"ulr": "x"}})
    assert told["errors"][0]["key"] == "arguments.ulr"
    author.refused("PUT", "/configurations/x", 422, "unknown_key", {**BODY, "nmae": "x"})
    author.refused("PUT", "/configurations/api", 422, "configuration_breaks_jobs", {"type": "http", "arguments": {}})


def test_lists(viewer: Caller, used: World) -> None:
    first = viewer.get("/configurations?limit=2")
    assert names(first) == ["api", "filed"]
    assert names(viewer.get(f"/configurations?cursor={first['next']}")) == ["old"]
    assert viewer.get("/configurations")["items"][0]["used_by"] == ["ping"]
    first = viewer.get("/configurations?unused=true&limit=1")
    assert names(first) == ["filed"]
    assert names(viewer.get(f"/configurations?unused=true&cursor={first['next']}")) == ["old"]
    assert names(viewer.get("/configurations?type=api")) == ["api"]
    assert names(viewer.get("/configurations?q=used:no+ol")) == ["old"]
    viewer.refused("GET", "/configurations?used=no", 422, "unknown_parameter")


def test_unused_ones_are_deleted_and_those_of_files_are_kept(author: Caller, operator: Caller, used: World) -> None:
    operator.refused("POST", "/configurations/delete", 403, "forbidden", {"unused": True})
    told = author.post("/configurations/delete", {"unused": True, "dry_run": True})
    assert told["deleted"] == ["old"]
    assert FILE in told["kept"][0]["reason"]
    assert len(author.get("/configurations")["items"]) == 3
    told = author.post("/configurations/delete", {"names": ["api", "none", "old"]})
    assert told["deleted"] == ["old"]
    assert [kept["id"] for kept in told["kept"]] == ["api", "none"]
    assert "ping" in told["kept"][0]["reason"]
    assert author.post("/configurations/delete", {"unused": True})["deleted"] == []
    assert names(author.get("/configurations")) == ["api", "filed"]
    author.refused("POST", "/configurations/delete", 422, "nothing_named", {})
    author.refused("POST", "/configurations/delete", 422, "nothing_named", {"names": ["api"], "unused": True})
