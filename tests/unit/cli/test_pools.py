"""A pool that nobody declares is a trap: it is told before anything waits in it."""

from __future__ import annotations

from pathlib import Path

from .conftest import Gnomon

FILE = "job_id: a\npool: db\ntask: {type: command, command: 'true'}\n"


def test_a_pool_that_nobody_declares(place: Path, gnomon: Gnomon) -> None:
    (place / "a.yaml").write_text(FILE)
    (warning,) = gnomon("validate", "a.yaml", "--json").json["warnings"]
    assert (warning["code"], warning["key"]) == ("pool_undeclared", "pool")
    (error,) = gnomon("run", "a.yaml", "--json", code=2).errors
    assert error["code"] == "pool_undeclared", "it would wait for ever"
    (place / "gnomon.toml").write_text("[pools]\ndb = 1\n")
    assert gnomon("validate", "a.yaml", "--json").json["warnings"] == []
    assert gnomon("run", "a.yaml", "--json").json["ok"] is True
