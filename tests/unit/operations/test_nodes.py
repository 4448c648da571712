"""Locks of scheduler processes: what a killed one leaves tells the next that it is dead, at once."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gnomon.core.records import NodeRecord
from gnomon.operations.nodes import join_nodes
from gnomon.system.peers import Peers

KILLED = """
import os, signal, sys
from pathlib import Path
from gnomon.operations.nodes import join_nodes
lock = join_nodes(Path(sys.argv[1]), "killed")
os.kill(os.getpid(), signal.SIGKILL)
"""
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_the_next_one_knows_at_once_that_a_killed_one_is_dead(tmp_path: Path) -> None:
    """Its lease is not waited for, in which nothing would start."""
    database = tmp_path / "g.db"
    database.touch()
    subprocess.run([sys.executable, "-c", KILLED, str(database)], check=False)
    lock = join_nodes(database, "next")
    (left,) = (path for path in database.parent.rglob("*.lock") if path.stem == "killed")
    node = NodeRecord("killed", "host", 1, "boot", str(left), NOW, NOW + timedelta(seconds=30), 1, "1")
    assert Peers("next", "host", "boot").dead([node]) == ["killed"]
    lock.release()
