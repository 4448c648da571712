"""Starting, stopping, forking, and the end of the interpreter."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gnomon import Scheduler, UsageError
from tests.support.service import until
from tests.unit.scheduler import tasks

Maker = Callable[..., Scheduler]
ROOT = Path(__file__).resolve().parents[3]


def program(tmp_path: Path, text: str, timeout_s: float = 30, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program of a user; warnings are errors."""
    path = tmp_path / "program.py"
    path.write_text(text)
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", str(path)],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@pytest.mark.parametrize("executor", ["thread", "process"])
def test_functions_run_where_they_should(on_file: Maker, executor: str) -> None:
    scheduler = on_file(executor=executor)
    scheduler.add_job("pid", tasks.pid)
    scheduler.add_job("async", tasks.thread_name)
    scheduler.add_job("fails", tasks.fail, kwargs={"message": "broken"})
    with scheduler:
        runs = {job: scheduler.wait(scheduler.run(job), 30) for job in ("pid", "async", "fails")}
    assert (runs["pid"].result == os.getpid()) == (executor == "thread")
    assert runs["async"].ok
    error = runs["fails"].error
    assert error is not None
    assert (error.code, error.message) == ("ValueError", "broken")


def test_it_fires_by_itself_and_stops(scheduler: Scheduler) -> None:
    scheduler.add_job("a", tasks.sample_task, interval=0.1, args=["tick"])
    scheduler.start()
    scheduler.start()
    until(lambda: len(scheduler.runs("a", state="succeeded")) >= 3, "three fires")
    scheduler.shutdown()
    scheduler.shutdown()
    after = scheduler.runs("a")
    assert all(run.finished and run.cause == "schedule" for run in after)
    assert [t for t in threading.enumerate() if t.name == "gnomon-engine"] == []
    assert scheduler.runs("a") == after
    scheduler.start()
    until(lambda: len(scheduler.runs("a", state="succeeded")) > len(after), "it goes on")


def test_what_was_printed_or_logged_is_kept(scheduler: Scheduler) -> None:
    logger = logging.getLogger("users.module")

    def speak() -> None:
        logger.warning("a word of warning")

    scheduler.add_job("speak", speak)
    scheduler.start()
    run = scheduler.wait(scheduler.run("speak"), 30)
    assert "WARNING users.module: a word of warning" in scheduler.log(run.id)


def test_shutdown_waits_for_what_runs(scheduler: Scheduler) -> None:
    tasks.GATE.clear()
    tasks.CALLS.clear()
    scheduler.add_job("slow", tasks.at_gate)
    scheduler.start()
    run = scheduler.run("slow")
    until(lambda: "began" in tasks.CALLS, "it runs")
    with pytest.raises(TimeoutError, match="slow is running"):
        scheduler.wait(run, 0.05)
    threading.Timer(0.2, tasks.GATE.set).start()
    scheduler.shutdown()
    assert scheduler.get_run(run.id).result == "through"


def test_shutdown_in_a_job_must_not_wait(scheduler: Scheduler) -> None:
    scheduler.add_job("suicide", scheduler.shutdown)
    scheduler.add_job("add", lambda: scheduler.add_job("more", tasks.pid).job_id)
    scheduler.start()
    assert scheduler.wait(scheduler.run("add"), 30).result == "more"
    error = scheduler.wait(scheduler.run("suicide"), 30).error
    assert error is not None
    assert "waits for the job that calls it" in error.message


def test_a_job_may_use_the_scheduler_while_it_stops(scheduler: Scheduler) -> None:
    tasks.GATE.clear()
    tasks.CALLS.clear()

    def slow() -> int:
        tasks.at_gate()
        return len(scheduler.jobs())

    scheduler.add_job("slow", slow)
    scheduler.start()
    run = scheduler.run("slow")
    until(lambda: "began" in tasks.CALLS, "it runs")
    threading.Timer(0.2, tasks.GATE.set).start()
    scheduler.shutdown()
    assert scheduler.get_run(run.id).result == 1


def test_async_functions_run_on_the_loop_of_the_application(scheduler: Scheduler) -> None:
    async def application() -> tuple[object, str]:
        scheduler.add_job("where", tasks.thread_name)
        serving = asyncio.create_task(scheduler.serve())
        run = await asyncio.to_thread(lambda: scheduler.wait(scheduler.run("where"), 30))
        scheduler.add_job("stop", _stopper(scheduler))
        stopped = await asyncio.to_thread(lambda: scheduler.wait(scheduler.run("stop"), 30))
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert stopped.error is not None
        return run.result, stopped.error.message

    where, message = asyncio.run(application())
    assert where == threading.current_thread().name
    assert "waits for the job that calls it" in message


def _stopper(scheduler: Scheduler) -> Callable[[], object]:
    async def stop() -> None:
        scheduler.shutdown()

    return stop


def test_serve_is_its_own_start(scheduler: Scheduler) -> None:
    scheduler.start()
    with pytest.raises(UsageError, match="starts the scheduler itself"):
        asyncio.run(scheduler.serve())


def test_serve_ends_with_shutdown(scheduler: Scheduler) -> None:
    async def application() -> None:
        serving = asyncio.create_task(scheduler.serve())
        await asyncio.to_thread(until, lambda: "not running" not in repr(scheduler), "it runs")
        await asyncio.to_thread(scheduler.shutdown)
        await asyncio.wait_for(serving, 10)

    asyncio.run(application())


def test_a_scheduler_that_nobody_holds_leaves_nothing(tmp_path: Path) -> None:
    for db in (None, tmp_path / "a.db"):
        scheduler = Scheduler(db)
        scheduler.add_job("a", tasks.pid)
        del scheduler
        gc.collect()


FORK = """
import os, sys
from gnomon import Scheduler
from tests.unit.scheduler import tasks
scheduler = Scheduler(sys.argv[1] if len(sys.argv) > 1 else DB)
scheduler.add_job("a", tasks.pid)
scheduler.add_job("local", lambda: os.getpid())
scheduler.start()
mine = scheduler.wait(scheduler.run("a"), 30).result
pid = os.fork()
if pid == 0:
    assert "not running" in repr(scheduler)
    assert [job.job_id for job in scheduler.jobs()] == ["a", "local"]
    scheduler.start()
    if DB is None:
        assert scheduler.wait(scheduler.run("local"), 30).result == os.getpid()
    else:
        scheduler.wait(scheduler.run("local"), 30)
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert scheduler.wait(scheduler.run("a"), 30).result in (mine, pid)
assert scheduler.wait(scheduler.run("local"), 30).ok
print("fine")
"""


@pytest.mark.parametrize("db", [None, "jobs.db"])
def test_a_forked_child_begins_anew(tmp_path: Path, db: str | None) -> None:
    text = f"DB = {db!r}\nimport warnings\nwarnings.simplefilter('ignore', DeprecationWarning)\n{FORK}"
    done = program(tmp_path, text)
    assert (done.returncode, done.stdout.strip()) == (0, "fine"), done.stderr


EXITS = {
    "not_started": "",
    "started": "scheduler.start()",
    "a run in a thread": """
scheduler.start()
from tests.support.service import until
scheduler.add_job("slow", lambda: threading.Event().wait(600))
run = scheduler.run("slow")
until(lambda: str(scheduler.get_run(run.id).state) == "running", "it runs")
""",
    "an async run": """
scheduler.start()
from tests.support.service import until
async def slow(): await asyncio.sleep(600)
scheduler.add_job("slow", slow)
run = scheduler.run("slow")
until(lambda: str(scheduler.get_run(run.id).state) == "running", "it runs")
""",
}


@pytest.mark.parametrize("case", EXITS)
@pytest.mark.parametrize("db", [None, "jobs.db"])
def test_nothing_keeps_the_interpreter_from_exiting(tmp_path: Path, db: str | None, case: str) -> None:
    text = "import asyncio, threading\nfrom gnomon import Scheduler\n"
    text += f"scheduler = Scheduler({db!r})\nscheduler.add_job('a', print, interval=60)\n{EXITS[case]}"
    done = program(tmp_path, text, 20)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_run_forever_ends_with_a_signal(tmp_path: Path) -> None:
    text = """
import os, signal, threading
from gnomon import Scheduler
scheduler = Scheduler()
def end():
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
    threading.Event().wait(0.5)
    print("ended")
scheduler.add_job("end", end)
scheduler.run("end")
scheduler.run_forever()
print(str(scheduler.runs("end")[0].state))
"""
    done = program(tmp_path, text)
    assert (done.returncode, done.stdout.split()) == (0, ["ended", "succeeded"]), done.stderr


def test_four_processes_add_the_same_jobs_at_once(tmp_path: Path) -> None:
    text = """
import multiprocessing
from gnomon import Scheduler
from tests.unit.scheduler import tasks
def add(gate):
    scheduler = Scheduler("jobs.db")
    gate.wait()
    for i in range(20):
        scheduler.add_job(f"job{i}", tasks.sample_task, interval=60, args=[str(i)])
if __name__ == "__main__":
    gate = multiprocessing.get_context("spawn").Barrier(4)
    all = [multiprocessing.get_context("spawn").Process(target=add, args=(gate,)) for _ in range(4)]
    for one in all: one.start()
    for one in all: one.join()
    jobs = Scheduler("jobs.db").jobs()
    print([one.exitcode for one in all], len(jobs), {job.definition_version for job in jobs})
"""
    done = program(tmp_path, text)
    assert (done.stdout.strip(), done.stderr) == ("[0, 0, 0, 0] 20 {1}", "")
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(tmp_path / "jobs.db")) as db:
        assert db.execute("select count(*) from audit where action = 'job.save'").fetchone() == (20,)


def test_a_restart_goes_on_where_it_stopped(on_file: Maker) -> None:
    first = on_file()
    job = first.add_job("a", tasks.sample_task, interval=3600, args=["x"])
    with first:
        run = first.wait(first.run("a"), 30)
    waiting = first.run("a")
    second = on_file()
    assert second.get_job("a") == job
    assert second.get_run(run.id) == run
    with second:
        assert second.wait(waiting, 30).ok


def test_what_a_dead_thread_had_is_done_again_unless_told_otherwise(tmp_path: Path, on_file: Maker) -> None:
    text = """
import os, threading
from gnomon import Scheduler
from tests.support.service import until
from tests.unit.scheduler import tasks
scheduler = Scheduler("jobs.db")
scheduler.add_job("again", tasks.at_gate)
scheduler.add_job("once", tasks.at_gate, on_lost="fail")
scheduler.start()
runs = [scheduler.run("again"), scheduler.run("once")]
until(lambda: len(tasks.CALLS) == 2, "both run")
until(lambda: all(scheduler.get_run(run.id).attempts[0].started_at for run in runs), "it is known")
os.kill(os.getpid(), 9)
"""
    assert program(tmp_path, text).returncode == -9
    tasks.GATE.set()
    scheduler = on_file()
    with scheduler:
        again, once = (scheduler.wait(scheduler.runs(job)[0], 30) for job in ("again", "once"))
    assert [a.outcome for a in again.attempts] == ["lost", "succeeded"]
    assert ([a.outcome for a in once.attempts], str(once.state)) == (["lost"], "failed")
