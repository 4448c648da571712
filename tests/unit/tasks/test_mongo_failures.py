"""The task type `mongo` where something fails: nobody answers, refusals, timeouts, no driver."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gnomon.core.values import Json
from gnomon.tasks.mongo import MARK, MONGO, run
from gnomon.tasks.performing import TaskFailed, Work
from tests.support.mongo import HANG, nx, scripted
from tests.support.postgres import free_port
from tests.support.service import site
from tests.support.working import failure

CANARY = "canary-5be02a"
BASE: dict[str, Json] = {"url": "mongodb://127.0.0.1/shop", "collection": "orders"}


def test_nobody_listens() -> None:
    url = f"mongodb://u:{CANARY}@127.0.0.1:{free_port()}/shop"
    error = failure(MONGO, {**BASE, "url": url, "operation": "find", "connect_timeout": 1})
    assert error.task_code == "mongo_unreachable"
    assert "127.0.0.1" in error.message
    assert CANARY not in error.message


@pytest.mark.parametrize("options", ["", "?serverSelectionTimeoutMS=300"])
def test_a_timeout_of_the_job_does_not_lengthen_that_of_connecting(
    options: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNOMON_TIMEOUT", "600")
    task: dict[str, Json] = {**BASE, "url": f"mongodb://127.0.0.1:{free_port()}/shop{options}", "operation": "find"}
    error = failure(MONGO, task if options else {**task, "connect_timeout": 1})  # within the time of this test
    assert error.task_code == "mongo_unreachable"
    assert "configured timeouts" not in error.message


def test_a_name_that_does_not_resolve_is_no_mistake_of_the_arguments() -> None:
    error = failure(MONGO, {**BASE, "url": "mongodb+srv://nowhere.invalid/x", "operation": "find"})
    assert error.task_code == "mongo_unreachable"


def test_a_document_too_deep() -> None:
    deep: Json = 1
    for _ in range(3000):
        deep = {"a": deep}
    arguments: dict[str, Json] = {**BASE, "url": nx().url, "operation": "insert", "document": {MARK: deep}}
    with pytest.raises(TaskFailed, match="too deeply") as caught:
        run(Work(arguments, print, {}))
    assert caught.value.task_code == "bad_arguments"


def test_a_server_that_hangs_up() -> None:
    with scripted() as server:
        error = failure(MONGO, {**BASE, "url": server.url, "operation": "find", "connect_timeout": 1})
    assert error.task_code == "mongo_unreachable"


@pytest.mark.parametrize(
    ("number", "code"), [(13, "access_denied"), (18, "access_denied"), (2, "mongo_error"), (26, "mongo_error")]
)
def test_a_server_that_refuses(number: int, code: str) -> None:
    answer = {"ok": 0.0, "errmsg": f"no, {CANARY}, says the server", "code": number}
    with scripted(find=answer) as server:
        arguments: dict[str, Json] = {**BASE, "url": server.url, "operation": "find", "filter": {"a": "${a}"}}
        error = failure(MONGO, arguments, a=CANARY)
    assert error.task_code == code
    assert error.message == "no, ***, says the server"
    assert error.result == {"state": number}


def test_a_wrong_password() -> None:
    with scripted(saslStart={"ok": 0.0, "errmsg": "Authentication failed.", "code": 18}) as server:
        arguments: dict[str, Json] = {**BASE, "url": server.url, "username": "u", "password": CANARY}
        error = failure(MONGO, {**arguments, "operation": "find", "connect_timeout": 2})
    assert error.task_code == "access_denied"
    assert CANARY not in error.message


def test_a_document_that_is_there_already() -> None:
    answer = {
        "ok": 1.0,
        "n": 1,
        "writeErrors": [{"index": 1, "code": 11000, "errmsg": f'E11000 duplicate key dup key: {{ _id: "{CANARY}" }}'}],
    }
    with scripted(insert=answer) as server:
        documents: Json = [{"_id": 1}, {"_id": 2}]
        error = failure(MONGO, {**BASE, "url": server.url, "operation": "insert", "documents": documents})
    assert error.task_code == "mongo_error"
    assert CANARY not in error.message
    assert error.result == {"inserted": 1, "failed_at": 1, "state": 11000}


def test_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    error = failure(MONGO, {**BASE, "url": "mongodb://127.0.0.1", "operation": "find"})
    assert (error.task_code, error.message.partition(":")[0]) == ("bad_arguments", "database")
    monkeypatch.setitem(sys.modules, "pymongo", None)
    error = failure(MONGO, {**BASE, "operation": "find"})
    assert error.task_code == "driver_missing"
    assert "pip install 'gnomon[mongo]'" in error.message


def test_a_timeout_through_the_command_as_installed(tmp_path: Path) -> None:
    with scripted(find=HANG) as server, site(tmp_path) as place:
        task: dict[str, Json] = {"type": "mongodb", "url": server.url, "collection": "orders", "operation": "find"}
        jobs: Json = [{"job_id": "slow", "timeout": 1, "kill_grace": 60, "task": task}]
        place.write("slow.json", {"jobs": jobs})
        (run,) = place.cli("run", str(place.jobs / "slow.json"), code=1)["runs"]
        assert run["error"]["code"] == "timed_out"
        assert run["duration_s"] < 20
