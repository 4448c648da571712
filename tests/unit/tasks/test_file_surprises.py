"""What file tasks refuse before harm is done: deletions larger than meant, moves that lose something, other hosts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest

from gnomon.core.errors import UsageError
from gnomon.core.substitution import substitute
from gnomon.tasks import file_spots
from gnomon.tasks.file import FILE, run
from gnomon.tasks.file_fsspec import FsspecPlace, Held
from gnomon.tasks.performing import TaskFailed, Work
from tests.support.files_server import files_server


def do(arguments: dict[str, Any], **parameters: Any) -> Any:
    """As a job does it: judged where the file is read, filled, performed."""
    filled = substitute(FILE.validate(arguments), parameters)
    assert isinstance(filled, dict)
    return run(Work(filled, lambda text: None, {"GNOMON_RUN_ID": "run1", "GNOMON_ATTEMPT": "1"}))


def refusal(arguments: dict[str, Any], **parameters: Any) -> TaskFailed:
    with pytest.raises(TaskFailed) as caught:
        do(arguments, **parameters)
    return caught.value


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep" / "file").write_text("kept")
    return tree


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A directory on another file system."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
        if os.stat(path).st_dev == os.stat(tmp_path).st_dev:
            pytest.skip("/dev/shm is on the same file system")
        yield Path(path)


def test_an_empty_parameter_deletes_nothing(tree: Path) -> None:
    """`/srv/${name}` with an empty name is `/srv/`."""
    for operation in ("delete", "rmdir"):
        given = {"operation": operation, "path": f"{tree}/${{name}}", "recursive": True}
        for name in ("", ".", "..", "deep/..", "deep/", "deep/."):
            failure = refusal(given, name=name)
            assert (failure.task_code, "empty parameter" in failure.message) == ("protected_path", True)
    assert (tree / "deep" / "file").exists()
    do({"operation": "delete", "path": f"{tree}/${{name}}/", "recursive": True}, name="deep")
    assert not (tree / "deep").exists(), "a slash that the file has is fine"
    do({"operation": "delete", "path": f"{tree}//", "recursive": True})
    assert not tree.exists()


def test_what_is_mounted_is_not_deleted(tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    (tree / "my disk").mkdir()
    monkeypatch.setattr(file_spots, "MOUNTS", str(table))
    table.write_text(f"1 0 8:1 / {tree}/my\\040disk rw - ext4 /dev/sdb rw\n")
    for path in (tree, tree / "my disk"):
        failure = refusal({"operation": "delete", "path": str(path), "recursive": True})
        assert failure.task_code == "protected_path"
        assert f"{tree}/my disk" in failure.message
    assert (tree / "deep" / "file").exists()
    do({"operation": "delete", "path": f"{tree}/deep", "recursive": True})
    table.unlink()
    do({"operation": "delete", "path": str(tree), "recursive": True})


def test_the_mounts_of_this_machine_are_known() -> None:
    assert {"/", "/proc"} <= set(file_spots._mounts())


def test_the_working_directory_of_the_service_stays(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "deep")
    for path in (tree, tree / "deep"):
        assert refusal({"operation": "delete", "path": str(path), "recursive": True}).task_code == "protected_path"
        given = {"operation": "move", "from": str(path), "to": str(tree.parent / "other")}
        assert refusal(given).task_code == "protected_path"
    do({"operation": "delete", "path": "file"})


def test_a_move_to_another_file_system_loses_nothing(tree: Path, elsewhere: Path) -> None:
    given = {"operation": "move", "from": str(tree), "to": f"{elsewhere}/tree"}
    (tree / "link").symlink_to("deep")
    failure = refusal(given)
    assert failure.task_code == "operation_unsupported"
    assert "has a link, link" in failure.message
    assert (tree / "deep" / "file").exists()
    assert os.listdir(elsewhere) == []
    (tree / "link").unlink()
    do(given)
    assert (elsewhere / "tree" / "deep" / "file").read_text() == "kept"
    assert not tree.exists()


def test_nothing_is_moved_into_itself(tree: Path) -> None:
    assert refusal({"operation": "move", "from": str(tree), "to": f"{tree}/deep/tree"}).task_code == "same_place"


def test_a_whole_bucket_is_not_deleted() -> None:
    memory = fsspec.filesystem("memory", skip_instance_cache=True)
    memory.pipe("/bucket/file", b"x")
    with pytest.raises(TaskFailed) as caught:
        FsspecPlace(memory, "/bucket", "s3://bucket", Held()).delete(True)
    assert caught.value.task_code == "protected_path"
    assert memory.exists("/bucket/file")
    FsspecPlace(memory, "/bucket", "s3://bucket/bucket", Held()).delete(True)
    assert not memory.exists("/bucket")


def test_hosts_among_the_options_are_judged_too() -> None:
    for scheme in ("ftp", "sftp", "smb", "webhdfs"):
        given = {"operation": "read", "path": f"{scheme}:///x", "storage_options": {"host": "169.254.169.254"}}
        assert refusal(given).task_code == "address_refused", scheme


def test_servers_that_know_get_only(tmp_path: Path) -> None:
    """Signed URLs of object stores are good for one method: HEAD gets 403."""
    with files_server() as server:
        server.files["/signed"] = b"content"
        assert do({"operation": "read", "path": f"{server.url}/signed"})["content"] == "content"
        do({"operation": "download", "from": f"{server.url}/signed", "to": f"{tmp_path}/x"})
        assert (tmp_path / "x").read_text() == "content"
        assert do({"operation": "exists", "path": f"{server.url}/signed"})["exists"] is True
        assert do({"operation": "exists", "path": f"{server.url}/signed/not"})["exists"] is False


def test_new_content_gets_no_old_privilege(tmp_path: Path) -> None:
    path = tmp_path / "tool"
    path.touch()
    path.chmod(0o4755)
    do({"operation": "write", "path": str(path), "content": "new"})
    assert path.stat().st_mode & 0o7777 == 0o755


def test_file_urls_have_three_slashes() -> None:
    with pytest.raises(UsageError) as caught:
        FILE.validate({"operation": "read", "location": "file:/srv/x"})
    assert [problem.key for problem in caught.value.problems] == ["location"]
    assert FILE.validate({"operation": "read", "path": "file://localhost/srv/x"})
