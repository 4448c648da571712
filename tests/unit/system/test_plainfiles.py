"""Files that somebody else can touch."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

import pytest

from gnomon.system.plainfiles import NotPlain, open_plain, read_plain, remove, size_of

WRITING = os.O_WRONLY | os.O_CREAT | os.O_APPEND


@pytest.fixture(params=["directory", "full directory", "pipe", "link", "dangling link", "socket", "device"])
def thing(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    path, kept = tmp_path / "thing", tmp_path / "kept"
    kept.write_text("kept")
    match request.param:
        case "directory":
            path.mkdir()
        case "full directory":
            (path / "deep").mkdir(parents=True)
            (path / "deep" / "link").symlink_to(tmp_path)
        case "pipe":
            os.mkfifo(path)
        case "link":
            path.symlink_to(kept)
        case "dangling link":
            path.symlink_to(tmp_path / "nowhere")
        case "socket":
            with socket.socket(socket.AF_UNIX) as one:
                one.bind("thing")
        case _:
            try:
                os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))
            except PermissionError:
                pytest.skip("may not make a device")
    return path


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR, WRITING, WRITING | os.O_TRUNC])
def test_what_is_no_file_is_not_opened(thing: Path, flags: int) -> None:
    with pytest.raises(NotPlain, match="in the place of a file"):
        open_plain(str(thing), flags)
    assert (thing.parent / "kept").read_text() == "kept"
    assert not (thing.parent / "nowhere").exists()


@pytest.mark.parametrize("held", [os.O_RDONLY | os.O_NONBLOCK, os.O_RDWR])
def test_a_pipe_with_somebody_at_its_other_end(tmp_path: Path, held: int) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    fd = os.open(path, held)
    for flags in (os.O_RDONLY, WRITING):
        with pytest.raises(NotPlain):
            open_plain(str(path), flags)
    os.close(fd)


def test_it_has_no_size_and_can_be_removed(thing: Path) -> None:
    assert size_of(str(thing)) == 0
    remove(str(thing))
    assert not os.path.lexists(thing)
    assert (thing.parent / "kept").read_text() == "kept"
    remove(str(thing))


def test_a_lease_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "leased"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    fcntl.fcntl(fd, fcntl.F_SETSIG, 18)  # SIGCONT instead of SIGIO, which would end us
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    with pytest.raises(BlockingIOError):
        open_plain(str(path))
    os.close(fd)
    assert read_plain(str(path), 10) == b""


def test_a_file_is_read_as_far_as_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert read_plain(str(path), 3_000_000) == b"\0" * 3_000_000
    path.write_bytes(b"short")
    assert (read_plain(str(path), 100), size_of(str(path))) == (b"short", 5)
    fd = open_plain(str(path))
    assert os.get_blocking(fd)
    assert not os.get_inheritable(fd)
    os.close(fd)
