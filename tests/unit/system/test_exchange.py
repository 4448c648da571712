"""Names exchanged in one step."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnomon.system.exchange import exchange


def test_directories_and_files_change_places(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    (one / "a").touch()
    other.write_text("b")
    if not exchange(one, other):
        pytest.skip("renameat2 is not here")
    assert one.read_text() == "b"
    assert (other / "a").exists()


def test_what_is_not_there_cannot_be_exchanged(tmp_path: Path) -> None:
    (tmp_path / "one").touch()
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "one", tmp_path / "none")
    assert (tmp_path / "one").exists()
