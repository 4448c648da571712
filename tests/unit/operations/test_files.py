"""Job files into the store: what could not be written is not lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnomon.core.errors import Unavailable
from gnomon.jobfiles.directory import DirectoryWatcher
from gnomon.operations.files import FileDesk, list_files
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

    def look(self) -> None:
        for _ in range(4):
            self.seconds += 0.5
            self.files.look(leading=True)

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
