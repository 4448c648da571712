"""Schedulers whose clock is wrong for a while: real processes under a clock that the test sets."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clocks import SetClock, wants_faketime
from tests.support.service import until

pytestmark = wants_faketime
HOUR, DAY = 3600.0, 86400.0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SetClock]:
    place = SetClock(tmp_path)
    yield place
    place.close()


def tick(site: SetClock, name: str, schedule: object = "every 1s", **more: object) -> None:
    """A job that writes its name to the ledger."""
    command = ["sh", "-c", f"echo {name} >> {site.ledger}"]
    job = {"job_id": name, "task": {"type": "command", "command": command}, "schedule": schedule, **more}
    site.write(f"{name}.yaml", [job])


def lines(site: SetClock, name: str) -> int:
    return sum(line == [name] for line in site.ledger_lines())


@pytest.mark.parametrize("ahead_s", [HOUR, 400 * DAY, -HOUR])
def test_who_left_with_a_wrong_clock_leaves_no_lead_behind(site: SetClock, ahead_s: float) -> None:
    site.ahead(ahead_s)
    tick(site, "before")
    first = site.serve()
    until(lambda: lines(site, "before"), "a run while the clock is wrong")
    assert site.kill(first, signal.SIGTERM) == 0
    site.ahead(0)
    site.serve()
    tick(site, "after")
    until(lambda: lines(site, "after"), "the next scheduler plans at once")


def test_nothing_is_removed_on_the_word_of_a_clock_that_was_just_set(site: SetClock) -> None:
    tick(site, "often")
    process = site.serve()
    until(lambda: site.states().get("succeeded", 0) >= 2, "runs that will be history")
    site.cli("jobs", "pause", "often")
    until(lambda: site.states().keys() == {"succeeded"}, "rest")
    history = site.states()
    site.ahead(400 * DAY)
    until(lambda: "where it was last believed" in site.log.read_text(), "a word about the clock")
    site.cli("jobs", "resume", "often")
    until(lambda: site.states().get("succeeded", 0) > history["succeeded"], "steps with the clock ahead")
    assert site.rows("select count(*) n from audit where action = 'job.pause'")[0]["n"] == 1
    site.kill(process, signal.SIGKILL)
    later = site.serve()  # and a start with it ahead is no better
    until(lambda: site.log.read_text().count("where it was last believed") >= 2, "a word at the start")
    seen = site.states()["succeeded"]
    until(lambda: site.states()["succeeded"] > seen, "steps of the second")
    site.ahead(0)
    until(lambda: "believed again" in site.log.read_text(), "the clock is right again")
    assert site.states()["succeeded"] > history["succeeded"]
    assert site.kill(later, signal.SIGTERM) == 0


def test_schedules_of_a_clock_that_was_ahead_are_named_and_started_anew(site: SetClock) -> None:
    site.ahead(9 * DAY)
    tick(site, "often")
    tick(site, "hourly", "* * * * * *")
    site.serve()
    until(lambda: lines(site, "often") and lines(site, "hourly"), "runs while the clock is ahead")
    site.ahead(0)
    until(lambda: "of a clock that was wrong" in site.log.read_text(), "a word in the log")
    until(lambda: "often:default" in str(site.cli("health", "--json", code=None)), "health names it")
    told = site.cli("why", "often")
    assert "of a clock that was wrong" in str(told), told
    assert any(f["name"] == "clock and schedules" for f in site.cli("doctor", code=None)["checks"])
    for name in ("often", "hourly"):
        seen = lines(site, name)
        site.cli("schedules", "reset", f"{name}:default")
        until(lambda n=name, s=seen: lines(site, n) > s, f"{name} goes on")  # type: ignore[misc]


@pytest.mark.parametrize("by_s", [90, -90, HOUR, -HOUR, 9 * DAY, -9 * DAY])
def test_timeouts_and_retries_do_not_mind_a_clock_that_is_set(site: SetClock, by_s: float) -> None:
    """In the process and over a restart: a minute is a minute."""
    long = {"type": "command", "command": ["sleep", "600"]}
    again = {"type": "command", "command": ["sh", "-c", f"echo again >> {site.ledger}; exit 1"]}
    retry = {"delay": "12s", "backoff": "fixed"}
    jobs = [
        {"job_id": "long", "task": long, "timeout": "600s", "schedule": "@reboot"},
        {
            "job_id": "again",
            "task": again,
            "restarts": 2,
            "retry": retry,
            "schedule": "@reboot",
        },
    ]
    site.write("jobs.yaml", jobs)
    first = site.serve()
    until(lambda: lines(site, "again") and site.states().get("running"), "both have begun")
    site.ahead(by_s)
    until(lambda: "where it was last believed" in site.log.read_text(), "it was noticed")
    until(lambda: lines(site, "again") == 2, "a retry after its delay, or at once")
    site.kill(first)
    site.ahead(0)
    site.serve()
    until(lambda: lines(site, "again") >= 3, "and over a restart", 40)
    (state,) = site.rows("select state from runs where job_id = 'long' order by rowid")[0]
    assert state == "running"  # the second start has made another one, which waits for it


@pytest.mark.parametrize("ahead_s", [0, -HOUR, -400 * DAY, HOUR])
def test_start_up_jobs_of_files_whose_time_lies_ahead_run(site: SetClock, ahead_s: float) -> None:
    """At the first start: the clock behind the files', or the files written a moment ago."""
    site.ahead(ahead_s)
    tick(site, "boot", "@reboot")
    tick(site, "often")
    site.serve()
    until(lambda: lines(site, "often") >= 2, "its files count")
    assert lines(site, "boot") == 1


@pytest.mark.parametrize("by_s", [HOUR, -HOUR])
def test_what_a_predecessor_began_is_as_old_as_it_is(site: SetClock, by_s: float) -> None:
    call = {"type": "python", "callable": "time:sleep", "args": [600]}
    command = {"type": "command", "command": ["sleep", "600"]}
    jobs = [
        {"job_id": name, "task": task, "timeout": "300s", "schedule": "@reboot"}
        for name, task in (("call", call), ("command", command))
    ]
    site.write("jobs.yaml", jobs)
    first = site.serve()
    begun = "select count(*) n from attempts where started_at is not null"
    until(lambda: site.rows(begun) and site.rows(begun)[0]["n"] == 2, "both have begun")
    site.kill(first)
    (site.jobs / "jobs.yaml").unlink()  # the next start begins no others
    site.ahead(by_s)
    tick(site, "often")
    site.serve()
    until(lambda: "took over 2 attempts" in site.log.read_text(), "the next has them")
    until(lambda: lines(site, "often") >= 2, "and steps")
    assert {r["state"] for r in site.rows("select state from runs where job_id in ('call', 'command')")} == {"running"}
