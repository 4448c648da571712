"""Schedules that cannot be evaluated, since their calendar is gone or no calendar: all who are asked say so."""

from __future__ import annotations

import os
import zoneinfo
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.errors import Unavailable, UsageError
from gnomon.engine import planner
from gnomon.engine.node import Node
from gnomon.operations.fires import job_fires
from gnomon.operations.health import health
from gnomon.operations.jobs import show_job
from gnomon.operations.why import why
from gnomon.schedules import load_zone
from tests.unit.engine.deployment import Deployment

CLOSED = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Closed\r\n"
    "DTSTART;VALUE=DATE:{day}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


def closing(place: Path, **schedule: str) -> tuple[Deployment, Path, Node]:
    """A job `a` that leaves out the days of a calendar, planned once."""
    d, calendar = Deployment(), place / "closed.ics"
    calendar.write_text(CLOSED.format(day="20200101"))
    d.add("a", {**schedule, "exclude": f"ical:{calendar}"})
    node, _ = d.node()
    node.step()
    return d, calendar, node


def gone(path: Path) -> None:
    path.unlink()


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def large(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(2 << 30)


def broken(path: Path) -> None:
    path.write_text("<html>not found</html>")


@pytest.mark.parametrize("spoil", [gone, directory, pipe, large, broken])
def test_a_calendar_that_cannot_be_read_is_named_by_all_and_picked_up_when_it_is_mended(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    d, calendar, node = closing(tmp_path, every="1h")
    assert health(d.desk).ok
    spoil(calendar)
    d.clock.advance(planner.CALENDARS.total_seconds())
    node.step()
    told: Any = health(d.desk)
    assert str(told.level) == "degraded", "before its fire has come"
    assert [check.name for check in told.checks if not check.ok] == ["schedule_stands"]
    for text in (told.line, why(d.desk, "a").verdict, str(job_fires(d.desk, "a")["why"]), str(show_job(d.desk, "a"))):
        assert str(calendar) in text
    d.clock.advance(3600 + 61)
    node.step()
    told = health(d.desk)
    assert [check.name for check in told.checks if not check.ok] == ["overdue", "schedule_stands"]
    assert "1 schedule is overdue, a:default by" in told.line
    assert d.runs("a") == []
    if calendar.is_dir():
        calendar.rmdir()
    calendar.unlink(missing_ok=True)
    calendar.write_text(CLOSED.format(day="20200102"))
    d.clock.advance(planner.CALENDARS.total_seconds())
    node.step()
    assert health(d.desk).ok
    assert len(d.runs("a")) == 1, "what waited is decided"


def test_a_calendar_that_changes_moves_fires_that_are_rolled(tmp_path: Path) -> None:
    d, calendar, node = closing(tmp_path, cron="0 12 * * *", roll="next")
    (first,) = (entry["next_fire_at"] for entry in show_job(d.desk, "a")["schedules"])  # type: ignore[union-attr,index,call-overload]
    calendar.write_text(CLOSED.format(day=str(first)[:10].replace("-", "")))
    d.clock.advance(planner.CALENDARS.total_seconds())
    node.step()
    (second,) = (entry["next_fire_at"] for entry in show_job(d.desk, "a")["schedules"])  # type: ignore[union-attr,index,call-overload]
    assert str(second) > str(first)


def test_a_calendar_that_changes_while_the_database_is_away_is_not_forgotten(tmp_path: Path) -> None:
    d, calendar, node = closing(tmp_path, cron="0 12 * * *", roll="next")
    first = d.entry("a:default").cursor
    calendar.write_text(CLOSED.format(day=first.strftime("%Y%m%d")))
    d.clock.advance(planner.CALENDARS.total_seconds())
    d.store.fails = "rolled back"
    with pytest.raises(Unavailable):
        node.step()
    d.store.fails = None
    for _ in range(3):
        d.clock.advance(planner.CALENDARS.total_seconds())
        node.step()
    assert d.entry("a:default").cursor > first


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"timezone": "Mars/Olympus"}, "no time zone is called 'Mars/Olympus'"),
        ({"exclude": ("holidays:XX",)}, "no holiday calendar is called 'XX'"),
        ({"kind": "sundial"}, "no schedule kind is called 'sundial'"),
    ],
)
def test_whatever_is_gone_with_another_version_of_a_library_is_named(change: dict[str, Any], words: str) -> None:
    d = Deployment()
    job = d.job("a", "every 1h")
    d.save(replace(job, schedules=(replace(job.schedules[0], **change),)))
    d.add("b", "every 1h")
    node, _ = d.node()
    d.clock.advance(3600)
    node.step()
    assert words in health(d.desk).line
    assert words in why(d.desk, "a").verdict
    assert len(d.runs("b")) == 1, "others go on"


def test_a_zone_that_was_missing_is_found_when_it_is_there(tmp_path: Path) -> None:
    before = zoneinfo.TZPATH
    berlin = next(path for place in before if (path := Path(place) / "Europe/Berlin").is_file())
    try:
        zoneinfo.reset_tzpath([str(tmp_path)])
        with pytest.raises(UsageError):
            load_zone("Europe/Ceres")
        (tmp_path / "Europe").mkdir()
        (tmp_path / "Europe/Ceres").write_bytes(berlin.read_bytes())
        assert load_zone("Europe/Ceres").key == "Europe/Ceres"
    finally:
        zoneinfo.reset_tzpath(before)
