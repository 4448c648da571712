"""What is said when a database is opened."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gnomon.app.parts import open_parts
from gnomon.app.running import running
from gnomon.operations.settings import load_settings


def test_a_database_that_is_gone_is_missed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "gnomon")
    logging.getLogger("gnomon").propagate = True
    settings = load_settings({"db": f"sqlite:///{tmp_path}/g.db"}, {}, search=False)
    for _ in range(2):
        with open_parts(settings, upgrade=True) as parts, running(parts, jobs=None) as node:
            node.start()
    assert "there was one" not in caplog.text
    (tmp_path / "g.db").unlink()
    with open_parts(settings, upgrade=True):
        assert f"there is no database at {tmp_path}/g.db, though there was one" in caplog.text
