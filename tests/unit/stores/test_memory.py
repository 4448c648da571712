"""The store that keeps nothing."""

from __future__ import annotations

import gc
import sqlite3

import pytest

from gnomon.stores.memory import MemoryStore
from gnomon.system.clock import SystemClock


def test_one_that_is_gone_has_closed_its_connection() -> None:
    """From 3.13 on Python warns of one that is left to the collector: users of the testing room would see it."""
    store = MemoryStore(SystemClock())
    connection = store._db
    del store
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")
