"""Files that are gone from the watched directory: what is removed, what the guard holds, and until when."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gnomon.jobfiles import looking
from gnomon.jobfiles.snapshot import Snapshot, Stamp
from tests.unit.jobfiles.hands import GOOD, Hands, denied, hands_in


@pytest.fixture
def hands(tmp_path: Path) -> Hands:
    return hands_in(tmp_path)


def emptied(hands: Hands) -> list[str]:
    """Three files that were read, and are gone all at once."""
    paths = [hands.write(f"{name}.yaml", GOOD.format(name)) for name in "abc"]
    hands.look()
    for path in paths:
        os.unlink(path)
    hands.look()
    return paths


def test_the_only_file_deleted_is_removed(hands: Hands) -> None:
    path = hands.write("a.yaml", GOOD.format("a"))
    hands.look()
    os.unlink(path)
    assert hands.watcher.scan().removed == ()
    hands.now += 0.4
    assert hands.watcher.scan().removed == (path,)
    assert path not in hands.watcher.good
    assert hands.watcher.guard is None


def test_a_file_that_comes_back_in_time_was_never_gone(hands: Hands) -> None:
    path = hands.write("a.yaml", GOOD.format("a"))
    hands.look()
    os.unlink(path)
    hands.watcher.scan()
    hands.now += 0.2
    hands.write("a.yaml", GOOD.format("a"))
    changes = hands.look()
    assert not changes.removed
    assert not changes.loaded


def test_a_directory_emptied_at_once_removes_nothing_until_confirmed(hands: Hands) -> None:
    paths = [hands.write(f"{name}.yaml", GOOD.format(name)) for name in "ab"]
    hands.look()
    for path in paths:
        os.unlink(path)
    for _ in range(5):
        changes = hands.look()
        assert changes.removed == ()
        assert changes.guard is not None
        assert changes.guard.code == "directory_emptied"
        assert "confirm-empty" in changes.guard.hint
    assert hands.watcher.held == set(paths)
    hands.watcher.confirm_empty()
    assert hands.watcher.scan().removed == tuple(paths)
    assert hands.watcher.guard is None


def test_a_directory_that_was_empty_and_has_fewer_files_is_believed_after_a_while(hands: Hands) -> None:
    paths = emptied(hands)
    hands.write("a.yaml", GOOD.format("a"))
    for _ in range(3):
        assert hands.look(4).removed == ()
        hands.write("d.yaml", GOOD.format("d") + "# " * int(hands.now % 1000))  # it is still being filled
    changes = hands.look(9)
    assert (changes.removed, changes.guard is not None) == ((), True)
    removed = {path for _ in range(4) for path in hands.look(2).removed}
    assert removed == set(paths[1:])
    assert hands.watcher.guard is None


def test_a_directory_that_comes_and_goes_is_watched_anew_each_time(hands: Hands, tmp_path: Path) -> None:
    paths = [hands.write(f"{name}.yaml", GOOD.format(name)) for name in "abc"]
    hands.look()
    away = tmp_path / "away"
    for path in paths[1:]:
        os.rename(path, f"{path}.off")
    os.rename(paths[0], f"{paths[0]}.off")
    hands.look()
    os.rename(f"{paths[0]}.off", paths[0])
    assert hands.look(5).removed == ()
    hands.root.rename(away)
    hands.root.mkdir(mode=0o755)
    assert hands.look(60).removed == ()
    hands.root.rmdir()
    away.rename(hands.root)
    assert hands.look(5).removed == ()
    assert {path for _ in range(8) for path in hands.look(2).removed} == set(paths[1:])


def test_what_the_guard_holds_is_released_when_it_comes_back(hands: Hands) -> None:
    paths = emptied(hands)
    hands.write("a.yaml", GOOD.format("a"))
    changes = hands.look()
    assert changes.removed == ()
    assert changes.guard is not None
    assert hands.watcher.held == set(paths[1:])
    hands.write("b.yaml", GOOD.format("b"))
    hands.write("c.yaml", GOOD.format("c"))
    assert hands.look().guard is None


def test_files_lost_one_after_another_within_the_settling_time_count_as_one_loss(hands: Hands) -> None:
    paths = [hands.write(f"{name}.yaml", GOOD.format(name)) for name in "abc"]
    hands.look()
    for path in paths:
        os.unlink(path)
        assert hands.watcher.scan().removed == ()
        hands.now += 0.25
    assert hands.look(1.0).removed == ()
    assert hands.watcher.guard is not None


def test_some_of_many_files_deleted_are_removed(hands: Hands) -> None:
    paths = [hands.write(f"{name}.yaml", GOOD.format(name)) for name in "abc"]
    hands.look()
    os.unlink(paths[0])
    os.unlink(paths[1])
    assert hands.look().removed == tuple(paths[:2])


@pytest.mark.parametrize("damage", ["missing", "unreadable", "a socket's place"])
def test_a_directory_that_cannot_be_read_removes_nothing(
    hands: Hands, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = hands.write("a.yaml", GOOD.format("a"))
    hands.look()
    aside = hands.root.rename(hands.root.with_name("aside"))
    if damage == "unreadable":
        aside.rename(hands.root)
        monkeypatch.setattr(looking.os, "scandir", denied)
    elif damage == "a socket's place":
        os.mkfifo(hands.root)
    changes = hands.look()
    codes = {"missing": "directory_missing", "unreadable": "directory_unreadable"}
    assert changes.guard is not None
    assert changes.guard.code == codes.get(damage, "not_a_directory")
    assert changes.removed == ()
    monkeypatch.undo()
    if damage == "missing":
        aside.rename(hands.root)
        changes = hands.look()
        assert changes.guard is None
        assert not changes
        assert path in hands.watcher.good


def test_a_directory_on_another_device_removes_nothing_until_confirmed(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = hands.write("a.yaml", GOOD.format("a"))
    other = hands.write("b.yaml", GOOD.format("b"))
    hands.look()
    shown = {other: Stamp(1, 2, 3, 99)}
    monkeypatch.setattr("gnomon.jobfiles.directory.look", lambda root: Snapshot(shown, {}, 99))
    changes = hands.look()
    assert changes.guard is not None
    assert changes.guard.code == "directory_other_device"
    assert changes.removed == ()
    hands.watcher.confirm_empty()
    assert hands.look().removed == (path,)


def test_after_a_restart_an_empty_directory_removes_nothing(hands: Hands) -> None:
    owned = [str(hands.root / "a.yaml"), str(hands.root / "b.yaml")]
    again = Hands(hands.root, owned)
    assert again.look().guard is not None
    assert again.watcher.held == set(owned)


def test_after_a_restart_a_single_lost_file_is_removed(hands: Hands) -> None:
    hands.write("b.yaml", GOOD.format("b"))
    lost = str(hands.root / "a.yaml")
    assert Hands(hands.root, [lost, str(hands.root / "b.yaml")]).look().removed == (lost,)


def test_files_elsewhere_that_own_jobs_are_broken_as_long_as_they_exist(hands: Hands, tmp_path: Path) -> None:
    there, gone = tmp_path / "there.yaml", tmp_path / "gone.yaml"
    there.write_text("x")
    assert Hands(hands.root, [str(there), str(gone)]).watcher.broken == {str(there)}
