"""What `Scheduler(…)` itself refuses, in the words of Python."""

from __future__ import annotations

from typing import Any

import pytest

from gnomon import Scheduler, UsageError


@pytest.mark.parametrize("concurrency", [0, -1, 10_001, True, "5", 2.5])
def test_a_concurrency_that_cannot_be(concurrency: Any) -> None:
    with pytest.raises(UsageError) as caught:
        Scheduler(concurrency=concurrency)
    (problem,) = caught.value.problems
    assert (problem.code, problem.key) == ("setting_invalid", "concurrency")
    assert "--" not in str(caught.value), "there is no command line here"
    assert "1 to 10000" in problem.hint


def test_a_zone_that_cannot_be() -> None:
    with pytest.raises(UsageError) as caught:
        Scheduler(timezone="Europe/Berlinn")
    (problem,) = caught.value.problems
    assert (problem.key, "Europe/Berlin" in problem.hint) == ("timezone", True)
