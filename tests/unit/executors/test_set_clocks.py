"""What a successor reckons from its predecessor's time does not mind a clock that was set in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gnomon.executors.files import AttemptFiles, Intent, Reason, read_intent, record_intent
from gnomon.executors.pool.wire import Began, line, records
from gnomon.system.clock import VirtualClock

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("by_s", [0, 90, -90, 3600, -3600, 400 * 86400, -400 * 86400])
def test_a_call_began_as_long_ago_as_it_did(by_s: float) -> None:
    clock = VirtualClock(NOW)
    clock.advance(50)
    began = Began("r", 1, 1, clock.now().timestamp(), clock.steady())
    clock.jump(by_s)
    clock.advance(7)
    ((_, read),) = records(line("S", began))
    assert isinstance(read, Began)
    assert read.ago_s(clock) == pytest.approx(7)


def test_a_journal_that_does_not_know_is_read_by_the_wall_clock() -> None:
    clock = VirtualClock(NOW)
    ((_, read),) = records(b'["S","r",1,1,%d]\n' % (NOW.timestamp() - 5))
    assert isinstance(read, Began)
    assert read.ago_s(clock) == pytest.approx(5)


@pytest.mark.parametrize("by", [timedelta(0), timedelta(days=400), timedelta(days=-400)])
def test_a_grace_that_was_begun_goes_on(tmp_path: Path, by: timedelta) -> None:
    base = AttemptFiles(tmp_path).base("r", 1)
    Path(base).parent.mkdir(parents=True, exist_ok=True)
    mine = record_intent(base, Intent(Reason.TIMED_OUT, NOW + by))
    assert mine.waited_s() == 0.0, "it was decided now"
    found = read_intent(base)
    assert found is not None
    assert 0 <= found.waited_s() < 3600, "whatever the wall clock said when it was written"
    Path(base + ".intent").write_text('{"reason": "cancelled", "at": "2030-01-01T00:00:00Z"}')
    old = read_intent(base)
    assert old is not None
    assert old.waited_s() == 0.0
