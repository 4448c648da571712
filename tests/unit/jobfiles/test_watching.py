"""The watched directory: files settle, every new version is seen, and a broken one keeps the last good one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gnomon.jobfiles import directory
from gnomon.jobfiles.again import AGAIN_S
from tests.unit.jobfiles.hands import GOOD, Hands, hands_in


@pytest.fixture
def hands(tmp_path: Path) -> Hands:
    return hands_in(tmp_path)


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
