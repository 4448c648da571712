"""Sessions, tokens, users and the audit over REST."""

from __future__ import annotations

from gnomon.core.access import Role
from tests.unit.web.calling import Caller, World


def test_a_browser_signs_in_and_out(world: World, stranger: Caller) -> None:
    answer = stranger.ask("POST", "/session", {"token": world.tokens[Role.OPERATOR]})
    assert answer.status_code == 201
    assert (answer.json()["name"], answer.json()["role"]) == ("a-operator", "operator")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert world.tokens[Role.OPERATOR] not in answer.text + cookie
    said = {"Cookie": cookie.partition(";")[0], "Sec-Fetch-Site": "same-origin"}
    assert stranger.ask("GET", "/session", headers=said).json()["name"] == "a-operator"
    assert stranger.ask("POST", "/jobs/none/pause", headers=said).status_code == 404, "an operator may"
    assert stranger.ask("DELETE", "/jobs/none", headers=said).status_code == 403, "… not more"
    assert stranger.ask("DELETE", "/session", headers=said).status_code == 204
    assert stranger.ask("GET", "/session", headers=said).status_code == 401, "the session is over on the server"
    stranger.refused("POST", "/session", 401, "token_malformed", {"token": "x"})
    stranger.refused("POST", "/session", 422, "missing_key", {})


def test_a_session_is_never_the_one_that_came(world: World, stranger: Caller) -> None:
    chosen = {"Cookie": "gnomon_session=" + "0" * 52, "Sec-Fetch-Site": "same-origin"}
    first = stranger.ask("POST", "/session", {"token": world.tokens[Role.VIEWER]}, chosen)
    assert "0" * 52 not in first.headers["set-cookie"]
    assert stranger.ask("GET", "/session", headers=chosen).status_code == 401
    old = {"Cookie": first.headers["set-cookie"].partition(";")[0], "Sec-Fetch-Site": "same-origin"}
    assert stranger.ask("GET", "/session", headers=old).status_code == 200
    refused = stranger.ask("POST", "/session", {"token": "x"}, old)
    assert (refused.status_code, "set-cookie" in refused.headers) == (401, False)
    assert stranger.ask("GET", "/session", headers=old).status_code == 200, "a mistake signs nobody out"
    second = stranger.ask("POST", "/session", {"token": world.tokens[Role.ADMIN]}, old)
    assert second.status_code == 201
    assert stranger.ask("GET", "/session", headers=old).status_code == 401, "the one before is over"


def test_tokens_are_made_used_and_revoked(world: World, admin: Caller) -> None:
    made = admin.post("/tokens", {"name": "grafana", "role": "viewer", "expires": "90d"}, 201)
    assert made["expires_at"] is not None
    reader = Caller(world, made["token"])
    assert reader.get("/session")["role"] == "viewer"
    listed = admin.get("/tokens")["items"]
    assert [token["name"] for token in listed if token["role"] == "viewer"] == ["a-viewer", "grafana"]
    assert made["token"] not in str(listed)
    assert admin.post("/tokens/grafana/revoke")["revoked_at"] is not None
    reader.refused("GET", "/session", 401, "token_revoked")
    admin.delete("/tokens/grafana")
    admin.refused("GET", "/tokens/grafana", 404, "token_not_found")
    admin.refused("POST", "/tokens", 422, "role_unknown", {"name": "x", "role": "root"})
    admin.refused("POST", "/tokens", 409, "token_exists", {"name": "a-viewer", "role": "viewer"})
    admin.refused("POST", "/tokens", 422, "expiry_past", {"name": "x", "role": "viewer", "expires": "2020-01-01"})


def test_users_bound_what_their_tokens_may(world: World, admin: Caller) -> None:
    admin.post("/users", {"name": "anna", "role": "author"}, 201)
    token = admin.post("/tokens", {"name": "anna-pc", "role": "admin", "user": "anna"}, 201)["token"]
    anna = Caller(world, token)
    assert anna.get("/session") == {"name": "anna-pc", "role": "author", "user": "anna", "expires_at": None}
    assert admin.ask("PATCH", "/users/anna", {"role": "viewer"}).json()["role"] == "viewer"
    anna.refused("POST", "/jobs/none/pause", 403, "forbidden")
    admin.ask("PATCH", "/users/anna", {"disabled": True})
    anna.refused("GET", "/session", 401, "user_disabled")
    admin.ask("PATCH", "/users/anna", {"disabled": False})
    assert anna.get("/session")["role"] == "viewer"
    assert admin.get("/users/anna")["tokens"] == ["anna-pc"]
    admin.delete("/users/anna")
    anna.refused("GET", "/session", 401, "token_invalid")
    assert admin.get("/users")["items"] == []


def test_the_audit_says_who_what_and_from_where(world: World, admin: Caller, operator: Caller) -> None:
    world.job("a")
    operator.post("/jobs/a/pause", {"reason": "holiday"})
    entries = admin.get("/audit?object=a")["items"]
    assert [(e["actor"], e["action"], e["address"]) for e in entries][:1] == [
        ("rest:a-operator", "job.pause", "127.0.0.1")
    ]
    assert admin.get("/audit?actor=rest:nobody")["items"] == []
    operator.refused("GET", "/audit", 403, "forbidden")
