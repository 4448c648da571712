"""Bytes that are no UTF-8, and halves of characters in JSON: refused at every entrance, and nothing else suffers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gnomon import Scheduler
from gnomon.app.parts import open_parts
from gnomon.cli.main import main
from gnomon.core.access import Role
from gnomon.core.errors import UsageError
from gnomon.operations.settings import load_settings
from gnomon.remote import Client
from gnomon.web.application import document, interface
from tests.support.service import Site, site, until
from tests.unit.web.calling import World

JOB = {"job_id": "good", "task": {"type": "command", "command": "true"}}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


def test_a_bad_name_costs_its_own_file_only(place: Site) -> None:
    jobs = os.fsencode(place.jobs)
    try:
        os.mkdir(jobs + b"/d\xe9")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    for name in (b"caf\xe9.yaml", b"d\xe9/in.yaml"):
        with open(jobs + b"/" + name, "w") as file:
            json.dump(JOB, file)
    place.write("good.json", JOB)
    place.write("half.json", '{"job_id": "half", "task": {"type": "command", "command": "\\ud800"}}')
    place.write("half.yaml", 'job_id: half\ntask: {type: command, command: "\\ud800"}\n')
    place.write("half.toml", 'job_id = "half"\ntask = {type = "command", command = "\\ud800"}\n')
    place.serve()
    until(lambda: place.rows("select 1 from jobs where job_id = 'good'"), "the good file counts")
    files = {Path(file["path"]).name: file for file in place.cli("jobs", "files")}
    broken = {name for name, file in files.items() if file["problems"]}
    assert broken == {r"caf\xe9.yaml", r"d\xe9", "half.json", "half.yaml", "half.toml"}
    assert files[r"caf\xe9.yaml"]["problems"][0]["code"] == "name_not_utf8"


def run(place: Site, *words: str | bytes, **more: bytes) -> subprocess.CompletedProcess[bytes]:
    environment = {os.fsencode(k): os.fsencode(v) for k, v in place.environment().items()}
    environment |= {os.fsencode(name): value for name, value in more.items()}
    command = [os.fsencode(sys.executable), b"-m", b"gnomon", *map(os.fsencode, words), b"--json"]
    return subprocess.run(command, env=environment, cwd=place.root, capture_output=True, timeout=60, check=False)


def test_bytes_in_arguments_and_settings(place: Site) -> None:
    """Real bytes, through exec."""
    said = [run(place, "jobs", "pause", "good", "--reason", b"caf\xe9"), run(place, "jobs", "list", GNOMON_DB=b"\xe9")]
    for done in said:
        assert done.returncode == 2, done
        assert json.loads(done.stderr)["errors"][0]["code"] == "half_character"


@pytest.mark.parametrize("words", [
    ["jobs", "show", "?"], ["why", "?"], ["run", "?"], ["validate", "?"], ["runs", "list", "--job", "?"],
    ["runs", "list", "-q", "?"], ["jobs", "list", "--label", "a=?"], ["--db", "?", "jobs", "list"],
    ["serve", "--jobs-dir", "?"], ["jobs", "delete", "?", "--yes"], ["token", "create", "--name", "?"], ["?"],
])  # fmt: skip
def test_half_characters_in_arguments(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main([word.replace("?", "x\udce9") for word in words]) == 2
    assert r"x\xe9" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["DB", "JOBS_DIR", "TIMEZONE", "HOST", "SERVER", "LOG_LEVEL", "PORT"])
def test_half_characters_in_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings({}, {f"GNOMON_{name}": "\udce9"}, search=False)
    assert caught.value.code == "half_character"


def test_a_working_directory_that_is_not_utf8_or_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here = os.fsencode(tmp_path) + b"/w\xe9"
    try:
        os.mkdir(here)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    monkeypatch.chdir(os.fsdecode(here))
    assert main(["--db", "here.db", "serve"]) == 2
    assert "half_character" in capfd.readouterr().err
    os.rmdir(here)
    assert main(["jobs", "list"]) == 2
    assert "working_directory_missing" in capfd.readouterr().err


@pytest.mark.parametrize("call", [
    lambda s: s.get_job("\ud800"), lambda s: s.run("\ud800"), lambda s: s.why("\ud800"),
    lambda s: s.pause("good", reason="\ud800"), lambda s: s.run("good", parameters={"x": "\ud800"}),
    lambda s: s.add_job("\ud800", "json:dumps", args=[1]), lambda s: s.add_job("n", "json:dumps", args=["\ud800"]),
    lambda s: s.add_job("n", "json:dumps", args=[1], labels={"a": "\ud800"}), lambda s: s.runs(job_id="\ud800"),
])  # fmt: skip
def test_half_characters_in_python(call: Callable[[Scheduler], object]) -> None:
    scheduler = Scheduler()
    scheduler.add_job("good", "json:dumps", args=["${x}"], parameters={"x": {"type": "string", "default": ""}})
    with pytest.raises(UsageError):
        call(scheduler)
    scheduler.pause("good")  # and goes on
    scheduler.shutdown(wait=False)


def test_half_characters_in_a_clients_calls() -> None:
    """Refused before anything is sent."""
    with Client("http://127.0.0.1:1") as client:
        for call in (lambda: client.get_job("\ud800"), lambda: client.start_run("good", parameters={"x": "\ud800"})):
            with pytest.raises(UsageError, match="half a character"):
                call()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    settings = load_settings({"db": f"sqlite:///{tmp_path}/gnomon.db"}, {}, search=False)
    with open_parts(settings, upgrade=True) as parts, World(parts) as made:
        yield made


def leaves(value: Any) -> Iterator[Any]:
    """The value with each of its texts, one after the other, replaced by half a character."""
    if isinstance(value, str):
        yield "\ud800"
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from ({**value, key: one} for one in leaves(item))
        yield {**value, "\ud800": 1}
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from ([*value[:at], one, *value[at + 1 :]] for one in leaves(item))


def test_half_characters_in_requests(world: World) -> None:
    """Every route, every part of an address, every text of every example of a body: an answer, and no 5xx."""
    admin, asked, wrong = world.caller(Role.ADMIN), 0, []
    world.job("good", schedule="0 0 * * *")
    for path, methods in document(interface(world.service))["paths"].items():
        for method, operation in methods.items():
            if operation["operationId"].startswith("follow"):
                continue
            for name in ("%ED%A0%80", "good"):
                at = path
                for parameter in operation.get("parameters", []):
                    at = at.replace(f"{{{parameter['name']}}}", name)
                said = "&".join(f"{p['name']}=%ED%A0%80" for p in operation.get("parameters", []) if p["in"] == "query")
                content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
                examples = [content["example"]] if "example" in content else []
                examples += [one["value"] for one in content.get("examples", {}).values()]
                for body in [one for example in examples for one in leaves(example)] or [None]:
                    for query in ("", "?" + said):
                        answer = admin.send(method.upper(), at.removeprefix("/api/v1") + query, json.dumps(body))
                        asked += 1
                        answer.content.decode()
                        if answer.status_code >= 500:
                            wrong.append((method, at, query, body, answer.text))
    assert wrong == []
    assert asked > 100
