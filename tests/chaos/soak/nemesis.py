"""What is done to the scheduler: one fault at a time, chosen by the seed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.chaos.soak.jobs import INNOCENT, Plan, text
from tests.chaos.soak.world import World, uptime
from tests.support.things import put_back


class Nemesis:
    """Plays faults on a world; remembers when it did what, so that the judge knows what may be owed to whom."""

    def __init__(self, world: World, plan: Plan, rng: random.Random, only: frozenset[str] = frozenset()) -> None:
        """`only`: the names of the faults to play; none: all of them."""
        self.world, self.plan, self.rng = world, plan, rng
        self.process: subprocess.Popen[bytes] | None = None
        self.began = 0.0
        self.done: Counter[str] = Counter()
        self.moments: list[tuple[float, str]] = []
        self.acknowledged: list[str] = []
        self.resets: list[tuple[float, float]] = []  # wall clock before and after
        self.wrong: list[tuple[float, float]] = []  # what a wrong clock showed before each reset
        self.refused: list[str] = []
        self.faults: dict[str, tuple[int, Callable[[], None]]] = {
            "kill": (8, self.kill),
            "restart": (3, self.restart),
            "restart at once": (2, self.hurry),
            "hang up": (1, self.hang_up),
            "freeze": (3, self.freeze),
            "kill a worker": (4, self.kill_worker),
            "freeze a worker": (2, self.freeze_worker),
            "edit": (4, self.edit),
            "break a file": (2, self.break_file),
            "take a file away": (2, self.take_away),
            "pause": (3, self.pause),
            "cancel": (4, self.cancel),
            "run by hand": (4, self.by_hand),
            "clock a little": (4, self.nudge),
            "clock far": (1, self.far),
            "stop reading": (2, self.stop_reading),
            "state directory": (2, self.state_directory),
            "move the database": (1, self.move_database),
        }

        if only:
            self.faults = {name: fault for name, fault in self.faults.items() if name in only}

    def start(self) -> None:
        self.process, self.began = self.world.serve("--concurrency", "30"), time.monotonic()

    def strike(self) -> str:
        """One fault; returns its name."""
        names = list(self.faults)
        name = self.rng.choices(names, [self.faults[n][0] for n in names])[0]
        self.moments.append((uptime(), name))
        self.done[name] += 1
        self.faults[name][1]()
        if self.process is None or self.process.poll() is not None:
            if self.process is not None and self.process in self.world.alive:
                self.world.alive.remove(self.process)
            self.start()
        return name

    def last(self, names: set[str], before: float, within_s: float) -> bool:
        """Whether one of these faults happened in the `within_s` seconds before `before`."""
        return any(name in names and before - within_s <= at <= before for at, name in self.moments)

    # ---- processes ----

    def _end(self, number: int) -> int | None:
        """Signal the scheduler and wait for its end; one that does not hear is killed, and that is held against it."""
        assert self.process is not None
        try:
            return self.world.kill(self.process, number)
        except subprocess.TimeoutExpired:
            self.refused.append(
                f"{signal.Signals(number).name} was not heard within 20 s (reading: {self.world.reading.is_set()})"
            )
            return self.world.kill(self.process)

    def kill(self) -> None:
        for _ in range(self.rng.choice([1, 1, 2, 3])):
            assert self.process is not None
            self._end(signal.SIGKILL)
            self.start()
            _rest(self.rng.uniform(0.1, 2.5))

    def restart(self) -> None:
        code = self._end(signal.SIGTERM)
        young = time.monotonic() - self.began < 5  # it may not listen yet
        self._want(code == 0 or (young and code == -signal.SIGTERM), f"TERM ended with {code}")
        self.start()

    def hurry(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        _rest(self.rng.uniform(0.05, 1))
        self._end(signal.SIGTERM)
        self.start()

    def hang_up(self) -> None:
        assert self.process is not None
        self._end(signal.SIGHUP)
        self.start()

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        _rest(self.rng.choice([1, 3, 8, 35]))
        self.process.send_signal(signal.SIGCONT)

    def _worker(self) -> int | None:
        assert self.process is not None
        own = [p for p, env in self.world.ours().items() if "GNOMON_RUN_ID" not in env and _is_worker(p)]
        return self.rng.choice(own) if own else None

    def kill_worker(self) -> None:
        pid = self._worker()
        if pid is not None:
            _signal(pid, signal.SIGKILL)

    def freeze_worker(self) -> None:
        pid = self._worker()
        if pid is not None:
            _signal(pid, signal.SIGSTOP)
            _rest(self.rng.choice([1, 4, 12]))
            _signal(pid, signal.SIGCONT)

    # ---- files and people ----

    def edit(self) -> None:
        jobs = self.plan.documents["work.json"]
        job = self.rng.choice(jobs)
        job["description"] = f"edited at {uptime()}"
        self.world.write("work.json", text(jobs))

    def break_file(self) -> None:
        name = self.rng.choice(["work.json", "moving.json", "hostile.json"])
        good = text(self.plan.documents[name])
        self.world.write(name, good[: self.rng.randrange(len(good))])
        self.world.write("extra\udce9.json", '{"job_id": "extra", "task": ["true"]}')
        _rest(self.rng.uniform(0.2, 3))
        self.world.write(name, good)

    def take_away(self) -> None:
        path = self.world.jobs / "moving.json"
        path.unlink(missing_ok=True)
        _rest(self.rng.uniform(0.2, 4))
        self.world.write("moving.json", text(self.plan.documents["moving.json"]))

    def pause(self) -> None:
        job = self.rng.choice(self.plan.documents["work.json"])["job_id"]
        self._ask("jobs", "pause", job)
        _rest(self.rng.uniform(0.5, 5))
        self._ask("jobs", "resume", job)

    def cancel(self) -> None:
        rows = self.world.rows("select id from runs where state in ('running', 'queued', 'retry_wait') limit 20")
        if rows:
            self._ask("runs", "cancel", self.rng.choice(rows)["id"])

    def by_hand(self) -> None:
        job = self.rng.choice([j["job_id"] for j in self.plan.documents["work.json"]] + list(INNOCENT))
        answer = self._ask("run", job, "--no-wait")
        if answer is not None:
            self.acknowledged.append(answer["id"])

    def _ask(self, *arguments: str) -> dict[str, str] | None:
        """A command beside the scheduler; what it acknowledged is there for good."""
        command = ["-m", "gnomon", *arguments, "--json"]
        done = subprocess.run(
            [sys.executable, *command], cwd=self.world.root, env=self.world.environment(), capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        if done.returncode not in (0, 2, 3):
            self.refused.append(f"{arguments}: exit {done.returncode}: {done.stderr.strip()[-300:]}")
        if done.returncode != 0 or not done.stdout.strip():
            return None
        answer = json.loads(done.stdout)
        return answer if isinstance(answer, dict) else None

    # ---- surroundings ----

    def nudge(self) -> None:
        """Never behind the machine's, which a process with threads sees for a moment now and then (`faked`): runs of
        times that were still to come would be decided by it."""
        self.world.clock.set(abs(self.world.clock.offset + self.rng.choice([-15, -8, -2, -0.4, 0.4, 2, 8, 25])))

    def far(self) -> None:
        """Far ahead or back, perhaps over a restart, and right again; then as the manual says."""
        right = self.world.clock.offset
        wrong = right + self.rng.choice([-86_400, -7_200, 7_200, 86_400, 400 * 86_400])
        began = time.time() + wrong
        self.world.clock.set(wrong)
        _rest(self.rng.uniform(2, 6))
        if self.rng.random() < 0.5:
            self.restart()
            _rest(self.rng.uniform(1, 3))
        self.world.clock.set(right)
        self.wrong.append((began - 120, time.time() + wrong + 30))  # what was due shortly before is caught up
        if self.rng.random() < 0.5:
            self.kill()
        before = time.time() + right
        ids = [r["schedule_id"] for r in self.world.rows("select schedule_id from schedules")]
        self._ask("schedules", "reset", *ids)
        self.resets.append((before - 30, time.time() + right + 30))

    def stop_reading(self) -> None:
        self.world.reading.clear()
        _rest(self.rng.uniform(5, 20))
        if self.rng.random() < 0.5:
            self.restart()  # TERM is heard though nobody reads
        self.world.reading.set()

    def state_directory(self) -> None:
        folder = Path(f"{self.world.db}.d") / "attempts"
        away = folder.with_name("away")
        if not folder.is_dir():
            return
        folder.rename(away)
        folder.write_text("in the way")
        _rest(self.rng.uniform(0.5, 5))
        folder.unlink()
        put_back(away, folder)

    def move_database(self) -> None:
        """Not under one that has not opened it yet: where there is none, that begins a new one, and says so."""
        _rest(max(0.0, 15.0 - (time.monotonic() - self.began)))
        away = self.world.db.with_suffix(".away")
        self.world.db.rename(away)
        _rest(self.rng.uniform(0.5, 5))
        if not self.world.db.exists():
            away.rename(self.world.db)
        else:
            self._want(False, "a new database was made in the place of the one that was moved away")
            os.replace(away, self.world.db)

    def _want(self, fact: bool, otherwise: str) -> None:
        if not fact:
            self.refused.append(otherwise)


def _rest(seconds: float) -> None:
    time.sleep(seconds)  # the moment of the next blow is what chance is for


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_worker(pid: int) -> bool:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"gnomon" in line and b"serve" not in line
