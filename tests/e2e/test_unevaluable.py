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


@pytest.mark.slow
def test_a_job_file_whose_calendar_comes_later_is_read_again(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        calendar = place.root / "closed.ics"
        text = CLOSED.format(day="20200101")
        schedule = {"every": "1s", "exclude": [f"ical:{calendar}"]}
        place.write("a.yaml", {"job_id": "a", "schedule": schedule, "task": {"type": "command", "command": "true"}})
        scheduler = place.serve()
        ok = "select 1 from job_files where ok = {}"
        until(lambda: place.rows(ok.format(0)), "the file is broken")
        (file,) = place.cli("jobs", "files")
        assert str(calendar) in file["problems"][0]["message"]
        calendar.write_text(text)
        until(lambda: place.rows(ok.format(1)), "the file is read again")
        (file,) = place.cli("jobs", "files")
        assert (file["ok"], file["problems"]) == (True, [])
        until(lambda: place.rows("select 1 from runs where job_id = 'a'"), "its job fires")

        place.kill(scheduler)
        calendar.unlink()
        place.serve()
        until(lambda: place.rows(ok.format(0)), "the file is broken again")
        calendar.write_text(text)
        until(lambda: place.rows(ok.format(1)), "the file is good again")
        assert str(calendar) not in str(place.cli("doctor", code=None))
