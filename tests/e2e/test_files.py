"""`file` jobs through the command as installed: pipelines of them, refusals, a timeout, secrets, and kill -9."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.values import Json
from tests.support.files_server import FilesServer, files_server
from tests.support.service import Site, site, until


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as one:
        yield one


@pytest.fixture
def server() -> Iterator[FilesServer]:
    with files_server() as one:
        yield one


def run_file(place: Site, tasks: dict[str, Any], code: int = 0, **of_jobs: Json) -> dict[str, Any]:
    """Run tasks one after the other; the runs by job."""
    names = list(tasks)
    jobs = [
        {"job_id": name, "task": {"type": "file", **tasks[name]}, "depends_on": names[:number][-1:], **of_jobs}
        for number, name in enumerate(names)
    ]
    place.write("files.json", {"jobs": jobs})
    answer = place.cli("run", str(place.jobs / "files.json"), code=code)
    return {run["job_id"]: run for run in answer["runs"]}


def test_a_pipeline_over_disk_http_and_an_archive(place: Site, server: FilesServer) -> None:
    out = place.root / "out"
    server.files["/in.txt"] = "grüße".encode()
    with zipfile.ZipFile(place.root / "a.zip", "w") as archive:
        archive.writestr("b/c.txt", "zipped")
    runs = run_file(
        place,
        {
            "make": {"operation": "mkdir", "path": f"{out}/deep", "parents": True},
            "get": {"operation": "copy", "from": f"{server.url}/in.txt", "to": f"{out}/deep/in.txt"},
            "read": {"operation": "read", "path": "${runs.get.result.path}"},
            "add": {"operation": "append", "path": f"{out}/deep/in.txt", "content": " + ${runs.read.result.content}"},
            "unzip": {"operation": "copy", "from": f"zip://b/c.txt::{place.root}/a.zip", "to": f"{out}/deep/c.txt"},
            "list": {"operation": "list", "path": str(out), "recursive": True, "pattern": "*.txt"},
            "move": {"operation": "move", "from": f"{out}/deep", "to": f"{out}/shallow"},
            "send": {"operation": "copy", "from": f"{out}/shallow/in.txt", "to": f"{server.url}/out.txt"},
            "post": {
                "operation": "write",
                "path": f"{server.url}/p",
                "content": "${runs.list.result}",
                "method": "POST",
            },
            "clean": {"operation": "delete", "path": str(out), "recursive": True},
        }
        | {"write": {"type": "write_file", "location": f"{place.root}/new", "content": "${runs.read.result.sha256}"}},
    )
    assert {run["state"] for run in runs.values()} == {"succeeded"}
    assert runs["read"]["result"]["content"] == "grüße"
    assert server.files["/out.txt"].decode() == "grüße + grüße"
    assert [entry["name"] for entry in json.loads(server.files["/p"])["entries"]] == ["deep/c.txt", "deep/in.txt"]
    assert server.seen[-1][0] == "POST"
    assert not out.exists()
    assert (place.root / "new").read_text() == runs["get"]["result"]["sha256"]


def test_a_refusal_says_where_and_a_timeout_ends_a_server_that_hangs(place: Site, server: FilesServer) -> None:
    (place.root / "file").touch()
    runs = run_file(place, {"bad": {"operation": "write", "path": f"{place.root}/file/x", "content": ""}}, 1)
    assert runs["bad"]["error"]["code"] == "not_a_directory"
    assert f"{place.root}/file/x" in runs["bad"]["error"]["message"]
    hangs = {"operation": "copy", "from": f"{server.url}/hang", "to": f"{place.root}/got"}
    runs = run_file(place, {"slow": hangs}, 1, timeout=1, kill_grace=0.2)
    assert (runs["slow"]["state"], runs["slow"]["error"]["code"]) == ("failed", "timed_out")
    assert not (place.root / "got").exists()


def test_roots_reach_the_worker(place: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = place.environment() | {"GNOMON_FILE_ROOTS": str(place.root / "mine")}
    monkeypatch.setattr(place, "environment", lambda: environment)
    (place.root / "mine").mkdir()
    (place.root / "mine/up").symlink_to("..")
    runs = run_file(
        place,
        {
            "inside": {"operation": "write", "path": f"{place.root}/mine/x", "content": "x"},
            "outside": {"operation": "write", "path": f"{place.root}/mine/up/x", "content": "x"},
        },
        1,
    )
    assert runs["inside"]["state"] == "succeeded"
    assert runs["outside"]["error"]["code"] == "outside_roots"
    upload = {"type": "http", "method": "POST", "url": "http://127.0.0.1:1/", "files": f"{place.root}/serve.log"}
    runs = run_file(place, {"upload": upload}, 1)
    assert runs["upload"]["error"]["code"] == "outside_roots"
    assert not (place.root / "x").exists()


def test_a_secret_of_a_server_is_not_kept(place: Site, server: FilesServer) -> None:
    secret = "c4nary-of-the-file-task"
    (place.root / "token").write_text(secret)
    server.files["/a"] = f"it was {secret}".encode()
    options = {"headers": {"X-Token": f"file:{place.root}/token"}}
    read = {"operation": "read", "path": f"{server.url}/a", "storage_options": options}
    runs = run_file(place, {"read": read})
    assert server.seen[-1][2]["x-token"] == secret
    assert secret not in json.dumps(runs)
    for path in place.root.rglob("*"):
        assert not path.is_file() or path.name == "token" or secret.encode() not in path.read_bytes(), path


def test_bad_arguments_name_the_key_and_its_line(place: Site) -> None:
    place.write("bad.yaml", "job_id: a\ntask:\n  type: file\n  operation: read\n  location: /x\n  max_byts: 5\n")
    (problem,) = place.cli("validate", str(place.jobs / "bad.yaml"), code=2)["errors"]
    assert (problem["code"], problem["key"], problem["line"]) == ("unknown_key", "task.max_byts", 6)
    assert "max_bytes" in problem["hint"]


@pytest.mark.chaos
@pytest.mark.slow
def test_killed_in_the_middle_of_a_write_it_is_old_or_new(place: Site) -> None:
    """The worker is killed again and again while it writes: each look shows one whole content, and nothing is left."""
    target = place.root / "data" / "target"
    target.parent.mkdir()
    contents = [letter * 900_000 for letter in "ab"]
    target.write_text(contents[0])
    for name, content in zip("ab", contents, strict=True):
        task = {"type": "file", "operation": "write", "path": str(target), "content": content}
        retry = {"delay": 0.05, "backoff": "fixed", "jitter": False}
        place.write(f"{name}.json", {"job_id": name, "schedule": "every 0.1s", "task": task, "retry": retry})
    place.serve()
    kills = 0

    def worker() -> int:
        """A process that has an unfinished file of the directory open."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if any(os.readlink(fd).startswith(str(target.parent) + "/") for fd in (entry / "fd").iterdir()):
                        return int(entry.name)
                except OSError:
                    continue
        return 0

    while kills < 10:
        pid = until(worker, "a worker writes")
        with suppress(ProcessLookupError):
            os.kill(pid, 9)
            kills += 1
        text = target.read_text()
        assert text in contents, f"half a file: {len(text)} bytes"
    place.close()
    until(lambda: not worker(), "the workers are gone")
    assert target.read_text() in contents
    assert len(os.listdir(target.parent)) <= 2, "at most a draft that was about to be put in place"
