"""Commands said with `--server` answer what they answer with the database: output, JSON, exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gnomon.cli.main import main
from tests.support.service import until
from tests.support.web import WebSite, web_site

JOBS = {
    "jobs": [
        {
            "job_id": "clock",
            "schedule": "0 9 * * *",
            "labels": {"team": "a"},
            "task": {"type": "command", "command": ["true"]},
        },
        {"job_id": "after", "depends_on": ["clock"], "task": {"type": "command", "command": ["true"]}},
        {
            "job_id": "bytes",
            "task": {"type": "command", "command": ["sh", "-c", r"printf 'a\377\303'; sleep 0.3; printf '\244b\n'"]},
        },
        {
            "job_id": "bad",
            "task": {"type": "command", "command": ["sh", "-c", "echo no; exit 3"]},
            "restarts": 1,
            "retry": {"delay": 1},
        },
    ]
}
ALERTS = '[alerts]\ndefault = ["ops"]\n[alerts.ops]\ntype = "webhook"\nurl = "http://127.0.0.1:9/"\n'
MADE = """
job_id: {name}
schedule: every 1h
parameters: {{count: {{type: integer, default: 3}}}}
task: {{type: command, command: [echo, "${{count}}"]}}
"""
Both = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WebSite, str]]:
    with web_site(tmp_path_factory.mktemp("site")) as place:
        place.write("jobs.json", JOBS)
        (place.root / "gnomon.toml").write_text(ALERTS)
        url = place.listening()
        until(lambda: place.rows("select 1 from jobs"), "the jobs are known")
        yield place, url


@pytest.fixture
def gnomon(
    site: tuple[WebSite, str], monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Callable[..., tuple[int, bytes, bytes]]:
    """Says a command, on the database or to the server."""
    place, url = site
    monkeypatch.chdir(place.root)
    for name, value in place.environment().items():
        if name.startswith("GNOMON_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("GNOMON_TOKEN", place.token())
    monkeypatch.setenv("NO_COLOR", "1")

    def say(*words: str, server: bool) -> tuple[int, bytes, bytes]:
        capfdbinary.readouterr()
        code = main([*(("--server", url) if server else ()), *words])
        return code, *capfdbinary.readouterr()

    return say


def finished(place: WebSite) -> None:
    until(lambda: not place.rows("select 1 from runs where state not in ('succeeded','failed','skipped')"), "all over")


def answers(gnomon: Any, words: list[str], *, server: bool) -> tuple[int, str, object, str]:
    """What it says to programs, and shows to people."""
    code, out, err = gnomon(*words, "--json", server=server)
    said = [error["code"] for error in json.loads(err)["errors"]] if code else normal(err)
    return code, normal(out), said, normal(gnomon(*words, server=server)[1])


@pytest.mark.slow
def test_what_asks(site: tuple[WebSite, str], gnomon: Any) -> None:
    place, _ = site
    for job in ("clock", "bad"):
        assert gnomon("run", job, "--no-wait", server=True)[0] == 0
    finished(place)
    run = place.rows("select id from runs where job_id = 'bad'")[0]["id"]
    incident = until(lambda: place.rows("select id from incidents"), "an incident")[0]["id"]
    until(lambda: place.rows("select 1 from deliveries where error is not null"), "it was tried to tell it")
    flow = place.rows("select flow_id from runs where job_id = 'after'")[0]["flow_id"]
    for text in (
        "jobs list",
        "jobs list --type shell --label team=a",
        "jobs list --due-from today --due-until +2d --not-paused",
        "jobs list --limit 2",
        "jobs show clock",
        "jobs files",
        "schedules list --job clock",
        "schedules show clock",
        "runs list",
        "runs list --state failed --since -1h",
        "runs list -q error:exit",
        f"runs show {run}",
        f"runs show {run[:20]}",
        f"runs logs {run}",
        f"runs logs {run} --attempt 1",
        "flows list",
        f"flows show {flow}",
        "configurations list",
        "next clock --count 3 --after 2030-03-30",
        "next clock:default",
        "next every;15m --timezone Europe/Berlin --after 2030-01-01T00:00:00Z",
        "why clock",
        "why clock 2031-05-05;09:00",
        f"why {run}",
        "backfill clock --from -3d --dry-run",
        "alerts list",
        "alerts list --open --job bad",
        f"alerts show {incident}",
        f"alerts acknowledge {incident}",
        "audit --limit 3",
        "user list",
        "health",
        "jobs show cloc",
        "runs show zzzz",
        f"runs logs {run} --attempt 9",
        "schedules list --job nope",
        "runs list --state wrong",
        "jobs list --cursor nonsense",
        "why nope",
        "next nope",
        "next clock --count 0",
        "flows show nope",
        "alerts show nope",
        "configurations show nope",
        "token show nope",
        "user show-nope",
    ):
        words = [word.replace(";", " ") for word in text.split()]
        for _ in range(5):  # the scheduler goes on between the two questions: what really differs, differs again
            here, there = (answers(gnomon, words, server=server) for server in (False, True))
            if here == there:
                break
        assert here == there, text


def test_a_list_that_is_longer_than_an_answer(gnomon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnomon.remote.table._AT_ONCE", 2)
    here, there = (gnomon("jobs", "list", "--limit", "3", "--json", server=server) for server in (False, True))
    assert [job["job_id"] for job in json.loads(there[1])] == ["after", "bad", "bytes"]
    assert here == there, "and the same cursor to go on with"


@pytest.mark.slow
def test_what_changes(site: tuple[WebSite, str], gnomon: Any) -> None:
    """The same story twice, of two jobs: once on the database, once at the server."""
    place, _ = site

    def story(name: str, server: bool) -> list[tuple[str, int, str, str]]:
        Path(f"{name}.yaml").write_text(MADE.format(name=name))
        Path(f"{name}-args.yaml").write_text("timeout: 5\nurl: http://127.0.0.1/x\n")
        told = []
        for text in (
            "jobs add NAME.yaml",
            "jobs pause NAME --reason moving",
            "jobs resume NAME",
            "schedules pause NAME",
            "schedules resume NAME",
            "schedules edit NAME every;2h",
            "schedules reset NAME",
            "run NAME -p count=4 --wait",
            "run NAME -p count=many",
            "run NAME --no-wait",
            "runs list --job NAME",
            "runs retry LAST",
            "runs cancel LAST",
            "runs delete --job NAME --dry-run",
            "runs delete LAST --yes",
            "configurations save conf-NAME --type http --file NAME-args.yaml -a method=POST",
            "configurations save conf-NAME --type http -a method=PUT -a url=http://127.0.0.1/y",
            "configurations show conf-NAME",
            "configurations show conf-NAME --version 1",
            "configurations history conf-NAME",
            "configurations delete conf-NAME --yes",
            "user create user-NAME --role operator",
            "user set-role user-NAME --role viewer",
            "user disable user-NAME",
            "user enable user-NAME",
            "token create --role viewer --name token-NAME --user user-NAME --expires 3d",
            "token create --role viewer --name token-NAME",
            "token revoke token-NAME",
            "token delete token-NAME --yes",
            "user delete user-NAME --yes",
            "schedules delete NAME --dry-run",
            "jobs delete NAME --dry-run",
            "jobs delete NAME nowhere --yes",
            "jobs delete NAME --yes",
            "jobs delete clock --yes",
            "schedules delete clock --yes",
            "schedules delete nope --yes",
            "jobs delete --type shell --yes --dry-run",
        ):
            finished(place)
            last = place.rows("select id from runs where job_id = ? order by queued_at desc, id desc limit 1", name)
            words = text.replace("NAME", name).replace("LAST", last[0]["id"] if last else "none").split()
            code, out, err = gnomon(*(word.replace(";", " ") for word in words), "--json", server=server)
            codes = json.loads(err)["errors"][0]["code"] if code and not out else ""
            told.append((text, code, normal(out).replace(name, "NAME"), codes))
        return told

    here, there = story("left", False), story("right", True)
    for ours, theirs in zip(here, there, strict=True):
        assert ours == theirs
    assert {code for _, code, _, _ in here} == {0, 2}, "it was no story of failures"


@pytest.mark.parametrize("options", [(), ("-f",), ("-f", "--attempt", "1")])
def test_output_comes_byte_for_byte(site: tuple[WebSite, str], gnomon: Any, options: tuple[str, ...]) -> None:
    place, _ = site
    started = json.loads(gnomon("run", "bytes", "--no-wait", "--json", server=True)[1])["id"]
    if not options:
        finished(place)
    code, out, err = gnomon("runs", "logs", started, *options, server=True)
    assert (code, out) == (0, b"a\xff\xc3\xa4b\n"), err


@pytest.mark.slow
def test_a_run_is_followed_to_its_end(gnomon: Any) -> None:
    code, out, err = gnomon("run", "bad", server=True)
    assert (code, out) == (1, b"no\nno\n")
    assert b"attempt 1 failed" in err
    code, out, err = gnomon("run", "bytes", server=True)
    assert (code, out) == (0, b"a\xff\xc3\xa4b\n")
    assert b"succeeded after" in err
    code, out, _ = gnomon("run", "bad", "--json", server=True)
    assert (code, json.loads(out)["state"]) == (1, "failed")


@pytest.mark.parametrize(
    "text",
    ["serve", "validate x.yaml", "db backup x", "db check", "db path", "alerts test ops", "run jobs.d/jobs.json"],
)
def test_commands_of_the_machine_refuse_a_server(gnomon: Any, text: str) -> None:
    code, out, err = gnomon(*text.split(), "--json", server=True)
    assert (code, out) == (2, b"")
    assert json.loads(err)["errors"][0]["code"] == "not_remote"


def test_the_server_may_be_a_setting(site: tuple[WebSite, str], gnomon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place, url = site
    secret = place.root / "token"
    secret.write_text(place.token() + "\n")
    monkeypatch.delenv("GNOMON_TOKEN")
    monkeypatch.setenv("GNOMON_SERVER", url)
    code, _, err = gnomon("jobs", "list", "--json", server=False)
    assert (code, json.loads(err)["errors"][0]["code"]) == (2, "token_missing")
    code, out, _ = gnomon("jobs", "list", "--token-file", str(secret), "--json", server=False)
    assert (code, len(json.loads(out))) == (0, 4)
    code, out, _ = gnomon("doctor", "--token-file", str(secret), "--json", server=False)
    assert {c["name"] for c in json.loads(out)["checks"]} >= {"server", "token", "leader"}
    assert gnomon("db", "path", server=False)[0] == 0, "what is of the machine is not asked of the server"
    assert gnomon("jobs", "list", "--db", str(place.db), server=False)[0] == 0, "an option counts more"
    Path("own.yaml").write_text("job_id: own\ntask: {type: command, command: 'true'}\n")
    assert gnomon("run", "own.yaml", server=False)[0] == 0, "a file is run here"
    for words, wrong in {
        ("jobs", "list", "--token-file", "nowhere"): "token_file_unreadable",
        ("jobs", "list", "--server", "ftp://x"): "setting_invalid",
        ("jobs", "list", "--server", "http://u@x"): "server_invalid",
        ("jobs", "list", "--server", "http://gnomon.invalid", "--token-file", str(secret)): "token_in_clear",
        ("jobs", "list", "--server", url, "--db", "x"): "database_or_server",
    }.items():
        code, _, err = gnomon(*words, "--json", server=False)
        assert (code, json.loads(err)["errors"][0]["code"]) == (2, wrong)
    code, _, err = gnomon("jobs", "list", "--json", "--server", "http://127.0.0.1:9", server=False)
    assert (code, json.loads(err)["errors"][0]["code"]) == (3, "server_unreachable")
    monkeypatch.setenv("GNOMON_TOKEN", "gnm_wrong")
    assert gnomon("jobs", "list", server=True)[0] == 2


_WORDS = (
    (r'"(db)": "[^"]*",?', ""),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "THEN"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "THEN"),
    (r"\d+:\d\d:\d\d\.\d+", "SO LONG"),
    (r"\b[0-9a-z]{26}\b", "ID"),
    (r'"attempts": \d+,', '"attempts": N,'),
    (r'"id": "[0-9a-z]{12}"', '"id": "ID"'),
    (r"gnm_\w+", "TOKEN"),
    (r"(cli|rest):[\w.-]+", "WHO"),
    (r'"(duration_s|lateness_s|log_bytes)": [\d.]+', r'"\1": N'),
    (r"\d+\.\d+s", "Ns"),
    (r"--cursor \S+", "--cursor C"),
    (r"\s+", " "),
)


def normal(out: bytes) -> str:
    """Without what differs from one time to the next."""
    text = out.decode("utf-8", "replace")
    for pattern, word in _WORDS:
        text = re.sub(pattern, word, text)
    return text.replace("} ]", "}]").replace(", }", "}").replace(" }", "}")
