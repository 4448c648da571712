"""What docs/python.md says about APScheduler 3.11 and about us, row by row."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gnomon import Scheduler
from gnomon.testing.virtual import VirtualScheduler
from tests.support.service import until

BERLIN = ZoneInfo("Europe/Berlin")
apscheduler = pytest.importorskip("apscheduler", reason="the peer is in the dependency group bench")

# Each call writes which fire it is for: what counts is how often a fire ran, not when on a busy machine.
THEIRS = """
import os
from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from work import tick
scheduler = BackgroundScheduler(jobstores={"default": SQLAlchemyJobStore(url="sqlite:///theirs.db")}, timezone="UTC")
scheduler.add_listener(lambda event: tick(event.scheduled_run_time.isoformat()), EVENT_JOB_EXECUTED)
scheduler.start()
scheduler.add_job(os.getpid, "interval", seconds=1, id="tick", replace_existing=True, start_date="2020-01-01")
"""
OURS = """
from gnomon import Scheduler
scheduler = Scheduler("ours.db")
scheduler.add_job("tick", "work:tick", interval=1, kwargs={"fire": "${fire_time}"})
scheduler.start()
"""
WORK = """
def tick(fire):
    with open("ledger", "ab", buffering=0) as file:
        file.write(f"{fire}\\n".encode())
"""
END = "import sys\nprint('up', flush=True)\nsys.stdin.read()\nscheduler.shutdown()\n"


def fired_by_two(directory: Path, program: str, enough: Callable[[Counter[str]], bool]) -> Counter[str]:
    """How often each fire ran, with two processes at work, until that is `enough`."""
    directory.mkdir()
    (directory / "work.py").write_text(WORK)
    (directory / "program.py").write_text(program + END)
    ledger = directory / "ledger"
    ledger.touch()
    command = [sys.executable, "program.py"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with ExitStack() as stack:
        both = []
        for _ in range(2):  # one after the other: theirs breaks when both make the table
            one = stack.enter_context(subprocess.Popen(command, cwd=directory, **pipes))
            stack.callback(one.kill)  # whatever happens, none is left behind
            both.append(one)
            assert one.stdout is not None
            assert one.stdout.readline() == b"up\n"
        begun = set(ledger.read_text().split())

        def counts() -> Counter[str]:
            return Counter(fire for fire in ledger.read_text().split() if fire not in begun)

        until(lambda: enough(counts()), "it fires", within_s=60)
        for one in both:
            one.communicate(b"", timeout=30)
        return counts()


@pytest.mark.slow
def test_two_processes_on_one_store(tmp_path: Path) -> None:
    theirs = fired_by_two(tmp_path / "theirs", THEIRS, lambda fires: 2 in fires.values())
    assert max(theirs.values()) == 2
    ours = fired_by_two(tmp_path / "ours", OURS, lambda fires: len(fires) >= 4)
    assert set(ours.values()) == {1}


def test_a_daily_job_across_both_clock_changes() -> None:
    from apscheduler.triggers.cron import CronTrigger

    trigger, fires = CronTrigger(hour=2, minute=30, timezone=BERLIN), []
    now, before = datetime(2025, 12, 31, 23, tzinfo=UTC), None
    while (fire := trigger.get_next_fire_time(before, now)) < datetime(2026, 12, 31, 23, tzinfo=UTC):
        fires.append(fire)
        before = now = fire
    assert len(fires) == 366
    assert [at.isoformat() for at in fires if at.date().isoformat() == "2026-10-25"] == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:30:00+01:00",
    ]
    scheduler = VirtualScheduler("2025-12-31T23:00:00Z", timezone="Europe/Berlin")
    scheduler.add_job("daily", cron="30 2 * * *")
    scheduler.advance(days=365)
    assert len(scheduler.fires("daily")) == 365


def test_started_an_hour_late() -> None:
    from apscheduler import events
    from apscheduler.schedulers.background import BackgroundScheduler

    seen: list[int] = []
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
    theirs = BackgroundScheduler(timezone="UTC")
    theirs.add_listener(lambda event: seen.append(event.code), events.EVENT_JOB_MISSED | events.EVENT_JOB_EXECUTED)
    late = datetime.now(UTC) - timedelta(hours=1)
    theirs.add_job(print, "interval", days=1, next_run_time=late)
    theirs.start()
    until(lambda: seen, "it has decided")
    theirs.shutdown()
    assert seen == [events.EVENT_JOB_MISSED]

    ours = VirtualScheduler("2030-01-01T00:00:00Z")
    ours.add_job("daily", cron="0 12 * * *")
    ours.stop()
    ours.advance(hours=13)
    ours.start()
    assert [str(run.state) for run in ours.runs("daily")] == ["succeeded"]


def test_a_lambda_and_what_is_kept(tmp_path: Path) -> None:
    from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
    from apscheduler.schedulers.background import BackgroundScheduler

    function: Callable[[], int] = lambda: 7  # noqa: E731 - the point
    store = SQLAlchemyJobStore(url=f"sqlite:///{tmp_path}/theirs.db")
    theirs = BackgroundScheduler(jobstores={"default": store}, timezone="UTC")
    theirs.start()
    with pytest.raises(ValueError, match="cannot be serialized"):
        theirs.add_job(function, "interval", seconds=1)
    theirs.shutdown()
    store.engine.dispose()
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as db:
        assert db.execute("select name from sqlite_master where type = 'table'").fetchall() == [("apscheduler_jobs",)]

    with Scheduler(tmp_path / "ours.db") as ours:
        ours.add_job("a", function)
        run = ours.wait(ours.run("a"), 30)
    assert (run.result, [attempt.outcome for attempt in run.attempts]) == (7, ["succeeded"])


def test_the_version_compared_with() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from importlib.metadata import version

    assert version("apscheduler").startswith("3.11.")
