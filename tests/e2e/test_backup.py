"""Backups of a database at work, killed in the middle, damaged, restored, and what runs after that."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gnomon.cli.main import main
from gnomon.stores import sqlite_copy, sqlite_files
from tests.support.service import Site, site, until


class Place(Site):
    """A site; commands run in this process."""

    capfd: pytest.CaptureFixture[str]

    def cli(self, *arguments: str, code: int | None = 0) -> Any:
        self.capfd.readouterr()
        got = main([*arguments, "--json"])
        out, err = self.capfd.readouterr()
        assert "Traceback" not in err
        assert code is None or got == code, (got, out, err)
        return json.loads(out) if out else json.loads(err)["errors"][0]["code"]

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        assert self.kill(process, signal.SIGTERM) == 0

    def tree(self) -> dict[str, int]:
        """What lies here, but for the scheduler's own → its size."""
        own = {"jobs.d", "serve.log", "ledger", "gnomon.toml"}
        return {
            str(path.relative_to(self.root)): path.stat().st_size
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and path.relative_to(self.root).parts[0] not in own
        }


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Place]:
    (tmp_path / "gnomon.toml").write_text('drain_timeout = "50ms"\nweb = false\n')
    one = Place(tmp_path)
    one.capfd = capfd
    monkeypatch.chdir(tmp_path)
    for name, value in one.environment().items():
        if name.startswith("GNOMON_"):
            monkeypatch.setenv(name, value)
    yield one
    one.close()
    for session in sessions(tmp_path):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(session, signal.SIGKILL)


def sessions(root: Path) -> list[int]:
    """Of the commands that were started here and left their claim."""
    return [int(path.read_text().split()[0]) for path in root.glob("*.d/attempts/??/*.claim")]


def job(job_id: str, command: str, **keys: object) -> dict[str, object]:
    return {"job_id": job_id, "task": {"type": "command", "command": command}, **keys}


def private(path: Path) -> bool:
    return all(stat.S_IMODE(p.stat().st_mode) == (0o700 if p.is_dir() else 0o600) for p in (path, *path.rglob("*")))


@pytest.mark.slow
def test_there_and_back_and_nothing_is_done_twice(place: Place) -> None:
    """Backup while jobs run; more happens; restore. Then only what catch-up says is run."""
    name = "kept.tar.gz"
    ledger = f'echo "$GNOMON_JOB_ID $GNOMON_RUN_ID" >> {place.ledger}'
    place.write("tick.json", job("tick", f"{ledger}; echo said", schedule="every 1s", catch_up="none"))
    place.write("late.json", job("late", ledger, schedule="every 1s", catch_up="latest"))
    place.write("slow.json", job("slow", f"{ledger}; sleep 1000", schedule="@startup"))
    place.write("queued.json", job("queued", ledger, pool="none", schedule="@startup"))
    (place.root / "gnomon.toml").write_text('drain_timeout = "50ms"\nweb = false\n[pools]\nnone = 1\n')
    place.write("block.json", job("block", "sleep 1000", pool="none", schedule="@startup", priority=9))
    process = place.serve()
    wanted = {("slow", "running"), ("block", "running"), ("queued", "queued")}
    until(lambda: wanted <= {(r["job_id"], r["state"]) for r in place.rows("select * from runs")}, str(place.log))
    until(lambda: place.states().get("succeeded", 0) >= 4, "some are over")
    made = place.cli("db", "backup", name)
    dest = place.root / name
    assert Path(made["path"]) == dest
    assert made["logs"] >= 2
    assert private(dest)
    assert not list(place.root.glob(".*.partial"))
    assert place.cli("db", "backup", name, code=2) == "backup_exists"
    ended = place.states()["succeeded"]
    until(lambda: place.states()["succeeded"] > ended + 2, "more is done after the backup")
    assert place.cli("db", "restore", name, "--force", code=2) == "scheduler_running"
    place.stop(process)
    before = place.tree()
    assert place.cli("db", "restore", name, code=2) == "database_exists"
    assert {k: v for k, v in place.tree().items() if not k.endswith(("-wal", "-shm"))} == before
    later = {row["id"] for row in place.rows("select id from runs where state = 'succeeded'")}

    done = place.cli("db", "restore", name, "--force")
    assert done["at"] == made["at"]
    assert (done["cancelled"], done["left"]) == (3, 2)
    assert Path(done["old"]).exists()
    assert {row["id"] for row in old_runs(Path(done["old"]))} == later
    states = {row["job_id"]: (row["state"], row["reason"]) for row in place.rows("select * from runs")}
    assert [states[job_id] for job_id in ("slow", "queued", "block")] == [("cancelled", "restored")] * 3
    assert place.rows("select 1 from attempts where outcome is null") == []
    assert all(check["ok"] for check in place.cli("db", "check")["checks"])
    (run,) = place.cli("runs", "list", "--job", "tick", "--state", "succeeded", "--limit", "1")
    assert place.cli("runs", "logs", run["id"])["log"] == "said\n"
    known = {row["id"] for row in place.rows("select id from runs")}
    (audit,) = place.rows("select * from audit where action = 'database.restore'")
    assert json.loads(audit["after"])["backup_at"] == made["at"]

    for name_ in ("slow.json", "queued.json", "block.json"):  # they would begin anew at this start
        (place.jobs / name_).unlink()
    process = place.serve()
    until(
        lambda: place.rows("select 1 from skips where job_id = 'tick' and reason = 'catch_up'"), "tick is not caught up"
    )
    until(
        lambda: place.rows("select 1 from skips where job_id = 'late' and reason = 'catch_up'"), "late is, but for one"
    )
    place.stop(process)
    missed = place.rows("select max(last_at) at from skips where reason = 'catch_up' and job_id = 'tick'")[0]["at"]
    again = [
        row["job_id"]
        for row in place.rows("select * from runs where due_at <= ?", missed)
        if row["id"] not in known and row["cause"] == "schedule"
    ]
    assert set(again) <= {"late"}
    assert len(again) <= 1


def old_runs(database: Path) -> list[Any]:
    db = sqlite3.connect(database)
    db.row_factory = sqlite3.Row
    try:
        return db.execute("select id from runs where state = 'succeeded'").fetchall()
    finally:
        db.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one run that printed something, made once: nobody is at work."""
    with site(tmp_path_factory.mktemp("template")) as one:
        one.write("once.json", job("once", "echo said", schedule="@startup"))
        process = one.serve("--no-web")
        until(lambda: one.states() == {"succeeded": 1}, "the run")
        assert one.kill(process, signal.SIGTERM) == 0
        return one.root


@pytest.fixture
def filled(place: Place, template: Path) -> Place:
    """The same, one's own."""
    shutil.copy2(template / "gnomon.db", place.db)
    shutil.copytree(template / "gnomon.db.d", f"{place.db}.d")
    return place


def test_kept_runs_begin_anew(filled: Place) -> None:
    run = filled.cli("run", "once")["id"]
    filled.cli("db", "backup", "b")
    assert filled.cli("db", "restore", "b", "--force", "--keep-runs")["cancelled"] is None
    assert filled.states() == {"queued": 1, "succeeded": 1}
    filled.serve()
    until(lambda: filled.rows("select 1 from runs where id = ? and state = 'succeeded'", run), "it runs now")


STALL = """
import sys, threading
from pathlib import Path
from gnomon.app import backup as app
from gnomon.operations import backup
from gnomon.operations.settings import load_settings
def stall(*_, **__):
    print("now", flush=True)
    threading.Event().wait()
where, db, dest = sys.argv[1:]
if where == "copying":
    told = stall
else:
    told = lambda *_: None
    setattr(backup, where, stall)
app.back_up(load_settings({"db": db}, {}, search=False), Path(dest), force=True, told=told)
"""


@pytest.mark.parametrize(
    ("where", "name", "existing"),
    [("copying", "b", False), ("_copy_logs", "b", True), ("_swap", "b", True), ("_swap", "b.tar.gz", True)],
)
def test_killed_in_the_middle_there_is_none_or_the_old_one(
    filled: Place, where: str, name: str, existing: bool
) -> None:
    dest = filled.root / name
    if existing:
        filled.cli("db", "backup", name)
    before = {k: v for k, v in filled.tree().items() if k.startswith(name)}
    command = [sys.executable, "-c", STALL, where, str(filled.db), str(dest)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        assert filled.cli("db", "backup", name, "--force", code=2) == "backup_running"
        process.kill()
    assert dest.exists() == existing
    assert {k: v for k, v in filled.tree().items() if k.startswith(name)} == before
    assert list(filled.root.glob(".*.partial"))
    filled.cli("db", "backup", name, "--force")
    assert not list(filled.root.glob(".*.partial"))
    assert filled.cli("db", "restore", name, "--db", "other.db")["cancelled"] == 0


STALL_RESTORE = """
import sys, threading
from pathlib import Path
from gnomon.app import backup as app
from gnomon.operations import restoring
from gnomon.operations.settings import load_settings
def stall(*_, **__):
    print("now", flush=True)
    threading.Event().wait()
where, db, file = sys.argv[1:]
setattr(restoring, where, stall)
app.restore(load_settings({"db": db}, {}, search=False), Path(file), force=True)
"""


@pytest.mark.parametrize(("where", "there"), [("settle", True), ("_give", False)])
def test_a_restore_killed_in_the_middle_loses_nothing_and_can_be_given_again(
    filled: Place, where: str, there: bool
) -> None:
    filled.cli("db", "backup", "b")
    filled.cli("run", "once")
    command = [sys.executable, "-c", STALL_RESTORE, where, str(filled.db), str(filled.root / "b")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        process.kill()
    assert filled.db.exists() == there
    (old,) = [filled.db] if there else filled.root.glob("gnomon.db.before-*Z")
    assert len(filled.cli("runs", "list", "--db", str(old))) == 2
    assert (filled.cli("db", "restore", "b", "--force")["old"] is not None) == there
    assert filled.states() == {"succeeded": 1}
    assert not list(filled.root.glob(".*.partial"))


def test_what_is_no_good_is_refused_and_changes_nothing(filled: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    filled.cli("db", "backup", "good")
    filled.cli("db", "backup", "good.tar.gz")
    packed = (filled.root / "good.tar.gz").read_bytes()
    (filled.root / "short.tar.gz").write_bytes(packed[: len(packed) // 2])
    (filled.root / "no-end.tar.gz").write_bytes(packed[:-1])
    (filled.root / "text.tgz").write_text("no archive")
    (filled.root / "empty").mkdir()
    changed = bytearray((filled.root / "good" / "gnomon.db").read_bytes())
    changed[-1] ^= 1
    (filled.root / "changed").mkdir()
    (filled.root / "changed" / "gnomon.db").write_bytes(changed)
    (filled.root / "changed" / "manifest.json").write_bytes((filled.root / "good" / "manifest.json").read_bytes())
    (filled.root / "later").mkdir()
    (filled.root / "later" / "gnomon.db").write_bytes((filled.root / "good" / "gnomon.db").read_bytes())
    manifest = json.loads((filled.root / "good" / "manifest.json").read_text())
    (filled.root / "later" / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    before = filled.tree()
    for name, code in (
        ("nothing", "backup_missing"),
        ("short.tar.gz", "backup_invalid"),
        ("no-end.tar.gz", "backup_invalid"),
        ("text.tgz", "backup_invalid"),
        ("empty", "backup_invalid"),
        ("changed", "backup_invalid"),
        ("later", "backup_invalid"),
        ("gnomon.toml", "not_a_database"),
    ):
        assert filled.cli("db", "restore", name, "--force", code=2) == code, name
        left = {k: v for k, v in filled.tree().items() if not k.endswith(("-wal", "-shm"))}
        assert left == before
    filled.write("once.json", job("once", "true"))
    for dest, code in (
        ("empty/../no/such", "backup_place"),
        (str(filled.db), "backup_place"),
        (f"{filled.db}.d/x", "backup_place"),
        (".", "backup_place"),
        ("jobs.d", "backup_exists"),
    ):
        assert filled.cli("db", "backup", dest, "--force", code=2) == code, dest
    assert filled.cli("db", "backup", "x", "--db", ":memory:", code=2) == "database_no_file"
    assert filled.cli("db", "backup", "x", "--db", "missing.db", code=2) == "database_missing"
    assert filled.cli("db", "check", "--db", "missing.db", code=2) == "database_missing"


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_root_gives_the_database_to_whose_it_was_or_whose_place_it_is(filled: Place) -> None:
    filled.cli("db", "backup", "good")
    os.chown(filled.db, 12345, 12346)
    filled.cli("db", "restore", "good", "--force")
    (filled.root / "sub").mkdir()
    os.chown(filled.root / "sub", 12345, 12346)
    filled.cli("db", "restore", "good", "--db", "sub/new.db")
    for path in (filled.db, filled.root / "sub" / "new.db"):
        found = [path, Path(f"{path}.d"), *Path(f"{path}.d").rglob("*.log")]
        assert len(found) >= 3
        assert {(p.stat().st_uid, p.stat().st_gid) for p in found} == {(12345, 12346)}


def test_a_place_that_others_prepared_is_refused(filled: Place) -> None:
    (filled.root / ".b.partial").mkdir()
    (filled.root / ".b.partial").chmod(0o755)  # whatever the umask says
    assert filled.cli("db", "backup", "b", code=2) == "backup_place"
    (filled.root / ".c.partial").symlink_to(filled.root / "jobs.d")
    assert filled.cli("db", "backup", "c", code=2) == "backup_place"
    assert list(filled.jobs.iterdir()) == []


def test_archives_take_nothing_elsewhere(filled: Place) -> None:
    filled.cli("db", "backup", "good")
    (filled.root / "evil").write_text("x")
    with tarfile.open(filled.root / "evil.tar.gz", "w:gz") as tar:
        tar.add(filled.root / "good" / "manifest.json", "manifest.json")
        tar.add(filled.root / "good" / "gnomon.db", "gnomon.db")
        for name in (
            "../out",
            "attempts/../../out.log",
            "attempts/aa/../../out.log",
            "attempts/aa/.log",
            "/tmp/out.log",
        ):
            tar.add(filled.root / "evil", name)
        link = tarfile.TarInfo("attempts/aa/link.1.log")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    filled.cli("db", "restore", "evil.tar.gz", "--db", "sub/new.db")
    found = {p.relative_to(filled.root / "sub").parts[0] for p in (filled.root / "sub").rglob("*")}
    assert found <= {"new.db", "new.db.lock", "new.db.next", "new.db.d"}
    assert not list(filled.root.rglob("out*"))
    assert not list((filled.root / "sub").rglob("*.log"))


def test_schemas_newer_is_refused_and_older_is_brought_up_to_date(
    filled: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stamp(path: Path, schema: str) -> None:
        db = sqlite3.connect(path)
        db.execute("UPDATE alembic_version SET version_num = ?", (schema,))
        db.commit()
        db.close()

    stamp(filled.db, "0777")
    assert filled.cli("db", "backup", "newer")["schema"] == "0777"
    assert filled.cli("db", "restore", "newer", "--db", "other.db", code=2) == "schema_newer"
    assert not (filled.root / "other.db").exists()

    upgraded = []
    for module in (sqlite_copy, sqlite_files):
        monkeypatch.setattr(module, "REVISIONS", ("0000", "0001"))
    monkeypatch.setattr("gnomon.stores.migrations.upgrade", lambda db: upgraded.append(1) or to_head(db))
    stamp(filled.db, "0000")
    filled.cli("db", "backup", "older")
    done = filled.cli("db", "restore", "older", "--db", "other.db")
    assert (done["from"], done["to"], upgraded) == ("0000", "0001", [1])
    assert filled.cli("runs", "list", "--db", "other.db")[0]["state"] == "succeeded"


def to_head(db: sqlite3.Connection) -> None:
    db.execute("UPDATE alembic_version SET version_num = '0001'")


def test_a_bare_database_can_be_restored_and_words_are_for_people(
    filled: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    filled.cli("db", "backup", "good", "--no-logs")
    assert sorted(p.name for p in (filled.root / "good").iterdir()) == ["gnomon.db", "manifest.json"]
    assert main(["db", "restore", "good/gnomon.db", "--db", "other.db"]) == 0
    assert "other.db is the database good/gnomon.db now" in capfd.readouterr().out
    assert main(["db", "check", "--db", "other.db"]) == 0
    assert "is whole" in " ".join(capfd.readouterr().out.split())  # a long path may break the line there
    assert main(["db", "backup", "again.tgz", "--db", "other.db"]) == 0
    assert "0 files of output" in capfd.readouterr().out
    with (filled.root / "other.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    assert main(["db", "check", "--db", "other.db"]) == 1
    assert "is damaged" in " ".join(capfd.readouterr().out.split())
    assert main(["db", "backup", "third", "--db", "other.db"]) == 2
    assert not (filled.root / "third").exists()
