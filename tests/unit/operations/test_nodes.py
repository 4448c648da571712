"""The locks by which schedulers know each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnomon.core.errors import Conflict
from gnomon.operations.nodes import join_nodes, working_elsewhere, working_nodes


def test_a_second_one_on_another_file_of_the_name_is_refused(tmp_path: Path) -> None:
    database = tmp_path / "x.db"
    database.write_text("one")
    first = join_nodes(database, "first")
    same = join_nodes(database, "same")
    database.rename(tmp_path / "y.db")
    database.write_text("two")
    with pytest.raises(Conflict) as caught:
        join_nodes(database, "other")
    assert caught.value.code == "scheduler_running"
    assert working_nodes(database) == working_elsewhere(database) == ["first", "same"]
    first.release()
    same.release()
    other = join_nodes(database, "other")
    assert (working_nodes(database), working_elsewhere(database)) == (["other"], [])
    other.release()


def test_locks_that_the_killed_left_are_removed(tmp_path: Path) -> None:
    database = tmp_path / "x.db"
    database.write_text("one")
    first = join_nodes(database, "first")
    left = [tmp_path / "x.db.d" / "nodes" / f"dead{n}.lock" for n in range(5)]
    for lock in left:
        lock.touch()
    second = join_nodes(database, "second")
    assert sorted(path.name for path in left[0].parent.iterdir()) == ["first.lock", "second.lock"]
    first.release()
    second.release()
