"""Job files into the store: what could not be written is not lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnomon.core.errors import Unavailable
from gnomon.core.health import MOST_TEXT
from gnomon.jobfiles.directory import DirectoryWatcher
from gnomon.operations.files import FileDesk, guard, list_files
from tests.unit.engine.deployment import Deployment

JOB = 'job_id: {job_id}\ntask: {{type: command, command: [echo, "{word}"]}}\nschedule: every 60s\n'


class Watched:
    """A directory and the desk that watches it, in virtual time."""

    def __init__(self, path: Path) -> None:
        self.d, self.path, self.seconds = Deployment(), path, 0.0
        self.files = FileDesk(self.d.desk, self.watcher())

    def watcher(self) -> DirectoryWatcher:
        return DirectoryWatcher(
            self.path,
            self.d.kinds,
            self.d.types,
            monotonic=lambda: self.seconds,
            wall=lambda: 2_000_000_000 + self.seconds,
            default_timezone="UTC",
            owned=set(),
        )

    def write(self, word: str) -> None:
        (self.path / "a.yaml").write_text(JOB.format(job_id="a", word=word))

    def look(self, *, leading: bool = True) -> None:
        for _ in range(4):
            self.seconds += 0.5
            self.files.look(leading)

    def told(self) -> list[str]:
        return [check.message for check in self.files.checks()]

    def word(self) -> str:
        record = self.d.read(lambda r: r.job("a"))
        assert record is not None
        return str(record.job.task.arguments["command"][1])  # type: ignore[index, call-overload]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_a_change_that_could_not_be_written_is_applied_when_the_store_is_back(watched: Watched) -> None:
    watched.write("one")
    watched.look()
    assert watched.word() == "one"
    watched.write("two, longer")
    watched.d.store.fails = "before"
    with pytest.raises(Unavailable):
        watched.look()
    watched.d.store.fails = None
    watched.look()
    assert watched.word() == "two, longer"


def test_a_file_that_went_while_the_store_was_away_retires_its_job(watched: Watched) -> None:
    watched.write("one")
    (watched.path / "b.yaml").write_text(JOB.format(job_id="b", word="x"))
    watched.look()
    (watched.path / "a.yaml").unlink()
    watched.d.store.fails = "before"
    with pytest.raises(Unavailable):
        watched.look()
    watched.d.store.fails = None
    watched.look()
    record = watched.d.read(lambda r: r.job("a"))
    assert record is not None
    assert record.retired_at is not None
    assert [str(f["path"]).rpartition("/")[2] for f in list_files(watched.d.desk)] == ["b.yaml"]


def test_the_one_that_applies_files_tells_of_those_with_mistakes(watched: Watched) -> None:
    watched.write("one")
    bad = watched.path / f"{'b' * 240}.yaml"
    bad.write_text(f"job_id: {'b' * 80}\ntask: [x]\nshedule: 1\n")
    watched.look(leading=False)
    assert watched.told() == []
    watched.look()
    (text,) = watched.told()
    assert text.startswith("1 job file has mistakes, see `gnomon jobs files`: ")
    assert len(text) <= MOST_TEXT, "there is room for few of them in the file of the lock"
    watched.look(leading=False)
    assert watched.told() == []
    watched.look()
    assert watched.told() == [text]
    bad.unlink()
    watched.look()
    assert watched.told() == []


class Pair:
    """Two job files that come and go."""

    def __init__(self, watched: Watched) -> None:
        self.paths = [watched.path / "b.yaml", watched.path / "c.yaml"]

    def fill(self) -> None:
        for path in self.paths:
            path.write_text(JOB.format(job_id=path.stem, word="x"))

    def empty(self) -> None:
        for path in self.paths:
            path.unlink()


def test_a_directory_is_believed_or_not_as_the_one_that_leads_finds_it(watched: Watched) -> None:
    """Whatever the one before it had found, and whatever it saw itself while it looked on."""
    pair = Pair(watched)
    pair.fill()
    watched.look()
    pair.empty()
    watched.look()
    assert guard(watched.d.desk) is not None
    assert watched.told()
    pair.fill()
    watched.files = FileDesk(watched.d.desk, watched.watcher())
    watched.look()
    assert guard(watched.d.desk) is None
    pair.empty()
    watched.look(leading=False)
    assert guard(watched.d.desk) is None
    watched.look()
    assert guard(watched.d.desk) is not None


def test_that_a_directory_is_not_believed_is_written_down_when_the_store_is_back(watched: Watched) -> None:
    pair = Pair(watched)
    pair.fill()
    watched.look()
    pair.empty()
    watched.d.store.fails = "before"
    with pytest.raises(Unavailable):
        watched.look()
    watched.d.store.fails = None
    watched.look()
    assert guard(watched.d.desk) is not None
    for path in pair.paths:
        record = watched.d.read(lambda r, job_id=path.stem: r.job(job_id))  # type: ignore[misc]
        assert record is not None
        assert record.retired_at is None
