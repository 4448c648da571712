"""What counts as a job file in the watched directory, and everything that is not a plain file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gnomon.jobfiles import looking
from gnomon.jobfiles.snapshot import is_job_file
from tests.unit.jobfiles.hands import GOOD, Hands, denied, hands_in


@pytest.fixture
def hands(tmp_path: Path) -> Hands:
    return hands_in(tmp_path)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("a.yaml", True),
        ("a.YML", True),
        ("a.b.json", True),
        ("a.toml", True),
        (".a.yaml", False),
        ("a.yaml~", False),
        ("a.yaml.tmp", False),
        (".a.yaml.swp", False),
        ("#a.yaml#", False),
        ("a.txt", False),
        ("yaml", False),
        (".yaml", False),
        ("gnomon.toml", False),
    ],
)
def test_which_names_count(name: str, counts: bool) -> None:
    assert is_job_file(name) is counts


def test_subdirectories_count_and_hidden_ones_do_not(hands: Hands) -> None:
    inside = hands.write("team/a/b.yaml", GOOD.format("b"))
    hands.write(".git/c.yaml", GOOD.format("c"))
    assert list(hands.look().loaded) == [inside]


def test_a_single_file_is_watched_too(hands: Hands) -> None:
    path = hands.write("a.yaml", GOOD.format("a"))
    hands.write("b.yaml", GOOD.format("b"))
    single = Hands(hands.root / "a.yaml")
    assert list(single.look().loaded) == [path]
    os.unlink(path)
    changes = single.look()
    assert changes.removed == ()
    assert changes.guard is not None
    assert changes.guard.code == "directory_missing"


def test_links_to_files_count_and_links_to_directories_are_reported(hands: Hands, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "real.yaml"
    target.parent.mkdir()
    target.write_text(GOOD.format("a"))
    os.symlink(target, hands.root / "a.yaml")
    os.symlink(target.parent, hands.root / "team")
    os.symlink(tmp_path / "nothing", hands.root / "b.yaml")
    os.symlink(hands.root / "loop.yaml", hands.root / "loop.yaml")
    changes = hands.look()
    assert list(changes.loaded) == [str(hands.root / "a.yaml")]
    codes = {Path(path).name: problems[0].code for path, problems in changes.failed.items()}
    assert codes == {"team": "symlinked_directory", "b.yaml": "file_unreadable", "loop.yaml": "symlink_loop"}
    os.unlink(hands.root / "team")
    hands.look()
    assert str(hands.root / "team") not in hands.watcher.failed


def test_a_pipe_never_blocks(hands: Hands) -> None:
    os.mkfifo(hands.root / "a.yaml")
    changes = hands.look()
    assert changes.failed[str(hands.root / "a.yaml")][0].code == "not_a_file"
    found = looking.read_file(str(hands.root / "a.yaml"))
    assert getattr(found, "code", "") == "not_a_file"


def test_a_file_that_may_not_be_read_keeps_its_last_good_version(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    path = hands.write("a.yaml", GOOD.format("a"))
    hands.look()
    hands.write("a.yaml", GOOD.format("b"), age=5)
    monkeypatch.setattr(looking.os, "open", lambda path, flags: denied(path))
    changes = hands.look()
    assert changes.failed[path][0].code == "file_unreadable"
    assert hands.watcher.good[path].jobs[0].job_id == "a"


def test_a_file_replaced_or_deleted_between_looking_and_reading_is_looked_at_again(hands: Hands) -> None:
    path = hands.write("a.yaml", GOOD.format("a"))
    stamp = looking.look(str(hands.root)).files[path]
    hands.write("a.yaml", GOOD.format("other"), age=3)
    assert looking.read_file(path, stamp) is None
    os.unlink(path)
    assert looking.read_file(path, stamp) is None


def test_more_than_a_megabyte_is_not_read(hands: Hands) -> None:
    path = hands.write("a.yaml", "#" * 3_000_000)
    data = looking.read_file(path)
    assert isinstance(data, bytes)
    assert len(data) == 1_000_001
    assert hands.look().failed[path][0].code == "file_too_large"


def test_a_world_writable_directory_is_refused(hands: Hands) -> None:
    path = hands.write("a.yaml", GOOD.format("a"))
    hands.look()
    for mode in (0o777, 0o1777):
        hands.root.chmod(mode)
        hands.write("b.yaml", GOOD.format("b"))
        changes = hands.look()
        assert changes.guard is not None
        assert changes.guard.code == "world_writable"
        assert not changes
        hands.watcher.confirm_empty()
        assert not hands.look().removed
    hands.root.chmod(0o755)
    assert hands.look().guard is None
    assert path in hands.watcher.good


def test_world_writable_files_and_subdirectories_are_refused(hands: Hands) -> None:
    path = hands.write("a.yaml", GOOD.format("a"))
    inside = hands.write("team/b.yaml", GOOD.format("b"))
    hands.look()
    os.chmod(path, 0o666)
    os.chmod(hands.root / "team", 0o777)
    changes = hands.look()
    assert {problems[0].code for problems in changes.failed.values()} == {"world_writable"}
    assert changes.removed == ()
    assert {path, inside} <= set(hands.watcher.good)
    os.chmod(path, 0o644)
    os.chmod(hands.root / "team", 0o755)
    hands.look()
    assert not hands.watcher.failed
