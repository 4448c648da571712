"""The watchdog speaks when the loop stands still, once, and when it turns again."""

from __future__ import annotations

import json
import logging
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from gnomon.app.parts import open_parts
from gnomon.app.running import running
from gnomon.app.vitals import Vitals
from gnomon.app.watchdog import Watchdog
from gnomon.core.health import Check, Level
from gnomon.operations.settings import load_settings
from tests.support.service import until

running_module = sys.modules["gnomon.app.running"]


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


class Hook(BaseHTTPRequestHandler):
    heard: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        self.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *words: object) -> None: ...


def test_people_are_told_through_the_channels_of_every_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_module, "Watchdog", partial(Watchdog, look_s=0.02))
    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    alerts = {"default": ["ops"], "ops": {"type": "webhook", "url": f"http://127.0.0.1:{server.server_port}/"}}
    settings = load_settings({"db": f"sqlite:///{tmp_path}/g.db"}, {}, search=False, alerts=alerts)
    bad: list[Check] = []

    class Part:
        def checks(self) -> list[Check]:
            return bad

    try:
        with open_parts(settings, upgrade=True) as parts, running(parts, jobs=None) as node:
            node.vitals.ask(Part())
            node.start()
            until(lambda: node.node.elector.leading and node.watchdog._good >= 3, "it plans, and all is well")
            bad.append(Check("steps", Level.FAILING, "steps fail for a test"))

            def told() -> list[int]:
                return [n for n, one in enumerate(Hook.heard) if "steps fail for a test" in one["text"]]

            until(told, "people are told")
            bad.clear()
            until(lambda: [one for one in Hook.heard[told()[0] :] if one["health"]["level"] == "ok"], "the end of it")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert len(told()) == 1
    assert all(one["event"] == "health" for one in Hook.heard)
