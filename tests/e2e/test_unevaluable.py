"""A schedule that cannot be evaluated, in a real scheduler: all who are asked say so, and it goes on by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.service import site, until
from tests.unit.operations.test_standing_still import CLOSED


@pytest.mark.slow
def test_a_real_scheduler_says_it_and_goes_on_when_the_calendar_is_back(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        calendar = place.root / "closed.ics"
        text = CLOSED.format(day="20200101")
        calendar.write_text(text)
        task = {"type": "command", "command": "true"}
        place.write("a.yaml", {"job_id": "a", "schedule": {"every": "1s", "exclude": f"ical:{calendar}"}, "task": task})
        place.write("b.yaml", {"job_id": "b", "schedule": "every 1s", "task": task})
        place.serve()
        count = "select count(*) n from runs where job_id = 'a'"
        until(lambda: place.rows(count) and place.rows(count)[0]["n"] > 1, "it fires")
        calendar.unlink()
        until(lambda: place.cli("health")["level"] == "degraded", "that is told")
        found = place.cli("health", "--overdue", "1s")
        assert str(calendar) in found["line"]
        place.cli("health", "--strict", code=1)
        assert str(calendar) in place.cli("why", "a")["verdict"]
        assert str(calendar) in place.cli("next", "a")["why"]
        (job,) = (job for job in place.cli("jobs", "list") if job["job_id"] == "a")
        assert str(calendar) in job["schedules"][0]["fault"]
        before = place.rows(count)[0]["n"]
        calendar.write_text(text)
        until(lambda: place.rows(count)[0]["n"] > before, "it fires again")
        until(lambda: place.cli("health")["level"] == "ok", "all is well")
