"""`http` and `email` jobs through the command as installed: each way to succeed and to fail; two hundred at once."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.http_server import HttpServer, http_server
from tests.support.service import Site, site, until
from tests.unit.tasks.test_email import smtp_server

MANY = 200
WAIT_S = 2
LIMIT_S = 10.0
MOST_MIB = 256
"""Default memory: what scheduler and worker may take together. Nothing is set for it; see docs/tasks-http.md."""


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with http_server() as running:
        yield running


@pytest.fixture
def place(tmp_path: Path) -> Any:
    with site(tmp_path) as place:
        yield place


def worker_of(parent: int) -> int:
    """The process of the executor `shared`."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                words = Path(f"/proc/{entry}/cmdline").read_bytes()
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent and b"gnomon.executors.shared" in words:
                return int(entry)
    raise AssertionError("no shared worker")


def peak_mib(pid: int) -> float:
    """The most memory (resident) that a process has had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def cpu_s(pid: int) -> float:
    """Processor seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_file(place: Site, tasks: dict[str, Any], code: int, **of_jobs: Any) -> dict[str, Any]:
    """Run tasks beside each other; the runs by job."""
    jobs = [{"job_id": name, "task": task, **of_jobs} for name, task in tasks.items()]
    place.write("file.json", {"jobs": jobs})
    answer = place.cli("run", str(place.jobs / "file.json"), code=code)
    return {run["job_id"]: run for run in answer["runs"]}


def codes(runs: dict[str, Any]) -> dict[str, str]:
    return {name: run["error"]["code"] if run["error"] else "" for name, run in runs.items()}


def test_every_kind_of_request(place: Site, server: HttpServer) -> None:
    (place.root / "report.csv").write_text("a;b")
    (place.root / "token").write_text("t0ken")
    post = {"type": "http", "method": "POST", "url": f"{server.url}/echo"}
    runs = run_file(
        place,
        {
            "get": {"type": "http", "url": f"{server.url}/echo/a", "query": {"q": ["1", "2"]}},
            "json": {**post, "json": {"a": [1, None]}, "auth": {"bearer": f"file:{place.root}/token"}},
            "form": {**post, "form": {"a": "1&2"}},
            "upload": {**post, "files": {"report": f"{place.root}/report.csv"}},
            "digest": {
                "type": "api",
                "url": f"{server.url}/digest",
                "auth": {"digest": {"user": "me", "password": "x"}},
            },
            "redirect": {"type": "http_request", "url": f"{server.url}/redirect?to=/data/%5B1%5D"},
        },
        0,
    )
    assert runs["get"]["result"]["json"]["query"] == [["q", "1"], ["q", "2"]]
    assert (runs["redirect"]["result"]["redirects"], runs["redirect"]["result"]["json"]) == (1, [1])
    posted = [request for request in server.seen if request.method == "POST"]
    assert sorted(request.body for request in posted if len(request.body) < 30) == [b"a=1%262", b'{"a": [1, null]}']
    assert next(request.header("authorization") for request in posted if b"null" in request.body) == "Bearer t0ken"
    assert any(b'name="report"; filename="report.csv"' in request.body for request in posted)


def test_every_kind_of_failure(place: Site, server: HttpServer) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    with http_server(tls) as broken:
        urls = {
            "unexpected_status": f"{server.url}/status/500",
            "timed_out": f"{server.url}/slow/60",
            "tls_failed": f"{broken.url}/echo",
            "connection_refused": "http://127.0.0.1:1/",
            "connection_lost": f"{server.url}/drop",
            "address_refused": f"{server.url}/redirect?to=http://169.254.169.254/",
            "too_many_redirects": f"{server.url}/loop",
            "dns_failed": "http://nowhere.invalid/",
        }
        tasks = {code: {"type": "http", "url": url} for code, url in urls.items()}
        runs = run_file(place, tasks, 1, timeout=1.5)
    assert codes(runs) == {code: code for code in urls}
    assert runs["unexpected_status"]["result"]["status"] == 500


def test_a_retry_is_known_by_its_key(place: Site, server: HttpServer) -> None:
    task = {"type": "http", "method": "POST", "url": f"{server.url}/status/503"}
    retry = {"delay": 0.05, "on": ["unexpected_status"]}
    runs = run_file(place, {"again": task}, 1, restarts=2, retry=retry)
    assert len(runs["again"]["attempts"]) == len(server.seen) == 3
    assert {request.header("idempotency-key") for request in server.seen} == {runs["again"]["id"]}


def test_messages(place: Site, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("attached")
    with smtp_server() as mail:
        task = {"type": "email", "host": "127.0.0.1", "port": mail.port, "from": "jobs@example.com", "subject": "s"}
        runs = run_file(
            place,
            {
                "fine": {**task, "to": "ops@example.com, nobody@example.com", "attachments": [f"{tmp_path}/a.txt"]},
                "smtp_refused": {**task, "to": "nobody@example.com"},
                "smtp_unreachable": {**task, "to": "ops@example.com", "port": 1},
                "tls_failed": {**task, "to": "ops@example.com", "tls": "starttls"},
                "smtp_auth": {**task, "to": "o@example.com", "tls": "none", "username": "u", "password": "literal:p"},
                "attachment_missing": {**task, "to": "ops@example.com", "attachments": ["/nowhere/a"]},
                "address_refused": {**task, "to": "ops@example.com", "host": "169.254.169.254"},
            },
            1,
        )
        assert codes(runs) == {code: code for code in runs} | {"fine": ""}
        assert runs["fine"]["result"]["accepted"] == ["ops@example.com"]
        assert list(runs["fine"]["result"]["refused"]) == ["nobody@example.com"]
        assert len(mail.box.got) == 1


def test_bad_arguments_name_key_line_and_remedy(place: Site) -> None:
    wrong = {
        "task: {type: http, ur: 'http://h/'}": ("ur", "did you mean url?"),
        "task: {type: http, url: 'http://h/', timeout: 5}": ("timeout", "beside `task`"),
        "task: {type: http, url: 'ftp://h/'}": ("url", ""),
        "task: {type: http, url: 'http://h/', json: {}}": ("json", "write `method: POST`"),
        "task: {type: email, host: h, from: a@b.c, to: nobody}": ("to", "e.g."),
        "task: {type: email, host: 'h:25', from: a@b.c, to: a@b.c}": ("host", "`port`"),
        "task: {type: email, host: h, from: a@b.c, to: a@b.c, attachments: [x.csv]}": (
            "attachments[0]",
            "start it with /",
        ),
    }
    place.write("bad.yaml", "jobs:\n" + "".join(f"- job_id: j{n}\n  {task}\n" for n, task in enumerate(wrong)))
    problems = place.cli("validate", str(place.jobs / "bad.yaml"), code=2)["errors"]
    found = {problem["line"]: (problem["key"], problem["hint"]) for problem in problems}
    for n, (key, hint) in enumerate(wrong.values()):
        where, said = found[3 + 2 * n]
        assert where == f"jobs[{n}].task.{key}"
        assert hint in said


@pytest.mark.slow
def test_two_hundred_slow_requests_at_once(place: Site, server: HttpServer, capsys: pytest.CaptureFixture[str]) -> None:
    """200 tasks that wait 2 s each: done in under 10 s, from the first that is queued to the last that has ended.

    On a machine that is busy with other things, by the processor time that scheduler and worker have had.
    """
    task = {"type": "http", "url": f"{server.url}/slow/{WAIT_S}", "expect": {"json": {"$.slept": WAIT_S}}}
    jobs = [{"job_id": f"call-{n:03}", "schedule": "@reboot", "task": task} for n in range(MANY)]
    place.write("calls.json", {"jobs": jobs})
    scheduler = place.serve("--concurrency", str(MANY))
    until(lambda: place.states() == {"succeeded": MANY}, f"{MANY} runs have succeeded", 60)
    (row,) = place.rows("select (max(finished_at) - min(queued_at)) / 1e6 as took_s from runs")
    pids = scheduler.pid, worker_of(scheduler.pid)
    (own, worker), busy_s = map(peak_mib, pids), sum(map(cpu_s, pids))
    with capsys.disabled():
        text = (
            f"{MANY} requests of {WAIT_S} s: {row['took_s']:.2f} s ({busy_s:.1f} of processors), {server.most} at once"
        )
        print(f"\n{text}; peak memory: scheduler {own:.0f} MiB, worker {worker:.0f} MiB")
    assert len(server.seen) == MANY, "none was asked twice"
    assert server.most == MANY
    assert WAIT_S + busy_s < LIMIT_S
    assert row["took_s"] < LIMIT_S or os.getloadavg()[0] > 2 * (os.cpu_count() or 1)
    assert own + worker < MOST_MIB
