"""Looking secrets up, and striking them out of what a worker says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.secrets import is_reference
from gnomon.tasks import secrets
from gnomon.tasks.performing import TaskFailed, Work, perform
from gnomon.tasks.secrets import Vault

CANARY = "c4nary/s1ngs"


@pytest.fixture
def providers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package with a provider."""
    info = tmp_path / "safes-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: safes\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[gnomon.secrets]\nsafe = safes:look_up\nbad = safes:bad\n")
    (tmp_path / "safes.py").write_text(
        "def look_up(name):\n    if name == 'none': raise LookupError('the safe is empty')\n    return name[::-1]\n"
        "def bad(name):\n    return None\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    secrets._entries.cache_clear()
    yield
    secrets._entries.cache_clear()
    sys.modules.pop("safes", None)


def test_where_secrets_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, providers: None) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    (tmp_path / "key").write_text("key of a file\n")
    given: dict[str, Any] = {
        "password": "env:CANARY",
        "headers": {"X": ["env:CANARY", f"file:{tmp_path}/key"]},
        "user": "literal:env:CANARY",
        "other": "env:CANARY",
        "token": "safe:drowssap",
        "url": f"file://{tmp_path}/key",
    }
    vault = Vault()
    filled = vault.fill(given, ("password", "headers", "user", "token", "url"))
    assert filled == {
        "password": CANARY,
        "headers": {"X": [CANARY, "key of a file"]},
        "user": "env:CANARY",
        "other": "env:CANARY",
        "token": "password",
        "url": f"file://{tmp_path}/key",
    }
    assert vault.strike({"a": f"{CANARY} env:CANARY password"}) == {"a": "*** env:CANARY ***"}


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("env:NOT_THERE", "env:NOT_THERE is not there: there is no variable NOT_THERE"),
        ("file:/not/there", "file:/not/there is not there: No such file"),
        ("safe:none", "safe:none is not there: the safe is empty"),
        ("bad:x", "bad:x is not there: the provider gave a NoneType"),
    ],
)
def test_what_is_not_there_is_named_with_its_place(reference: str, why: str, providers: None) -> None:
    with pytest.raises(LookupError) as caught:
        Vault().fill({"headers": {"X": reference}}, ("headers",))
    assert caught.value.args[0].startswith(f"headers.X: {why}")


def test_what_is_a_reference() -> None:
    assert [text for text in ("env:A", "file:/a", "literal:x") if not is_reference(text)] == []
    assert [
        text for text in ("env:", "file:a", "file://a", "ENV:A", "env:A B", "x env:A", "other:x") if is_reference(text)
    ] == []


def shout(work: Work) -> object:
    """A task that says its secret in every way there is."""
    secret = str(work.arguments["password"])
    work.log(f"log {secret}")
    print("print", secret)
    os.write(2, f"write {secret[:5]}".encode())
    os.write(2, f"{secret[5:]}\n".encode())
    subprocess.run(["/bin/sh", "-c", 'echo "child $S"'], env={"S": secret}, check=True)
    if work.arguments.get("fail"):
        raise TaskFailed("told", f"failed with {secret}", {"why": secret})
    if work.arguments.get("crash"):
        raise ValueError(f"crashed with {secret}")
    return {"said": [secret], secret: 1}


def test_nothing_a_task_says_holds_its_secret(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    monkeypatch.setattr(sys, "stdout", open(1, "w", buffering=1, closefd=False))  # noqa: SIM115 (as in a worker: on its descriptor)
    arguments: dict[str, Any] = {"password": "env:CANARY"}
    name = f"{__name__}:shout"
    assert perform(name, arguments, ["password"]) == {"said": ["***"], "***": 1}
    for extra, code in (("fail", "told"), ("crash", "ValueError")):
        with pytest.raises(TaskFailed) as caught:
            perform(name, {**arguments, extra: True}, ["password"])
        assert caught.value.task_code == code
        assert caught.value.message in ("failed with ***", "crashed with ***")
        assert caught.value.result in ({"why": "***"}, None)
        assert caught.value.__cause__ is None
    said = capfd.readouterr()
    assert CANARY not in said.out + said.err
    assert (said.out + said.err).splitlines() == ["log ***", "print ***", "write ***", "child ***"] * 3
    print("and then it is as before", CANARY, flush=True)
    assert CANARY in capfd.readouterr().out
