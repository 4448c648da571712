"""What a scheduler knows of itself is known beside it: `gnomon health` of a process whose steps or threads fail."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from gnomon.app import unreported
from gnomon.app.parts import open_parts
from gnomon.app.running import running
from gnomon.app.unreported import Unreported
from gnomon.core.health import Health, Level
from gnomon.core.records import Source, SourceKind
from gnomon.executors import loop as executor_loop
from gnomon.executors.processes import find
from gnomon.operations.building import build_job
from gnomon.operations.health import health
from gnomon.operations.jobs import save_job
from gnomon.operations.runs import start_run
from gnomon.operations.settings import load_settings
from gnomon.operations.why import why
from tests.support.service import site, until

PYTHON = Source(SourceKind.PYTHON)
EVERY_SECOND = "job_id: a\nschedule: every 1s\ntask: {type: command, command: 'true'}\n"
REFUSE = "create trigger refuse before insert on runs begin select raise(abort, 'the disk is odd'); end"


def change(path: Path, sql: str) -> None:
    db = sqlite3.connect(path, timeout=30, isolation_level=None)
    db.execute(sql)
    db.close()


@pytest.mark.slow
def test_steps_that_fail_are_known_at_once_and_after_a_restart_too(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        place.write("a.yaml", EVERY_SECOND)
        process = place.serve()

        def told(*words: str) -> tuple[str, str]:
            found: dict[str, Any] = place.cli("health", *words, code=None)
            return found["level"], found["line"]

        until(lambda: told()[0] == "ok" and place.states(), "it works")
        change(place.db, REFUSE)
        until(lambda: told()[0] == "failing", "that its steps fail")
        line = told()[1]
        assert "steps of the scheduler fail" in line
        assert "the disk is odd" in line
        place.cli("health", code=1)
        place.kill(process)
        process = place.serve()
        until(lambda: "steps of the scheduler fail" in told()[1], "that they still do, well before any lease is over")
        change(place.db, "drop trigger refuse")
        until(lambda: told()[0] == "ok", "well again")
        place.cli("health", "--strict")


def test_a_thread_that_stands_still_and_calls_that_raise_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor_loop, "SLOW_S", 0.05)
    settings = load_settings({"db": f"sqlite:///{tmp_path}/g.db"}, {}, search=False)
    with open_parts(settings, upgrade=True) as parts, running(parts, jobs=None) as node:
        node.start()
        node.node.draining = True
        me = parts.desk("me")
        save_job(me, build_job({"job_id": "waits", "task": ["true"]}, parts.kinds, parts.task_types, "UTC"), PYTHON)
        start_run(me, "waits")

        def seen() -> Health:
            return health(parts.desk("somebody else"))

        until(lambda: seen().level is Level.OK, "well")
        for name in ("commands", "pool", "shared"):
            go_on = threading.Event()
            loop = _loop_of(node.node.executors[name])
            loop.submit(go_on.wait)  # type: ignore[arg-type]
            until(lambda: "has stood still" in seen().line, f"the thread of {name}")
            assert seen().level is Level.DEGRADED
            assert f"the thread gnomon-{name} has stood still" in seen().line
            explained = why(parts.desk("somebody else"), "waits")
            assert f"not well: the thread gnomon-{name} has stood still" in explained.verdict
            with monkeypatch.context() as patch:
                patch.setattr(executor_loop, "STALLED_S", 0.05)
                until(lambda: seen().level is Level.FAILING, "for long")
            go_on.set()
            until(lambda: seen().level is Level.OK, "well again")
        loop.submit(lambda: 1 / 0)  # type: ignore[arg-type,return-value]
        until(lambda: seen().level is Level.DEGRADED, "a call that raised")
        assert "calls of the thread gnomon-shared failed, 1 lately: ZeroDivisionError" in seen().line


def test_attempts_that_are_over_as_processes_only_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings({"db": f"sqlite:///{tmp_path}/g.db"}, {}, search=False)
    with open_parts(settings, upgrade=True) as parts, running(parts, jobs=None) as node:
        node.start()
        me, node_id = parts.desk("me"), node.node.record.node_id
        task = {"job_id": "a", "task": ["sleep", "600"]}
        save_job(me, build_job(task, parts.kinds, parts.task_types, "UTC"), PYTHON)
        start_run(me, "a")
        looking = Unreported(parts.store, parts.clock, node_id)

        def running_() -> Any:
            return [a.handle for a in parts.store.read(lambda r: r.live_attempts(node_id)) if a.handle is not None]

        handle = until(running_, "it runs")[0]
        looking.look()
        assert list(looking.checks()) == []
        node.node.inbox.put = lambda event: None  # its end is lost on the way
        node.node.executors["commands"]._parts.supervisor._sink = lambda event: None  # type: ignore[attr-defined]
        os.killpg(handle.process["pid"], signal.SIGKILL)
        until(lambda: find(handle.process["pid"]) is None or find(handle.process["pid"]).state == "Z", "it is gone")
        looking.look()
        assert list(looking.checks()) == [], "a moment is no trouble"
        monkeypatch.setattr(unreported, "PATIENCE_S", 0.0)
        looking.look()
        (found,) = looking.checks()
        assert "1 attempt is over as a process" in found.message


def _loop_of(executor: Any) -> executor_loop.Loop:
    parts = executor._parts
    found = parts.supervisor.loop if hasattr(parts, "supervisor") else parts.loop
    assert isinstance(found, executor_loop.Loop)
    return found


@pytest.mark.slow
def test_job_files_that_do_not_count_are_a_finding(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        place.write("a.yaml", EVERY_SECOND)
        place.serve()

        def told() -> tuple[str, str]:
            found: dict[str, Any] = place.cli("health", code=None)
            return found["level"], found["line"]

        until(lambda: told()[0] == "ok" and place.states(), "it works")
        place.write("a.yaml", EVERY_SECOND.replace("schedule", "shedule"))
        until(lambda: told()[0] == "degraded", "a mistake")
        place.cli("health", code=0)
        line = told()[1]
        assert "1 job file has mistakes" in line
        assert "a.yaml:2" in line
        place.cli("health", "--strict", code=1)
        place.write("a.yaml", EVERY_SECOND)
        until(lambda: told()[0] == "ok", "well again")
