"""`gnomon token`, `gnomon user`, `gnomon audit`."""

from __future__ import annotations

from pathlib import Path

from gnomon.app import Parts
from gnomon.core.access import Role, parse_token
from gnomon.operations.access import authenticate

from .conftest import Gnomon


def test_a_token_from_the_outside(parts: Parts, gnomon: Gnomon) -> None:
    made = gnomon("token", "create", "--role", "admin", "--name", "root")
    assert str(parse_token(made.out.strip())) + "\n" == made.out
    assert "shown this once" in made.err
    assert authenticate(parts.desk(), made.out).role is Role.ADMIN
    other = gnomon("token", "create", "--role", "viewer", "--name", "ci", "--expires", "90d", "--json").json
    assert authenticate(parts.desk(), other["token"]).token_id == other["id"]
    listed = gnomon("token", "list", "--json").json
    assert [(item["name"], item["state"]) for item in listed] == [("ci", "active"), ("root", "active")]
    shown = gnomon("token", "show", other["id"], "--json").json
    assert {**shown, "last_used_at": None} == {**listed[0], "last_used_at": None}, "its use is noted a little later"
    text = gnomon("token", "list").out
    assert "root" in text
    assert other["token"][-20:] not in text + gnomon("token", "show", "ci").out + gnomon("audit", "--json").out
    assert "revoked" in gnomon("token", "revoke", other["token"]).out
    assert gnomon("token", "show", "ci", "--json").json["state"] == "revoked"
    assert gnomon("token", "delete", "ci", code=2).err.splitlines()[0].endswith("[not_confirmed]")
    assert gnomon("token", "delete", "ci", "--yes", "--json").json == {"deleted": ["ci"], "kept": []}
    assert gnomon("token", "revoke", "root", "--json", code=2).errors[0]["code"] == "last_admin"


def test_mistakes_about_tokens(parts: Parts, gnomon: Gnomon) -> None:
    create = ("token", "create", "--name", "a", "--json")
    assert gnomon(*create, "--role", "root", code=2).errors[0]["code"] == "command_line"
    wrong = gnomon(*create, "--role", "viewer", "--expires", "soon", code=2).errors[0]
    assert (wrong["code"], wrong["key"]) == ("duration_invalid", "--expires")
    assert gnomon(*create, "--role", "viewer", "--expires", "0s", code=2).errors[0]["code"] == "expiry_past"
    assert gnomon(*create, "--role", "viewer", "--user", "ann", code=2).errors[0]["code"] == "user_not_found"
    assert gnomon("token", "show", "a", "--json", code=2).errors[0]["code"] == "token_not_found"


def test_a_user_from_the_outside(parts: Parts, gnomon: Gnomon) -> None:
    assert gnomon("user", "create", "ann", "--role", "author", "--json").json["tokens"] == []
    text = gnomon("token", "create", "--role", "admin", "--name", "ann-1", "--user", "ann").out
    assert authenticate(parts.desk(), text).role is Role.AUTHOR
    assert "author (user)" in gnomon("token", "list").out
    assert gnomon("user", "set-role", "ann", "--role", "viewer", "--json").json["role"] == "viewer"
    assert authenticate(parts.desk(), text).role is Role.VIEWER
    assert gnomon("user", "disable", "ann", "--json").json["disabled"] is True
    assert "disabled" in gnomon("user", "list").out
    assert "active" in gnomon("user", "enable", "ann").out
    assert [item["tokens"] for item in gnomon("user", "list", "--json").json] == [["ann-1"]]
    assert gnomon("user", "delete", "ann", code=2).err.startswith("error: delete the user 'ann' with the tokens ann-1")
    assert gnomon("user", "delete", "ann", "--yes").out == "ann is deleted\n"
    assert gnomon("token", "list", "--json").json == []
    assert gnomon("user", "disable", "ann", "--json", code=2).errors[0]["code"] == "user_not_found"


def test_the_audit_from_the_outside(parts: Parts, gnomon: Gnomon) -> None:
    gnomon("jobs", "pause", "clock", "--reason", "rain")
    gnomon("jobs", "resume", "clock")
    gnomon("token", "create", "--role", "viewer", "--name", "ci")
    all_ = gnomon("audit", "--json").json
    assert [one["action"] for one in all_[:3]] == ["token.create", "job.resume", "job.pause"]
    assert all_[2]["actor"].startswith("cli:")
    assert (all_[2]["before"], all_[2]["after"]["reason"]) == ({"paused": False, "reason": None}, "rain")
    found = gnomon("audit", "--actor", "cli", "--action", "job", "--object", "clock", "--limit", "2", "--json").json
    assert found == all_[1:3]
    assert gnomon("audit", "-q", "action:token since:1h", "--json").json == all_[:1]
    assert gnomon("audit", "--until", "-1h", "--json").json == []
    first = gnomon("audit", "--limit", "1", "--json")
    cursor = first.err.split("--cursor ")[1].strip()
    assert gnomon("audit", "--limit", "1", "--cursor", cursor, "--json").json == all_[1:2]
    assert "paused: no → yes, reason: – → rain" in gnomon("audit", "--action", "job.pause").out


def test_before_there_is_a_database(place: Path, gnomon: Gnomon) -> None:
    for words in (("token", "list"), ("user", "list"), ("audit",)):
        assert gnomon(*words, "--json").json == []
    assert not (place / "g.db").exists()
    assert gnomon("token", "show", "x", "--json", code=2).errors[0]["code"] == "database_missing"
    gnomon("token", "create", "--role", "admin", "--name", "root")
    assert (place / "g.db").exists()
