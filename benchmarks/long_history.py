"""What a step of the scheduler costs with a million finished runs in its database, against one with none.

`python -m benchmarks.long_history [runs [rounds]]`: ten jobs fire every second and end at once, in virtual time on real
files (`synchronous=FULL`), both databases in turn. Processor time of a second of such work, the median of each round,
and the ratio; then the same for `health` and the metrics.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gnomon.core.values import to_micros
from gnomon.engine.settings import EngineSettings
from gnomon.operations.context import Desk
from gnomon.operations.gauges import gauges
from gnomon.operations.health import health
from gnomon.stores import open_store
from tests.support.history import lengthen
from tests.unit.engine.deployment import Deployment, begun, over, report

JOBS, SECONDS = 10, 100
Act = Callable[[], object]


class World:
    """A scheduler on a file, with that many finished runs."""

    def __init__(self, place: Path, count: int) -> None:
        self.d = d = Deployment(EngineSettings(retention_runs=10**9, retention_days=36_500, housekeeping=False))
        d.store = open_store(place, d.clock)  # type: ignore[assignment]
        d.desk = Desk(d.store, d.clock, d.logs, d.context("desk"), "bench")
        for number in range(JOBS):
            d.add(f"job{number}", "every 1s")
        self.node, self.executor = d.node()
        self.second()
        self.second()
        if count:
            self._lengthen(place, count)

    def _lengthen(self, place: Path, count: int) -> None:
        db = sqlite3.connect(place, isolation_level=None)
        found = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'runs' AND sql != ''"
        indexes = db.execute(found).fetchall()
        db.execute("PRAGMA synchronous=OFF")
        db.execute("PRAGMA cache_size=-400000")
        for table in ("skips", "audit", "changes", "incidents", "deliveries", "idempotency"):
            names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            db.execute(f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('1' for _ in names)})")
        db.execute("BEGIN")
        for name, _ in indexes:  # made anew when the rows are there: much faster
            db.execute(f"DROP INDEX {name}")
        lengthen(db, count, to_micros(self.d.clock.now()) - 60_000_000)
        for _, text in indexes:
            db.execute(text)
        db.execute("DELETE FROM nodes WHERE node_id LIKE 'old%'")  # the janitor's work
        db.execute("DELETE FROM incidents WHERE id = '1'")
        db.execute("DELETE FROM deliveries WHERE id = 1")
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()

    def second(self) -> None:
        self.d.clock.advance(1)
        self.node.step()
        now = self.d.clock.now()
        for spec in self.executor.started:
            report(self.node, begun(spec, now), over(spec, now))
        self.executor.started.clear()
        self.node.step()

    def acts(self) -> dict[str, Act]:
        desk = self.d.desk
        return {"a second": self.second, "health": lambda: health(desk), "metrics": lambda: gauges(desk)}


def microseconds(act: Act) -> float:
    """Of processor time, the median of many."""
    spent = []
    for _ in range(SECONDS):
        begin = time.process_time()
        act()
        spent.append(time.process_time() - begin)
    return statistics.median(spent) * 1e6


def main() -> None:
    count, rounds = (int(word) for word in (*sys.argv[1:3], *("1000000", "5")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as directory:
        begin = time.monotonic()
        worlds = {0: World(Path(directory) / "empty.db", 0), count: World(Path(directory) / "long.db", count)}
        took, size = time.monotonic() - begin, (Path(directory) / "long.db").stat().st_size
        print(f"{count:,} runs made in {took:.0f} s, {size:,} bytes")
        for name in worlds[0].acts():
            ratios, figures = [], []
            for _ in range(rounds):
                empty, long = (microseconds(world.acts()[name]) for world in worlds.values())
                ratios.append(long / empty)
                figures.append(f"{empty:.0f}/{long:.0f}")
            print(f"{name:10} {statistics.median(ratios):.2f} × ({', '.join(figures)} µs without/with)")


if __name__ == "__main__":
    main()
