"""File tasks at a real HTTP server and by fsspec, and what they refuse."""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gnomon.tasks.performing import TaskFailed
from tests.support.files_server import FilesServer, files_server
from tests.unit.tasks.file_support import do, refusal


@pytest.fixture
def server() -> Iterator[FilesServer]:
    with files_server() as one:
        yield one


# ---- http ------------------------------------------------------------------------------------------


def test_from_and_to_http(server: FilesServer, tmp_path: Path) -> None:
    big = os.urandom(3_000_000)
    server.files |= {"/a.txt": "grüße".encode(), "/big": big}
    read = do("read", f"{server.url}/a.txt")
    assert (read["content"], read["size"], read["modified"]) == ("grüße", 7, "2026-11-15T08:00:00Z")
    down = do("copy", from_=f"{server.url}/big", to=tmp_path / "big")
    assert (tmp_path / "big").read_bytes() == big
    assert down["sha256"] == hashlib.sha256(big).hexdigest()
    up = do("copy", from_=tmp_path / "big", to=f"{server.url}/up", method="POST")
    assert (server.files["/up"], up["status"], up["created"]) == (big, 201, True)
    assert server.seen[-1][0] == "POST"
    do("write", f"{server.url}/note", content="hello")
    assert server.files["/note"] == b"hello"
    do("copy", from_=f"{server.url}/big", to=f"{server.url}/again")
    assert server.files["/again"] == big, "from a server to a server"
    do("move", from_=f"{server.url}/again", to=tmp_path / "moved")
    assert "/again" not in server.files
    assert (tmp_path / "moved").read_bytes() == big
    assert do("exists", f"{server.url}/no")["exists"] is False
    assert do("stat", f"{server.url}/big")["size"] == len(big)
    do("delete", f"{server.url}/note")
    assert do("delete", f"{server.url}/note", missing="ok")["exists"] is False


def test_credentials_for_http_stay_with_their_server(server: FilesServer) -> None:
    server.files["/a"] = b"a"
    options = {"headers": {"X-Key": "k"}, "username": "me", "password": "pw"}
    with files_server() as other:
        other.files["/b"] = b"b"
        assert do("read", f"{server.url}/to?{other.url}/b", storage_options=options)["content"] == "b"
        assert server.seen[-1][2]["x-key"] == "k"
        assert server.seen[-1][2]["authorization"] == "Basic " + base64.b64encode(b"me:pw").decode()
        assert not {"x-key", "authorization"} & set(other.seen[-1][2])


@pytest.mark.parametrize(
    ("operation", "path", "code"),
    [
        ("read", "/no", "file_not_found"),
        ("read", "/broken", "unexpected_status"),
        ("write", "/closed", "unexpected_status"),
        ("append", "/a", "operation_unsupported"),
        ("mkdir", "/a", "operation_unsupported"),
        ("list", "/a", "not_a_directory"),
    ],
)
def test_http_refusals(server: FilesServer, operation: str, path: str, code: str) -> None:
    server.files["/a"] = b"a"
    more = {"content": "x"} if operation in ("write", "append") else {}
    assert refusal(operation, server.url + path, **more) == code


def test_half_a_download_is_no_file(server: FilesServer, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(TaskFailed) as caught:
        do("copy", from_=f"{server.url}/short", to=tmp_path / "a")
    assert caught.value.task_code in ("http_protocol", "connection_lost")
    assert (tmp_path / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_nobody_is_there_or_nobody_may_go_there(tmp_path: Path) -> None:
    assert refusal("read", "http://127.0.0.1:1/x") == "connection_refused"
    for host in ("169.254.169.254", "[::ffff:169.254.169.254]", "0xa9fea9fe", "2852039166"):
        assert refusal("read", f"http://{host}/latest/meta-data") == "address_refused", host
        assert refusal("copy", from_=__file__, to=f"http://{host}/x") == "address_refused", host
    assert refusal("read", "ftp://169.254.169.254/x") == "address_refused"
    assert refusal("read", "simplecache::http://169.254.169.254/x") == "operation_unsupported"


# ---- fsspec ----------------------------------------------------------------------------------------


def test_archives(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("d/x.txt", "one")
        archive.writestr("d/e/y.txt", "two")
    for roots in (None, tmp_path):
        assert do("read", f"zip://d/x.txt::{tmp_path}/a.zip", roots=roots)["content"] == "one"
    done = do("copy", from_=f"zip://d::{tmp_path}/a.zip", to=tmp_path / "out", recursive=True)
    assert (done["files"], (tmp_path / "out/e/y.txt").read_text()) == (2, "two")
    names = [entry["name"] for entry in do("list", f"zip://::{tmp_path}/a.zip", recursive=True)["entries"]]
    assert names == ["d", "d/e", "d/e/y.txt", "d/x.txt"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("d/x.txt", "changed")
    assert do("read", f"zip://d/x.txt::{tmp_path}/a.zip")["content"] == "changed", "nothing is remembered"
    assert refusal("read", f"zip://no::{tmp_path}/a.zip") == "file_not_found"


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x", "one")

    def all_sorts() -> None:
        do("read", f"zip://x::{tmp_path}/a.zip", roots=tmp_path)
        do("copy", from_=tmp_path / "a.zip", to=tmp_path / "b.zip", roots=tmp_path)
        refusal("read", tmp_path / "no", roots=tmp_path)
        do("list", tmp_path)
        do("delete", tmp_path / "b.zip")

    count: Callable[[], int] = lambda: len(os.listdir("/proc/self/fd"))  # noqa: E731
    all_sorts()
    before = count()
    for _ in range(5):
        all_sorts()
    assert count() <= before


def test_backends_that_are_not_there() -> None:
    with pytest.raises(TaskFailed, match="pip install s3fs") as caught:
        do("read", "s3://bucket/x")
    assert caught.value.task_code == "backend_missing"
    assert refusal("read", "nope://x") == "backend_unknown"
    assert refusal("read", "http://127.0.0.1:1/", storage_options={"anon": True}) == "bad_arguments"


def test_one_process_can_use_its_memory() -> None:
    do("write", "memory://d/a", content="x", parents=True)
    assert refusal("write", "memory://d/a", content="y", overwrite=False) == "target_exists"
    do("append", "memory://d/a", content="z")
    assert do("read", "memory://d/a")["content"] == "xz"
    do("move", from_="memory://d", to="memory://e", recursive=True)
    assert [entry["name"] for entry in do("list", "memory://e")["entries"]] == ["a"]
    assert refusal("delete", "memory://e") == "directory_not_empty"
    do("delete", "memory://e", recursive=True)
    assert do("exists", "memory://e/a")["exists"] is False
