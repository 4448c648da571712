"""The watchdog speaks when the loop stands still, once, and when it turns again."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gnomon.app.parts import open_parts
from gnomon.app.running import running
from gnomon.app.vitals import Vitals
from gnomon.app.watchdog import Watchdog
from gnomon.core.health import Check, Level
from gnomon.operations.settings import load_settings
from tests.support.service import until


def test_a_loop_that_stands_still_is_told_once_and_so_is_its_recovery(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "gnomon")
    logging.getLogger("gnomon").propagate = True
    settings = load_settings({"db": f"sqlite:///{tmp_path}/g.db"}, {}, search=False)

    class Part:
        def checks(self) -> list[Check]:
            return said

    said: list[Check] = []
    with open_parts(settings, upgrade=True) as parts, running(parts, jobs=None) as node:
        node.start()
        until(lambda: node.node.elector.leading, "it plans")
        vitals = Vitals(node.node.record.node_id, [Part(), object()], parts.clock)
        watchdog = Watchdog(parts.desk("watchdog"), vitals, look_s=0.02)
        watchdog.start()

        def told() -> list[str]:
            return [r.getMessage() for r in caplog.records if r.getMessage().startswith("watchdog: ")]

        said.append(Check("steps", Level.FAILING, "the loop of this scheduler has stood still for 1000 s"))
        until(told, "it speaks")
        assert told()[0] == "watchdog: failing: the loop of this scheduler has stood still for 1000 s"
        said.clear()
        until(lambda: len(told()) == 2, "it speaks again")
        assert "healthy" in told()[1]
        watchdog.stop()
    assert len(told()) == 2, "not at every look"
