from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from gnomon.executors import capping
from gnomon.executors.capping import CappedLog, hold, marker
from gnomon.executors.files import AttemptFiles
from gnomon.executors.logs import Logs

LIMIT = 1_000_000


class Writer:
    """A command's log as the spawner makes it."""

    def __init__(self, directory: Path) -> None:
        files = AttemptFiles(directory)
        self.path = Path(files.prepare("r", 1) + ".log")
        self.fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        hold(self.fd)
        self.log = CappedLog(str(self.path), LIMIT)
        self.logs = Logs(directory)

    def write(self, data: bytes) -> None:
        assert os.write(self.fd, data) == len(data)

    def close(self) -> None:
        os.close(self.fd)

    def follow(self, offset: int = 0) -> tuple[bytes, int]:
        parts: list[bytes] = []
        while True:
            part, following = self.logs.read("r", 1, offset, 300_000)
            if not part:
                return b"".join(parts), following
            assert following > offset
            parts.append(part)
            offset = following


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path)


def test_a_log_grows_and_is_followed(writer: Writer) -> None:
    writer.write(b"one\n")
    first, offset = writer.follow()
    writer.write(b"two\n")
    assert (first, writer.follow(offset)) == (b"one\n", (b"two\n", 8))
    writer.close()
    assert writer.log.finish() == 8
    assert writer.follow() == (b"one\ntwo\n", 8)
    assert writer.logs.size("r", 1) == 8


def test_offsets_stay_when_it_is_cut_and_when_it_is_made_compact(writer: Writer) -> None:
    lines = [b"%09d\n" % number for number in range(600_000)]  # 6 MB
    whole = b"".join(lines)
    for start in range(0, len(whole), 500_000):
        writer.write(whole[start : start + 500_000])
        writer.log.poll()
        assert writer.path.stat().st_blocks * 512 < LIMIT * 1.25 + 1_100_000
    live, end = writer.follow()
    assert end == len(whole) == writer.logs.size("r", 1)
    assert live.startswith(whole[: LIMIT // 2])
    assert live.endswith(whole[-LIMIT // 2 :])
    assert b"bytes cut" in live
    writer.close()
    size = writer.log.finish()
    assert size == writer.path.stat().st_size
    cut = marker(len(whole) - LIMIT)
    assert writer.path.read_bytes() == whole[: LIMIT // 2] + cut + whole[-LIMIT // 2 :]
    assert writer.follow() == (writer.path.read_bytes(), len(whole))
    assert writer.logs.size("r", 1) == len(whole)
    assert writer.logs.read("r", 1, len(whole) - 10)[0] == lines[-1]
    assert writer.logs.read("r", 1, len(whole) // 2)[0] == cut
    assert writer.log.finish() == size
    writer.logs.delete("r", 1)
    writer.logs.delete("r", 1)
    assert list(writer.path.parent.iterdir()) == []


def test_an_empty_log_goes_once_nobody_can_write_it(writer: Writer) -> None:
    assert writer.log.finish() is None
    writer.close()
    assert writer.log.finish() == 0
    assert not writer.path.exists()
    assert writer.follow() == (b"", 0)


def test_it_is_not_made_compact_under_a_daemon(writer: Writer) -> None:
    writer.write(b"x" * (LIMIT + 1000))
    assert writer.log.finish() is None
    writer.write(b"more")
    writer.close()
    assert writer.log.finish() == LIMIT + len(marker(1004))


def test_without_holes_the_head_is_kept(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "not here")

    monkeypatch.setattr(capping, "_punch", refuse)
    for _ in range(5):
        writer.write(b"a" * 1_000_000)
        writer.log.poll()
        assert writer.path.stat().st_size < 2_300_000
    writer.close()
    assert writer.log.finish() is not None
    assert writer.path.stat().st_size <= LIMIT + 100
    assert b"[\xe2\x80\xa6 about" in writer.path.read_bytes()
