"""The watched directory: settling, last good versions, the guard, and everything that is not a plain file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from gnomon.jobfiles import directory, looking
from gnomon.jobfiles.again import AGAIN_S
from gnomon.jobfiles.directory import DirectoryWatcher
from gnomon.jobfiles.snapshot import Snapshot, Stamp, is_job_file
from tests.unit.jobfiles.rooms import KINDS, TASKS

GOOD = "job_id: {}\ntask: [date]\n"


class Hands:
    """A directory, its watcher, and a clock that stands still between steps."""

    def __init__(self, root: Path, owned: Iterable[str] = ()) -> None:
        self.root = root
        self.now = 1_000.0
        self.watcher = DirectoryWatcher(
            root, KINDS, TASKS, monotonic=lambda: self.now, wall=lambda: self.now + 1e9, owned=owned
        )

    def write(self, name: str, text: str, *, age: float = 10.0) -> str:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
        modified = self.now + 1e9 - age
        os.utime(path, (modified, modified))
        return str(path)

    def look(self, seconds: float = 0.5):  # type: ignore[no-untyped-def]
        """Look, wait, look again: the changes of both looks."""
        first = self.watcher.scan()
        self.now += seconds
        second = self.watcher.scan()
        second.loaded.update(first.loaded)  # type: ignore[attr-defined]
        second.failed.update(first.failed)  # type: ignore[attr-defined]
        return second if not first.removed else first


@pytest.fixture
def hands(tmp_path: Path) -> Hands:
    root = tmp_path / "jobs.d"
    root.mkdir(mode=0o755)
    return Hands(root)


def emptied(hands: Hands) -> list[str]:
    """Three files that were read, and are gone all at once."""
    paths = [hands.write(f"{name}.yaml", GOOD.format(name)) for name in "abc"]
    hands.look()
    for path in paths:
        os.unlink(path)
    hands.look()
    return paths


def test_at_the_first_look_old_files_are_read_at_once(hands: Hands) -> None:
    path = hands.write("a.yaml", GOOD.format("a"))
    changes = hands.watcher.scan()
    assert list(changes.loaded) == [path]
    assert changes.loaded[path].jobs[0].job_id == "a"
    assert not hands.watcher.scan()


def test_a_fresh_file_waits_until_it_has_settled(hands: Hands) -> None:
    path = hands.write("a.yaml", "job_id: a\n", age=0)
    assert not hands.watcher.scan()
    hands.now += 0.2
    hands.write("a.yaml", GOOD.format("a"), age=0)
    assert not hands.watcher.scan()
    hands.now += 0.2
    assert not hands.watcher.scan()
    assert hands.watcher.next_wait() <= 0.3
    hands.now += 0.2
    assert list(hands.watcher.scan().loaded) == [path]


def test_a_modification_time_in_the_future_does_not_hinder(hands: Hands) -> None:
    path = hands.write("a.yaml", GOOD.format("a"), age=-86_400)
    assert list(hands.look().loaded) == [path]


def test_a_changed_file_is_read_again_and_a_touched_one_is_not(hands: Hands) -> None:
    path = hands.write("a.yaml", GOOD.format("a"))
    hands.look()
    hands.write("a.yaml", GOOD.format("a"), age=5)
    assert not hands.look()
    hands.write("a.yaml", GOOD.format("b"), age=1)
    assert hands.look().loaded[path].jobs[0].job_id == "b"


def test_a_broken_version_keeps_the_last_good_one(hands: Hands) -> None:
    path = hands.write("a.yaml", GOOD.format("a"))
    hands.look()
    hands.write("a.yaml", "job_id: [", age=5)
    changes = hands.look()
    assert changes.failed[path][0].code == "yaml_syntax"
    assert changes.failed[path][0].file == path
    assert not changes.removed
    assert hands.watcher.good[path].jobs[0].job_id == "a"
    assert path in hands.watcher.failed
    hands.write("a.yaml", GOOD.format("a"), age=4)
    hands.look()
    assert not hands.watcher.failed


def test_an_emptied_file_is_a_broken_version(hands: Hands) -> None:
    path = hands.write("a.yaml", GOOD.format("a"))
    hands.look()
    hands.write("a.yaml", "", age=5)
    assert hands.look().failed[path][0].code == "empty_file"
    assert path in hands.watcher.good


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


def test_an_edit_that_keeps_size_and_time_is_seen(hands: Hands) -> None:
    path = hands.write("a.yaml", GOOD.format("a"))
    hands.look()
    before = os.stat(path)
    with open(path, "r+") as file:
        file.write(GOOD.format("b"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (os.stat(path).st_size, os.stat(path).st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert [job.job_id for job in hands.look().loaded[path].jobs] == ["b"]


@pytest.mark.parametrize("how", ["rename over", "hard link", "symbolic link", "older file"])
def test_however_a_file_is_replaced_it_is_seen(hands: Hands, tmp_path: Path, how: str) -> None:
    path = Path(hands.write("a.yaml", GOOD.format("a"), age=100))
    hands.look()
    other = tmp_path / "other.yaml"
    other.write_text(GOOD.format("b"))
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    if how == "rename over":
        other.rename(path)
    elif how == "older file":
        os.utime(other, (1, 1))
        other.rename(path)
    else:
        path.unlink()
        (path.hardlink_to if how == "hard link" else path.symlink_to)(other)
    assert [job.job_id for job in hands.look().loaded[str(path)].jobs] == ["b"]


def test_a_link_that_is_swapped_is_seen(hands: Hands, tmp_path: Path) -> None:
    """As Kubernetes mounts a ConfigMap: files link to ..data, and that to a directory that is replaced."""
    for name in "ab":
        (hands.root / f"..{name}").mkdir()
        (hands.root / f"..{name}" / "jobs.yaml").write_text(GOOD.format(name))
        os.utime(hands.root / f"..{name}" / "jobs.yaml", (1e9, 1e9))
    (hands.root / "..data").symlink_to("..a")
    path = hands.root / "jobs.yaml"
    path.symlink_to("..data/jobs.yaml")
    hands.look()
    (hands.root / "..data_tmp").symlink_to("..b")
    (hands.root / "..data_tmp").rename(hands.root / "..data")
    assert [job.job_id for job in hands.look().loaded[str(path)].jobs] == ["b"]


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
        monkeypatch.setattr(looking.os, "scandir", _denied)
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


def _denied(path: object) -> object:
    raise PermissionError(13, "Permission denied", str(path))


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
    monkeypatch.setattr(looking.os, "open", lambda path, flags: _denied(path))
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


def test_a_look_at_an_unchanged_directory_reads_nothing(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        hands.write(f"{number}.yaml", GOOD.format(number))
    hands.look()
    monkeypatch.setattr("gnomon.jobfiles.directory.read_file", lambda *args: pytest.fail("read"))
    assert not hands.look()
    assert 0.25 <= hands.watcher.next_wait() < 0.3


def test_a_broken_file_is_judged_again_when_what_it_needs_beside_it_has_changed(hands: Hands) -> None:
    calendar = hands.root / "closed.ics"
    schedule = f"schedule: {{every: 1h, exclude: 'ical:{calendar}'}}\n"
    path = hands.write("a.yaml", GOOD.format("a") + schedule)
    assert hands.look().failed[path][0].code == "ical_unreadable"
    assert not hands.look(AGAIN_S)
    assert not hands.look(AGAIN_S)
    calendar.write_text("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nEND:VCALENDAR\r\n")
    assert list(hands.look(AGAIN_S).loaded) == [path]
    assert not hands.watcher.failed
    assert not hands.look(AGAIN_S)


def test_a_broken_file_is_judged_again_the_more_rarely_the_longer_it_takes(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands.write("a.yaml", "job_id: [")
    read = directory.read_file
    times = []

    def slow(*args):  # type: ignore[no-untyped-def]
        times.append(hands.now)
        hands.now += 1
        return read(*args)

    monkeypatch.setattr(directory, "read_file", slow)
    for _ in range(120):
        hands.look(1)
    assert 3 <= len(times) <= 6
    assert list(hands.watcher.failed)
