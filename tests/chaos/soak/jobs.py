"""The jobs of the soak: each writes to a ledger of its own what it did, and its environment says how it has to end."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ANCHOR = "2026-01-01T00:00:00Z"
INNOCENT = ("innocent/command", "innocent/call", "innocent/http")
"""Nothing is ever done to these; they start again within seconds whatever happened to the others."""

_SCRIPT = """say() { read -r up _ </proc/uptime
  echo "$1 $GNOMON_JOB_ID $GNOMON_RUN_ID $GNOMON_ATTEMPT $GNOMON_FIRE_TIME $up $(date +%s.%N) $CODE" >>"$LEDGER"; }
say start
"""

MODULE = r"""
import os, sys, time

class Odd:
    def __repr__(self): raise RuntimeError("no text of me")

class Half(Exception):
    def __str__(self): return "half \udce9"

def say(what, code):
    with open("/proc/uptime") as file: up = file.read().split()[0]
    e = os.environ
    told = [e.get("GNOMON_" + name, "") for name in ("JOB_ID", "RUN_ID", "ATTEMPT", "FIRE_TIME")]
    line = [what, *told, up, repr(time.time()), code]
    fd = os.open(e["LEDGER"], os.O_WRONLY | os.O_APPEND)
    os.write(fd, (" ".join(map(str, line)) + "\n").encode())
    os.close(fd)

def call(seconds=0, code=0, answer=None):
    say("start", code)
    time.sleep(seconds)
    say("end", code)
    if code: raise ValueError(code)
    return answer

def stubborn():
    import signal
    say("start", "timed_out")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True: time.sleep(0.2)

def hostile(kind):
    say("start", kind)
    if kind == "long":
        sys.set_int_max_str_digits(0)
        return 10**5000
    if kind == "infinite": return {"x": float("inf")}
    if kind == "odd": return Odd()
    if kind == "half": return "\udce9"
    if kind == "deep":
        value = []
        for _ in range(980): value = [value]
        return value
    if kind == "half_error": raise Half()
    if kind == "exit": os._exit(3)
    if kind == "kill": os.kill(os.getpid(), 9)
    if kind == "loud":
        for _ in range(2000): print("x" * 1000)
    if kind == "litter":
        os.environ["TZ"] = "Asia/Tokyo"; time.tzset(); os.chdir("/"); sys.stdout = None
    say("end", kind)
"""

_CALLS = ("long", "infinite", "odd", "half", "deep", "half_error", "exit", "kill", "loud", "litter")
_COMMANDS = {
    "infinite": """echo '{"x": 1e400}' >"$GNOMON_RESULT" """,
    "half": """printf '{"x": "\\\\udce9"}' >"$GNOMON_RESULT" """,
    "deep": """awk 'BEGIN {for (; i < 980; i++) {a = a "["; b = b "]"} print a b}' >"$GNOMON_RESULT" """,
    "folder": """rm -f "$GNOMON_RESULT"; mkdir "$GNOMON_RESULT" """,
    "pipe": """rm -f "$GNOMON_RESULT"; mkfifo "$GNOMON_RESULT" """,
    "exit_folder": """B=$${GNOMON_RESULT%.*}; rm -f "$B.exit"; mkdir "$B.exit" """,
    "log_pipe": """B=$${GNOMON_RESULT%.*}; rm -f "$B.log"; mkfifo "$B.log" """,
    "log_folder": """B=$${GNOMON_RESULT%.*}; rm -f "$B.log"; mkdir "$B.log" """,
    "zero": """rm -f "$GNOMON_RESULT"; ln -s /dev/zero "$GNOMON_RESULT" """,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A job file's worth of jobs; `every` in seconds, by job, for those of which each fire time must be decided."""

    documents: dict[str, list[dict[str, Any]]]
    every: dict[str, int]
    fragile: frozenset[str]
    """Jobs with `on_lost: fail`: at most one start a run."""


def plan(rng: random.Random, ledger: Path, url: str, modules: Path) -> Plan:
    """The jobs of one soak."""
    maker = _Maker(rng, ledger, url, modules)
    documents = {
        "innocent.json": maker.innocent(),
        "work.json": maker.work(),
        "moving.json": [maker.command(f"moving/{n}", 2, 0.1, 0) for n in range(3)],
        "hostile.json": maker.hostile(),
        "pipeline.json": maker.pipeline(),
    }
    every = {job["job_id"]: maker.every[job["job_id"]] for name in ("innocent.json", "work.json", "hostile.json")
             for job in documents[name]}  # fmt: skip
    fragile = frozenset(j["job_id"] for jobs in documents.values() for j in jobs if j.get("on_lost") == "fail")
    return Plan(documents, every, fragile)


class _Maker:
    def __init__(self, rng: random.Random, ledger: Path, url: str, modules: Path) -> None:
        self._rng, self._ledger, self._url, self._modules = rng, ledger, url, modules
        self.every: dict[str, int] = {}

    def _job(self, job_id: str, every: int, task: dict[str, Any], **more: Any) -> dict[str, Any]:
        self.every[job_id] = every
        return {"job_id": job_id, "schedule": {"every": every, "anchor": ANCHOR}, "task": task} | more

    def command(
        self, job_id: str, every: int, slept: float, code: object, tail: str = "", **more: Any
    ) -> dict[str, Any]:
        exit_code = code if isinstance(code, int) else 0
        script = f"{_SCRIPT}sleep {slept:.2f}\n{tail}\nsay end; exit {exit_code}"
        task = {"type": "command", "command": script, "env": {"LEDGER": str(self._ledger), "CODE": str(code)}}
        return self._job(job_id, every, task, **more)

    def call(self, job_id: str, every: int, name: str, arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
        task = {"type": "python", "callable": f"soaked:{name}", "kwargs": arguments, "path": str(self._modules)}
        return self._job(job_id, every, task, **more)

    def innocent(self) -> list[dict[str, Any]]:
        command, call, http = INNOCENT
        task = {"type": "http", "method": "POST", "url": self._url + "/${job_id}/${run_id}/${attempt}"}
        return [
            self.command(command, 1, 0, 0, overlap="allow"),
            self.call(call, 1, "call", {}, overlap="allow"),
            self._job(http, 2, task, overlap="allow"),
        ]

    def work(self) -> list[dict[str, Any]]:
        rng = self._rng
        jobs = []
        policies = [{"overlap": o, "catch_up": c} for o in ("skip", "queue_one", "queue_all", "replace", "allow")
                    for c in ("latest", "none", {"mode": "all", "max_count": 15})]  # fmt: skip
        for n in range(8):
            more = rng.choice(policies) | rng.choice([{}, {"on_lost": "fail"}])
            jobs.append(
                self.command(f"command/{n}", rng.choice([2, 3, 4, 6]), rng.uniform(0, 2), rng.choice([0, 0, 3]), **more)
            )
        for n in range(6):
            more = rng.choice(policies) | rng.choice([{}, {"on_lost": "fail"}])
            arguments = {"seconds": round(rng.uniform(0, 1.5), 2), "code": rng.choice([0, 0, 5])}
            jobs.append(self.call(f"call/{n}", rng.choice([2, 3, 4, 6]), "call", arguments, **more))
        stubborn = "(trap '' TERM; setsid sleep 600 & setsid sh -c \"trap '' TERM; sleep 600\" & sleep 600)"
        brief = {"timeout": "1s", "kill_grace": "1s"}
        jobs += [
            self.command("stop/command", 8, 0, "timed_out", stubborn, **brief),
            self.call("stop/call", 8, "stubborn", {}, **brief),
            self.command("retry/command", 6, 0, 7, restarts=2, retry={"delay": "1s", "backoff": "fixed"}),
        ]
        return jobs

    def hostile(self) -> list[dict[str, Any]]:
        more = {"timeout": "8s", "kill_grace": "1s"}
        calls = [self.call(f"hostile/call-{k}", 20, "hostile", {"kind": k}, **more) for k in _CALLS]
        return calls + [self.command(f"hostile/{k}", 20, 0, k, tail, **more) for k, tail in _COMMANDS.items()]

    def pipeline(self) -> list[dict[str, Any]]:
        root = self.command("pipe/root", 5, 0.1, 0, """echo '{"list": [1, 2, 3]}' >"$GNOMON_RESULT" """)
        items = self.command("pipe/items", 5, 0.1, 0) | {
            "depends_on": ["pipe/root"],
            "for_each": "${runs.pipe/root.result.list}",
        }
        after = self.call("pipe/after", 5, "call", {"answer": 1}) | {"depends_on": ["pipe/items"]}
        for job in (items, after):
            del job["schedule"]
        return [root, items, after]


def text(jobs: list[dict[str, Any]]) -> str:
    """A job file."""
    return json.dumps({"jobs": jobs})
