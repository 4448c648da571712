"""Jobs over REST."""

from __future__ import annotations

from tests.unit.web.calling import TASK, Caller, World

FILE = "/etc/gnomon/jobs.d/nightly.yaml"


def test_a_job_is_made_read_listed_changed_and_deleted(author: Caller, viewer: Caller, world: World) -> None:
    made = author.ask("POST", "/jobs", {"job_id": "a", "schedule": "every 1h", "task": TASK})
    assert made.status_code == 201
    assert viewer.get("/jobs/a")["schedules"][0]["rule"] == "every 1h"
    assert [job["job_id"] for job in viewer.get("/jobs")["items"]] == ["a"]
    assert author.put("/jobs/a", {"task": TASK, "schedule": "every 2h"})["definition_version"] == 2
    author.refused("POST", "/jobs", 409, "job_exists", {"job_id": "a", "task": TASK})
    author.delete("/jobs/a")
    author.refused("GET", "/jobs/a", 404, "job_not_found")
