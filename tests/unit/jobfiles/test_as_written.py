"""Numbers where texts are wanted are kept as written, in every place of a job file that wants a text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gnomon.app import registries
from gnomon.core.codec import job_from_json, job_to_json
from gnomon.core.model import Job
from gnomon.jobfiles.parsing import parse_bytes

KINDS, TASK_TYPES = registries()
WRITTEN = ["1.10", "0x1F", "0o17", "1e3", "1E+3", "+5", "-0", "1.0", "010", "1_000", "2026-11-30", "12:30", "yes", "on",
           "100000000000000000.0", ".5", "5.", "0.1", "7"]  # fmt: skip
"""Numbers, and what other readers of YAML take for numbers, dates and flags."""

PLACES = {
    "env": ("{type: command, command: x, env: {V: %s}}", ["env", "V"]),
    "word of a command": ("{type: command, command: [echo, %s]}", ["command", 1]),
    "header": ("{type: http, url: 'http://x', headers: {V: %s}}", ["headers", "V"]),
    "query": ("{type: http, url: 'http://x', query: {v: %s}}", ["query", "v"]),
    "query, several": ("{type: http, url: 'http://x', query: {v: [a, %s]}}", ["query", "v", 1]),
    "form": ("{type: http, url: 'http://x', method: POST, form: {v: %s}}", ["form", "v"]),
    "body": ("{type: http, url: 'http://x', method: POST, body: %s}", ["body"]),
    "content of a file": ("{type: file, operation: write, path: /x, content: %s}", ["content"]),
    "subject of a mail": ("{type: email, host: h, from: a@b.c, to: d@e.f, subject: %s, body: x}", ["subject"]),
    "body of a mail": ("{type: email, host: h, from: a@b.c, to: d@e.f, subject: x, body: %s}", ["body"]),
}


def job(text: str, name: str = "j.yaml") -> Job:
    parsed = parse_bytes(text.encode(), name, KINDS, TASK_TYPES)
    assert parsed.problems == ()
    return parsed.jobs[0]


def at(value: Any, path: list[str | int]) -> Any:
    for step in path:
        value = value[step]
    return value


@pytest.mark.parametrize("word", WRITTEN)
@pytest.mark.parametrize("place", PLACES)
def test_arguments_of_tasks(place: str, word: str) -> None:
    task, path = PLACES[place]
    read = job(f"job_id: a\ntask: {task % word}\n")
    assert at(read.task.arguments, path) == word
    assert type(at(read.task.arguments, path)) is str
    again = job_from_json(json.loads(json.dumps(job_to_json(read))))
    assert at(again.task.arguments, path) == word


@pytest.mark.parametrize("word", WRITTEN)
def test_keys_of_jobs(word: str) -> None:
    read = job(
        f"job_id: a\ndescription: {word}\nlabels: {{v: {word}}}\ntask: {{type: command, command: x}}\n"
        f"parameters: {{p: {{type: string, default: {word}}}}}\n"
    )
    assert (read.description, read.labels["v"], read.parameters[0].default) == (word, word, word)


@pytest.mark.parametrize("word", ["1.10", "1e3", "-0.0", "1E+3"])
@pytest.mark.parametrize("name", ["j.json", "j.toml"])
def test_other_formats(name: str, word: str) -> None:
    text = (
        '{"job_id": "a", "task": {"type": "command", "command": "x", "env": {"V": %s}}}'
        if name == "j.json"
        else 'job_id = "a"\n[task]\ntype = "command"\ncommand = "x"\nenv = {V = %s}\n'
    )
    assert at(job(text % word, name).task.arguments, ["env", "V"]) == word


def test_numbers_that_are_wanted_stay_numbers() -> None:
    read = job(
        "job_id: a\ntimeout: 1e3\npriority: 0x1F\nparameters: {p: 1.10}\n"
        "task: {type: python, function: 'json:dumps', args: [0x1F, 1.10]}\n"
    )
    assert (read.timeout_s, read.priority) == (1000.0, 31)
    document = json.loads(json.dumps(job_to_json(read)))
    assert document["task"]["arguments"]["args"] == [31, 1.1]
    assert document["parameters"][0]["default"] == 1.1


def test_beside_a_configuration() -> None:
    """Arguments of the task are judged with those of the configuration; these alone by nobody, so there is a word."""
    text = (
        "configurations:\n  site: {type: http, url: 'http://x', headers: {V: 1.10}}\n"
        "jobs:\n- job_id: a\n  task: {use: site, query: {v: 1.20}}\n"
    )
    parsed = parse_bytes(text.encode(), "j.yaml", KINDS, TASK_TYPES)
    assert parsed.jobs[0].task.arguments == {"query": {"v": "1.20"}}
    (warning,) = parsed.warnings
    assert (warning.code, warning.key) == ("number_rewritten", "configurations.site.headers.V")


def test_a_message_shows_what_was_written() -> None:
    parsed = parse_bytes(b"job_id: a\npriority: 1.10\ntask: {type: command, command: x}\n", "j.yaml", KINDS, TASK_TYPES)
    assert "1.10" in parsed.problems[0].message


@pytest.mark.parametrize("word", ["true", "null", "~"])
def test_flags_and_nothing_are_no_texts(word: str) -> None:
    """There is no one text for them: `true`, `True`, `1`; whoever wants one puts it in quotes."""
    text = f"job_id: a\ntask: {{type: command, command: x, env: {{V: {word}}}}}\n"
    parsed = parse_bytes(text.encode(), "j.yaml", KINDS, TASK_TYPES)
    assert [problem.key for problem in parsed.problems] == ["task.env.V"]
