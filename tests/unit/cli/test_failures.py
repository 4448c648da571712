"""Bad input: one clear error, the right exit code, no traceback."""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from gnomon.cli import jobs
from gnomon.cli.failures import write_traceback
from gnomon.cli.sanitising import colours_only, held_back
from gnomon.core.errors import Problem, Unavailable
from tests.unit.cli.conftest import Gnomon


def test_a_bug_that_comes_every_few_seconds_fills_no_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def step(text: str) -> Path | None:
        try:
            raise RuntimeError(text)
        except RuntimeError as error:
            return write_traceback(error)

    first = [step(f"at step {n}") for n in range(20)]
    assert set(first) == set(tmp_path.glob("gnomon-bug-*.log"))
    for path in tmp_path.glob("gnomon-bug-*.log"):
        path.unlink()
    assert (again := step("once more")) is not None
    assert again.exists(), "a file that was removed is written anew"


FILES = {
    "unknown key": ("{job_id: a, timeot: 1, task: {type: command, command: x}}", "unknown_key"),
    "cron": ("{job_id: a, schedule: '99 * * * *', task: {type: command, command: x}}", "cron_invalid"),
    "date": ("{job_id: a, schedule: '2026-02-30T00:00:00Z', task: {type: command, command: x}}", "time_invalid"),
    "never": ("{job_id: a, schedule: '0 0 30 2 *', task: {type: command, command: x}}", "cron_never_fires"),
    "zone": ("{job_id: a, timezone: Mars/X, task: {type: command, command: x}}", "timezone_invalid"),
    "cycle": (
        "jobs: [{job_id: a, depends_on: [b], task: {type: command, command: x}},"
        " {job_id: b, depends_on: [a], task: {type: command, command: x}}]",
        "dependency_cycle",
    ),
    "yaml": ("jobs: [", "yaml_syntax"),
    "empty": ("", "empty_file"),
    "alias": ("a: &a 1\nb: *a", "yaml_alias"),
    "type": ("{job_id: a, task: {type: nosuch}}", "unknown_task_type"),
    "id": ("{job_id: 'a b', task: {type: command, command: x}}", "bad_job_id"),
    "twice": ("jobs: [{job_id: a, task: {type: command, command: x}}, {job_id: a, task: {type: command, command: x}}]",
              "duplicate_job_id"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_bad_files(gnomon: Gnomon, place: Path, name: str) -> None:
    text, code = FILES[name]
    (place / "f.yaml").write_text(text)
    found = {error["code"] for error in gnomon("validate", "f.yaml", "--json", code=2).json["errors"]}
    assert code in found
    assert code in gnomon("validate", "f.yaml", code=2).out
    assert code in {error["code"] for error in gnomon("run", "f.yaml", "--json", code=2).errors}
    assert code in {error["code"] for error in gnomon("jobs", "add", "f.yaml", "--json", code=2).errors}
    assert not (place / "g.db").exists()


WORDS = [
    ("nosuch", "command_line"),
    ("jobs nosuch", "command_line"),
    ("runs list --limit 0", "command_line"),
    ("runs list --nosuch", "command_line"),
    ("runs list --state runing", "state_unknown"),
    ("runs list --since 25:00", "time_invalid"),
    ("runs list --label x", "label_invalid"),
    ("runs list --type nosuch", "task_type_unknown"),
    ("runs list --job clok", "job_not_found"),
    ("runs list --cursor nonsense", "bad_cursor"),
    ("runs show nosuchrun", "run_not_found"),
    ("runs logs nosuchrun -f", "run_not_found"),
    ("runs delete", "nothing_named"),
    ("runs delete --job clock x", "nothing_named"),
    ("jobs delete", "nothing_named"),
    ("jobs delete clock --type shell", "nothing_named"),
    ("jobs delete clock nosuch --yes", "job_not_found"),
    ("jobs delete clock owned --yes", "owned_by_file"),
    ("schedules delete owned --yes", "owned_by_file"),
    ("schedules delete", "nothing_named"),
    ("schedules show nosuch", "schedule_not_found"),
    ("schedules edit clock 99", "cron_invalid"),
    ("jobs delete clock", "not_confirmed"),
    ("jobs show clok", "job_not_found"),
    ("run clok", "job_not_found"),
    ("run byhand", "parameter_missing"),
    ("run byhand -p count=x", "parameter_type"),
    ("run byhand -p cuont=1", "parameter_unknown"),
    ("run byhand -p count", "parameter_invalid"),
    ("run .", "not_a_file"),
    ("why clok", "job_not_found"),
    ("why clock nonsense", "time_invalid"),
    ("why clock --nosuch", "time_invalid"),
    ("next clok", "job_not_found"),
    ("next @dialy", "cron_invalid"),
    ("next @daily --timezone Mars/X", "timezone_invalid"),
    ("next @daily --count 0", "count_out_of_range"),
    ("next @daily --after yesteryear", "time_invalid"),
    ("next {cron:", "yaml_syntax"),
    ("validate nosuch.yaml", None),
    ("serve --jobs-dir nosuch", "jobs_dir_missing"),
    ("serve --concurrency 0", "setting_invalid"),
    ("serve --timezone Mars/X", "timezone_invalid"),
    ("serve --memory --db x", "command_line"),
    ("serve --log-level loud", "setting_invalid"),
    ("--config nosuch.toml jobs list", "config_missing"),
    ("--db postgresql://x/y jobs list", "postgresql_missing"),
    ("--db nosuch://x jobs list", "unknown_store"),
    ("--db . jobs list", "database_cannot_open"),
]  # fmt: skip


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize(("words", "code"), WORDS, ids=[words for words, _ in WORDS])
def test_bad_words(gnomon: Gnomon, words: str, code: str | None) -> None:
    split = words.split() if "{" not in words else words.split(" ", 1)
    done = gnomon(*split, "--json", code=2)
    if code is not None:
        assert done.errors[0]["code"] == code
        assert done.errors[0]["message"]
    people = gnomon(*split, code=2)
    assert code is None or f"[{code}]" in people.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("runs list --state foo", "state_unknown"),
        ("runs list --type nosuch", "task_type_unknown"),
        ("runs list --cursor nonsense", "bad_cursor"),
        ("jobs list --cursor nonsense", "bad_cursor"),
        ("jobs list --label x", "label_invalid"),
        ("jobs list --due-from 25:00", "time_invalid"),
        ("schedules list --cursor nonsense", "bad_cursor"),
    ],
)
def test_bad_words_are_refused_though_there_is_no_database(gnomon: Gnomon, place: Path, words: str, code: str) -> None:
    assert gnomon(*words.split(), "--json", code=2).errors[0]["code"] == code
    assert not (place / "g.db").exists()


@pytest.mark.usefixtures("parts")
def test_the_nearest_name_is_offered(gnomon: Gnomon) -> None:
    for words in (["run", "clok"], ["jobs", "show", "clok"], ["why", "clok"], ["next", "clok"]):
        assert "'clock'" in gnomon(*words, code=2).err


@pytest.mark.usefixtures("parts")
def test_a_newer_schema_is_left_alone(gnomon: Gnomon, place: Path) -> None:
    with closing(sqlite3.connect(place / "g.db")) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    db.close()
    for words in (["jobs", "list"], ["db", "upgrade"], ["runs", "show", "x"], ["serve", "--jobs-dir", "."]):
        assert gnomon(*words, "--json", code=2).errors[0]["code"] == "schema_newer"
    assert gnomon("doctor", "--json", code=1).json["ok"] is False


def test_no_database_at_all(gnomon: Gnomon, place: Path) -> None:
    (place / "g.db").write_text("nothing of the kind" * 100)
    assert gnomon("jobs", "list", "--json", code=2).errors[0]["code"] == "not_a_database"
    assert "is not a database" in gnomon("doctor", code=1).out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
@pytest.mark.usefixtures("parts")
def test_what_may_not_be_read(gnomon: Gnomon, place: Path) -> None:
    (place / "closed").mkdir(0o000)
    assert gnomon("validate", "closed", "--json", code=2).json["errors"][0]["code"] == "directory_unreadable"
    (place / "g.db").chmod(0o000)
    command = [sys.executable, "-m", "gnomon", "jobs", "list", "--json"]  # this process has it open
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stderr)["errors"][0]["code"]) == (2, "permission_denied")


@pytest.mark.usefixtures("parts")
def test_unavailable_is_3_and_a_bug_is_70(gnomon: Gnomon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise Unavailable(Problem("disk_full", "no room"))

    monkeypatch.setattr("gnomon.operations.jobs.list_jobs", full)
    assert gnomon("jobs", "list", "--json", code=3).errors[0]["code"] == "disk_full"

    def odd(*_: object) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr("gnomon.operations.jobs.list_jobs", odd)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = gnomon("jobs", "list", code=70)
    assert "this is a bug in gnomon: RuntimeError: odd" in done.err
    assert "RuntimeError: odd" in next(tmp_path.glob("gnomon-bug-*.log")).read_text()
    assert f"{next(tmp_path.glob('gnomon-bug-*.log'))} (GNOMON_DEBUG=1" in done.err

    def broken(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/some/file")

    monkeypatch.setattr("gnomon.operations.jobs.list_jobs", broken)
    assert "/some/file: Permission denied" in gnomon("jobs", "list", code=3).err

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gnomon.operations.jobs.list_jobs", interrupted)
    assert gnomon("jobs", "list", code=130).err == ""
    assert jobs.app is not None


def test_a_reader_that_goes_away_is_no_error() -> None:
    gnomon = f"{shlex.quote(sys.executable)} -m gnomon"
    command = f"{gnomon} --help | head -n 1; {gnomon} next @hourly --count 20000 | head -n 1"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""


HOSTILE = [
    (b"plain\ttext\n", b"plain\ttext\n"),
    (b"\x1b[31mred\x1b[0m\r\n", b"\x1b[31mred\x1b[0m\n"),
    (b"a\x1b[2Jb\x1b[10;10Hc", b"abc"),
    (b"\x1b]0;title\x07x\x1b]8;;http://x\x1b\\y", b"xy"),
    (b"\x1bP1$qm\x1b\\z\x1b_apc\x1b\\", b"z"),
    (b"\x1b[6n\x1b[?1049h\x1bc\x07\x08\x7f\r.", b"."),
    ("\x9b31m\x85é".encode(), "31mé".encode()),
    (b"\xff\xfe", "��".encode()),
    (b"\x1b[38;2;1;2;3mx", b"\x1b[38;2;1;2;3mx"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "clean"), HOSTILE)
def test_a_terminal_gets_colours_and_nothing_else(data: bytes, clean: bytes) -> None:
    assert colours_only(data) == clean


def test_sequences_and_characters_across_blocks() -> None:
    data = "é\x1b[31mx\x1b]0;t\x07y€\r\n".encode()
    for at in range(len(data)):
        first = data[:at]
        keep = held_back(first)
        shown = colours_only(first[: len(first) - keep]) + colours_only(first[len(first) - keep :] + data[at:])
        assert shown == "é\x1b[31mxy€\n".encode(), at


def seconds(*commands: Sequence[str]) -> list[float]:
    """The best of some tries of each, in turns, of processor time."""
    import resource

    best = [1e9] * len(commands)
    for _ in range(6):
        for place, command in enumerate(commands):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            best[place] = min(best[place], took)
    return best


def test_help_is_quick(tmp_path: Path) -> None:
    """The bar is 1.5 times a bare Typer program (`make bench`); here with room for noise."""
    (tmp_path / "bare.py").write_text(
        "import typer\napp = typer.Typer()\n"
        "@app.command()\ndef a(x: int = 1): 'A.'\n@app.command()\ndef b(x: int = 1): 'B.'\napp()\n"
    )
    ours, bare = seconds(["-m", "gnomon", "--help"], [str(tmp_path / "bare.py"), "--help"])
    assert ours < 2.0 * bare
