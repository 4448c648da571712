"""Async task types inside an application: whatever its database, wherever it runs functions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gnomon import Scheduler, register_task
from gnomon.tasks import registry
from tests.unit.scheduler.async_tasks import Nap


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    register_task("nap", Nap())


@pytest.mark.parametrize(("db", "where"), [("memory", "thread"), ("memory", "process"), ("sqlite", "thread")])
def test_they_share_one_process_that_is_not_ours(tmp_path: Path, db: str, where: str) -> None:
    url = "memory://" if db == "memory" else f"sqlite:///{tmp_path}/g.db"
    with Scheduler(url, executor=where) as scheduler:
        for index in range(5):
            scheduler.add_job(f"nap{index}", task={"type": "nap", "seconds": 0.1})
        scheduler.add_job("bad", task={"type": "nap", "seconds": -1})
        scheduler.add_job("long", task={"type": "nap", "seconds": 100}, timeout=0.3)
        runs = [scheduler.run(name) for name in (*(f"nap{index}" for index in range(5)), "bad", "long")]
        *naps, bad, late = [scheduler.wait(run, 30) for run in runs]
        assert {run.state for run in naps} == {"succeeded"}
        pids = {run.result["pid"] for run in naps}
        assert len(pids) == 1
        assert os.getpid() not in pids
        assert [bad.error and bad.error.code, late.error and late.error.code] == ["bad_nap", "timed_out"]
        assert bad.result == {"seconds": -1}
        assert scheduler.log(naps[0].id) == f"run {naps[0].id} naps\n"
