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
