"""A backfill over a clock change, of a paused job, in a real scheduler that is killed in its middle."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.service import Site, site, until

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(120)]

CAP = 2
SCRIPT = 'echo "begin $DAY" >>"$LEDGER"; sleep 0.15; echo "end $DAY" >>"$LEDGER"'


def _over(place: Site) -> bool:
    runs = place.rows("select state from runs where job_id = 'daily'")
    return bool(runs) and all(run["state"] == "succeeded" for run in runs)


def test_each_day_once_and_never_more_than_the_cap(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        task: dict[str, Any] = {
            "type": "command",
            "command": SCRIPT,
            "env": {"LEDGER": str(place.ledger), "DAY": "${fire_date}"},
        }
        job = {
            "job_id": "daily",
            "schedule": "30 2 * * *",
            "timezone": "Europe/Berlin",
            "overlap": "allow",
            "task": task,
        }
        place.write("daily.json", job)
        process = place.serve()
        until(lambda: place.rows("select 1 from jobs"), "the job")
        place.cli("jobs", "pause", "daily")
        span = ("--from", "2026-03-20", "--to", "2026-04-04", "--concurrency", str(CAP), "--yes")
        made = place.cli("backfill", "daily", *span)
        assert len(made["fires"]) == 16, "the day without a 02:30 has one fire as well"
        assert "2026-03-29T03:00:00+02:00" in [fire["local"] for fire in made["fires"]]
        for part in (4, 10):
            until(lambda n=part: len(place.ledger_lines()) >= 2 * n, "it goes on", 30)  # type: ignore[misc]
            place.kill(process)
            process = place.serve()
        until(lambda: _over(place), "all days are made good for", 60)
        lines = place.ledger_lines()
        days = [f"2026-03-{day}" for day in range(20, 32)] + [f"2026-04-0{day}" for day in range(1, 5)]
        assert Counter(map(tuple, lines)) == Counter((word, day) for day in days for word in ("begin", "end"))
        at_work = 0
        for word, _ in lines:
            at_work += 1 if word == "begin" else -1
            assert at_work <= CAP
        assert place.cli("backfill", "daily", *span)["there"] == 16, "doing it again makes nothing"
        assert place.cli("jobs", "show", "daily")["paused"] is True
        assert place.kill(process, signal.SIGTERM) == 0
