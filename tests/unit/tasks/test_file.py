"""File tasks on a real disk, and what they refuse."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import threading
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.tasks.file import run
from gnomon.tasks.performing import TaskFailed, Work
from tests.unit.tasks.file_support import do, refusal

# ---- one file --------------------------------------------------------------------------------------


def test_a_file_is_written_read_and_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    wrote = do("write", path, content="grüße\r\n", mode="0640")
    data = "grüße\r\n".encode()
    assert path.read_bytes() == data
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    digest = hashlib.sha256(data).hexdigest()
    assert (wrote["size"], wrote["sha256"], wrote["created"], wrote["is_dir"]) == (len(data), digest, True, False)
    assert do("write", path, content="x")["created"] is False
    assert stat.S_IMODE(path.stat().st_mode) == 0o640, "as it was"
    assert do("append", path, content="yz")["size"] == 3
    read = do("read", path)
    assert (read["content"], read["truncated"], read["size"]) == ("xyz", False, 3)
    looked = do("stat", path)
    assert (looked["sha256"], looked["mode"], looked["type"]) == (hashlib.sha256(b"xyz").hexdigest(), "0640", "file")
    assert looked["modified"].endswith("Z")
    assert do("exists", path)["exists"] is True
    assert do("exists", tmp_path / "b")["exists"] is False
    assert sorted(os.listdir(tmp_path)) == ["a.txt"], "nothing is left beside it"


def test_encodings_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    do("write", path, content="ä", encoding="latin-1")
    assert path.read_bytes() == b"\xe4"
    assert do("read", path, encoding="latin-1")["content"] == "ä"
    assert refusal("read", path) == "not_text"
    do("write", path, content=base64.b64encode(bytes(range(256))).decode(), encoding="base64")
    assert path.read_bytes() == bytes(range(256))
    assert base64.b64decode(do("read", path, encoding="base64")["content"]) == bytes(range(256))


def test_what_a_reference_brings_is_written_as_json(tmp_path: Path) -> None:
    """A whole `${…}` keeps its type; canonical arguments reach the worker filled."""
    for value, text in (({"b": 1, "a": [True]}, '{"a":[true],"b":1}'), (5, "5"), (None, ""), ("x", "x")):
        arguments = {"operation": "write", "path": str(tmp_path / "a"), "content": value}
        run(Work(arguments, lambda text: None, {}))
        assert (tmp_path / "a").read_text() == text


def test_long_files_are_cut_and_say_so(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_text("ä" * 100_000)
    read = do("read", path)
    assert read["truncated"] is True
    assert read["content"] == "ä" * (read["kept_bytes"] // 2)
    assert "max_bytes 65536" in read["limit"]
    assert read["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest(), "of the whole"
    assert do("read", path, max_bytes=5)["content"] == "ää", "no half character"
    path.write_text("\x01" * 60_000)
    assert 0 < do("read", path)["kept_bytes"] < 60_000, "escaped in JSON it takes six times the room"


def test_older_files_are_kept_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a"
    do("write", path, content="old", overwrite=False)
    assert refusal("write", path, content="new", overwrite=False) == "target_exists"
    (tmp_path / "b").write_text("other")
    for operation in ("copy", "move"):
        assert refusal(operation, from_=tmp_path / "b", to=path, overwrite=False) == "target_exists"
    assert path.read_text() == "old"
    do("move", from_=tmp_path / "b", to=tmp_path / "c", overwrite=False)
    assert (tmp_path / "c").read_text() == "other"
    assert sorted(os.listdir(tmp_path)) == ["a", "c"]


def test_a_link_is_written_through_and_deleted_itself(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    do("write", tmp_path / "link", content="new")
    assert (tmp_path / "real").read_text() == "new"
    do("delete", tmp_path / "link")
    assert os.listdir(tmp_path) == ["real"]
    (tmp_path / "loop").symlink_to("loop")
    assert refusal("read", tmp_path / "loop") == "too_many_links"


# ---- directories -----------------------------------------------------------------------------------


def test_directories_are_made_filled_copied_moved_listed_deleted(tmp_path: Path) -> None:
    assert refusal("mkdir", tmp_path / "a/b") == "file_not_found"
    assert do("mkdir", tmp_path / "a/b", parents=True, mode="0750")["created"] is True
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o750
    assert do("mkdir", tmp_path / "a/b")["created"] is False
    assert refusal("mkdir", tmp_path / "a/b", overwrite=False) == "target_exists"
    do("write", tmp_path / "a/b/one.txt", content="1")
    do("write", tmp_path / "a/c/two.csv", content="22", parents=True)
    listed = do("list", tmp_path / "a", recursive=True)
    assert [entry["name"] for entry in listed["entries"]] == ["b", "c", "b/one.txt", "c/two.csv"]
    assert [e["name"] for e in do("list", tmp_path / "a", recursive=True, pattern="*.csv")["entries"]] == ["c/two.csv"]
    assert do("list", tmp_path / "a")["count"] == 2
    assert refusal("copy", from_=tmp_path / "a", to=tmp_path / "z") == "not_a_file"
    assert do("copy", from_=tmp_path / "a", to=tmp_path / "z", recursive=True)["files"] == 2
    assert (tmp_path / "z/c/two.csv").read_text() == "22"
    assert refusal("copy", from_=tmp_path / "a", to=tmp_path / "z", recursive=True) == "target_exists"
    assert refusal("copy", from_=tmp_path / "a", to=tmp_path / "a/b/c", recursive=True) == "same_place"
    do("move", from_=tmp_path / "z", to=tmp_path / "y/x", parents=True)
    assert not (tmp_path / "z").exists()
    assert refusal("delete", tmp_path / "y") == "directory_not_empty"
    assert refusal("rmdir", tmp_path / "y/x/c/two.csv") == "not_a_directory"
    do("rmdir", tmp_path / "y", recursive=True)
    do("delete", tmp_path / "a", recursive=True)
    assert os.listdir(tmp_path) == []


def test_long_lists_are_cut_and_say_so(tmp_path: Path) -> None:
    for number in range(1200):
        (tmp_path / f"{number:04}").touch()
    listed = do("list", tmp_path)
    assert (listed["count"], listed["truncated"]) == (1200, True)
    assert listed["entries"][0]["name"] == "0000"
    assert len(do("list", tmp_path, max_entries=7)["entries"]) == 7


@pytest.mark.parametrize("operation", ["read", "delete", "rmdir", "list", "stat"])
def test_missing_is_an_error_or_fine(tmp_path: Path, operation: str) -> None:
    assert refusal(operation, tmp_path / "no") == "file_not_found"
    assert do(operation, tmp_path / "no", missing="ok")["exists"] is False


def test_missing_source_is_fine_but_not_a_missing_target_directory(tmp_path: Path) -> None:
    assert do("move", from_=tmp_path / "no", to=tmp_path / "x", missing="ok")["exists"] is False
    (tmp_path / "a").touch()
    for operation in ("copy", "move"):
        assert refusal(operation, from_=tmp_path / "a", to=tmp_path / "no/x", missing="ok") == "file_not_found"


# ---- refusals --------------------------------------------------------------------------------------


def test_below_a_file_and_onto_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal("write", tmp_path / "file/x", content="") == "not_a_directory"
    assert refusal("write", tmp_path / "file/x/y", content="", parents=True) == "not_a_directory"
    assert refusal("write", tmp_path, content="") == "not_a_file"
    assert refusal("read", tmp_path) == "not_a_file"
    assert refusal("list", tmp_path / "file") == "not_a_directory"
    os.mkfifo(tmp_path / "pipe")
    assert refusal("read", tmp_path / "pipe") == "not_a_file"
    assert refusal("append", tmp_path / "pipe", content="x") in ("not_a_file", "file_failed")


def test_nobody_means_to_delete_these(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home" / "me"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    (tmp_path / "link").symlink_to(home)
    for path in ("/", "/..", "//", tmp_path, home, f"{home}/", f"{home}/.", home.parent):
        assert refusal("delete", path, recursive=True) == "protected_path", path
        assert refusal("move", from_=path, to=tmp_path / "x") == "protected_path", path
    assert home.is_dir()
    do("delete", f"{tmp_path}/link/", recursive=True)
    assert home.is_dir(), "the link went, not what it led to"
    root = tmp_path / "root"
    root.mkdir()
    assert refusal("delete", root, roots=root, recursive=True) == "protected_path"


def test_roots_hold(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (root / "link").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    (root / "inner").symlink_to("here")
    with zipfile.ZipFile(outside / "a.zip", "w") as archive:
        archive.writestr("x", "x")
    ways = [outside / "secret", root / "link/secret", root / "file", f"{root}/../outside/secret"]
    urls = [f"file://{outside}/secret", f"zip://x::{outside}/a.zip", f"zip://x::{root}/link/a.zip"]
    more = [f"dir://secret::{outside}", f"simplecache::file://{outside}/secret", f"local://{outside}/secret"]
    for way in (*ways, *urls, *more):
        assert refusal("read", way, roots=root) == "outside_roots", way
    for way in ways:
        for operation in ("write", "append"):
            assert refusal(operation, way, roots=root, content="x") == "outside_roots"
    for way in (outside / "new/x", root / "link/new/x", f"{root}/../outside/new/x"):
        assert refusal("write", way, roots=root, content="x", parents=True) == "outside_roots"
    assert refusal("copy", from_=root / "file", to=root / "x", roots=root) == "outside_roots"
    (root / "mine").touch()
    assert refusal("copy", from_=root / "mine", to=outside / "x", roots=root) == "outside_roots"
    assert refusal("move", from_=root / "mine", to=root / "link/x", roots=root) == "outside_roots"
    assert refusal("delete", root / "link/secret", roots=root) == "outside_roots"
    assert (outside / "secret").read_text() == "secret"
    assert sorted(os.listdir(outside)) == ["a.zip", "secret"]
    do("write", root / "inner", roots=f"{outside / 'no'}:{root}", content="inside")
    assert (root / "here").read_text() == "inside", "links inside are followed"
    do("delete", root / "link", roots=root, recursive=True)
    assert outside.is_dir(), "the link went, not what it leads to"
    assert refusal("read", root / "here", roots="relative") == "setting_invalid"


def test_a_link_that_is_swapped_meanwhile_leads_nowhere(tmp_path: Path) -> None:
    """A directory that is a link to the outside every other moment: nothing ever gets out."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "good").mkdir(parents=True)
    outside.mkdir()
    (root / "good/x").write_text("good")
    (outside / "x").write_text("secret")
    (root / "bad").symlink_to(outside)
    (root / "now").symlink_to("good")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            for target in ("bad", "good"):
                os.symlink(target, root / "next")
                os.rename(root / "next", root / "now")

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        for _ in range(300):
            for operation, more in (("read", {}), ("write", {"content": "good"}), ("append", {"content": ""})):
                try:
                    result = do(operation, root / "now/x", roots=root, **more)
                    seen.add(result.get("content", "good"))
                except TaskFailed as failed:
                    seen.add(failed.task_code)
    finally:
        over.set()
        thread.join()
    assert seen <= {"good", "outside_roots"}
    assert "good" in seen
    assert (outside / "x").read_text() == "secret"
    assert os.listdir(outside) == ["x"]


# ---- names and contents are data -------------------------------------------------------------------

META = st.text(st.sampled_from("$(){}[];|&<>'\"`\\*?!~#%=:@ \n\t\r-äẞ🦉.,"), min_size=1, max_size=40)


@given(name=META.filter(lambda text: text not in (".", "..")), content=META)
def test_metacharacters_are_data(tmp_path_factory: pytest.TempPathFactory, name: str, content: str) -> None:
    directory = tmp_path_factory.getbasetemp() / "meta"
    directory.mkdir(exist_ok=True)
    assert do("write", directory / "d" / name, content=content, parents=True)["size"] == len(content.encode())
    assert os.listdir(directory / "d") == [name]
    assert (directory / "d" / name).read_bytes() == content.encode()
    assert do("read", directory / "d" / name)["content"] == content
    assert [entry["name"] for entry in do("list", directory / "d")["entries"]] == [name]
    do("delete", directory / "d", recursive=True)
