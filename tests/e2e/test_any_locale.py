"""Output never fails: any text, in any encoding of the terminal, in tables, JSON, the log and REST."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gnomon.cli.main import main
from gnomon.cli.sanitising import json_for, plain
from gnomon.core.errors import Problem, usage
from gnomon.web.answers import ok
from gnomon.web.hub import sse
from gnomon.web.problems import of_error
from tests.support.service import Site, site, until

SAID = "Grüße → 日本 🎉 \u202eabc \x1b]0;title\x07\x1b[31mred \x9b2J"
ENCODINGS = ["ascii", "latin-1", "cp1252", "koi8-r", "utf-8", "utf-16"]
SENT = [b"\x1b]", b"\x07"]
"""What drives a terminal; colours of a log may pass."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with site(tmp_path) as made:
        monkeypatch.chdir(tmp_path)
        for name, value in made.environment().items():
            if name.startswith("GNOMON_"):
                monkeypatch.setenv(name, value)
        made.write("good.json", {"job_id": "good", "description": SAID, "labels": {"ü": SAID},
                                 "task": {"type": "command", "command": ["sh", "-c", f"echo '{SAID}' >&2; exit 3"]},
                                 "schedule": "every 1h"})  # fmt: skip
        made.write("grüße.yaml", f'job_id: bad\ntask: {{type: "{"日本" * 3}"}}\n')
        yield made


def said(monkeypatch: pytest.MonkeyPatch, encoding: str, *words: str) -> tuple[int, bytes, bytes]:
    """A command, whose standard streams are strict ones of an encoding, as PYTHONIOENCODING makes them."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        code = main(list(words))
        for stream in streams:
            stream.flush()
    out, err = (stream.buffer.getvalue() for stream in streams)  # type: ignore[attr-defined]
    return code, out, err


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_commands(place: Site, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = said(monkeypatch, encoding, "run", "jobs.d/good.json", "--json")
    assert (code, json.loads(out.decode(encoding))["ok"]) == (1, False)
    for words, wanted in (
        (["run", "jobs.d/good.json"], 1), (["validate", "jobs.d"], 2), (["validate", "jobs.d", "--json"], 2),
        (["jobs", "show", "grüße"], 2), (["jobs", "show", "grüße", "--json"], 2), (["nothing", "日本"], 2),
        (["--help"], 0), (["doctor"], 1), (["next", "日本"], 2),
    ):  # fmt: skip
        code, out, err = said(monkeypatch, encoding, *words)
        assert code == wanted, (words, out, err)
        for text in (out, err):
            text.decode(encoding)
            assert encoding == "utf-16" or not any(sequence in text for sequence in SENT), words
        if words[-1] == "--json":
            json.loads((out or err).decode(encoding))


def test_what_the_database_has(place: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way to print it, in every encoding: the same document, and tables without control characters."""
    process = place.serve("--log-format", "json")
    until(lambda: place.rows("select 1 from jobs"), "the file is read")
    run_id = place.cli("run", "good", code=None)["id"]
    until(lambda: place.states().get("failed"), "it failed")
    assert place.kill(process, 15) == 0
    for words in (["jobs", "list"], ["jobs", "show", "good"], ["runs", "show", run_id], ["runs", "logs", run_id],
                  ["runs", "list"], ["why", "good"], ["audit"], ["jobs", "files"]):  # fmt: skip
        documents = []
        for encoding in ENCODINGS:
            code, out, err = said(monkeypatch, encoding, *words, "--json")
            assert (code, err) == (0, b""), (words, encoding, err)
            document = json.loads(out.decode(encoding))
            documents.append(document["gates"] if words[0] == "why" else document)
            assert encoding == "utf-16" or b"\x9b" not in out or encoding == "koi8-r"
            code, out, err = said(monkeypatch, encoding, *words)
            assert code == 0, (words, encoding, out, err)
        assert documents[0]
        assert all(document == documents[0] for document in documents), words


@pytest.mark.parametrize("locale", [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"LC_ALL": "POSIX"},
                                    {"PYTHONIOENCODING": "ascii:strict"}, {"PYTHONIOENCODING": "latin-1"}])  # fmt: skip
def test_real_processes(place: Site, locale: dict[str, str]) -> None:
    environment = {key: value for key, value in place.environment().items() if not key.startswith(("LC_", "LANG"))}
    for words in (["validate", "jobs.d"], ["validate", "jobs.d", "--json"], ["run", "jobs.d/good.json"]):
        done = subprocess.run(
            [sys.executable, "-m", "gnomon", *words],
            cwd=place.root, env=environment | locale, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == (2 if words[0] == "validate" else 1), done
        assert b"Traceback" not in done.stderr + done.stdout


def test_the_log_is_json_in_any_encoding(place: Site) -> None:
    environment = place.environment() | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    with (place.root / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gnomon", "serve", "--log-format", "json"],
            cwd=place.root, env=environment, stdin=subprocess.DEVNULL, stderr=log, start_new_session=True,
        )  # fmt: skip
        place.alive.append(process)
        until(lambda: "日本" in json.dumps(lines(place.root / "log"), ensure_ascii=False), "the bad file is named")
        assert place.kill(process, 15) == 0


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines() if line.endswith(b"}")]


HALVES = {"\ud800": ["x\udce9", {"deep": "\udfff"}]}


def test_half_characters_that_are_there_all_the_same() -> None:
    """Of an older database, or of somebody else's: an escape, in valid UTF-8."""
    problem = of_error(usage("x", "\ud800", hint="\udce9"), "/api/v1/\udce9").body
    for body in (bytes(ok(HALVES).body), sse("change", HALVES).partition(b"data: ")[2], bytes(problem)):
        assert json.loads(body.decode("utf-8"))
    assert json.loads(bytes(ok(HALVES).body)) == HALVES


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_half_characters_in_output(encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    stream.write(json_for(stream, HALVES, indent=2))
    stream.flush()
    assert json.loads(stream.buffer.getvalue().decode(encoding)) == HALVES  # type: ignore[attr-defined]


def test_json_on_a_terminal_drives_nothing() -> None:
    text = json_for(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), {SAID: SAID})
    assert json.loads(text) == {SAID: SAID}
    assert not {"\x1b", "\x9b", "\u202e", "\x07"} & {*text, *plain(SAID)}
    assert "日本" in text


def test_problems_print_halves_readably(capfd: pytest.CaptureFixture[str]) -> None:
    from gnomon.cli.failures import report_problems

    report_problems([Problem("x", "a\udce9b", file="caf\udce9.yaml")], as_json=False)
    assert os.linesep in capfd.readouterr().err
