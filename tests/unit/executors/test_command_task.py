from __future__ import annotations

from typing import Any

import pytest

from gnomon.core.errors import UsageError
from gnomon.core.tasks import TaskTypeRegistry
from gnomon.tasks import BUILTIN
from gnomon.tasks.command import COMMAND, MAX_ELEMENT, placeholders_in_shell


@pytest.mark.parametrize(
    ("arguments", "canonical"),
    [
        ({"command": ["date", "-u"]}, {"command": ["date", "-u"]}),
        ({"command": ["sleep", 5]}, {"command": ["sleep", "5"]}),
        ({"command": ["a"], "args": ["b", 1.5]}, {"command": ["a", "b", "1.5"]}),
        ({"command": "ls", "args": ["-l"]}, {"command": ["ls", "-l"]}),
        ({"command": "echo $HOME | wc"}, {"command": "echo $HOME | wc"}),
        ({"command": "echo $${HOME}"}, {"command": "echo $${HOME}"}),
        ({"command": ["x", "${name}"], "env": {"A": 1}}, {"command": ["x", "${name}"], "env": {"A": "1"}}),
        (
            {
                "command": "x",
                "cwd": "/tmp",
                "stdin": "a\0b",
                "run_as": "nobody",
                "shell": "/bin/bash",
                "log_limit": 5000,
            },
            {
                "command": "x",
                "cwd": "/tmp",
                "stdin": "a\0b",
                "run_as": "nobody",
                "shell": "/bin/bash",
                "log_limit": 5000,
            },
        ),
    ],
)
def test_canonical_form(arguments: dict[str, Any], canonical: dict[str, Any]) -> None:
    assert COMMAND.validate(arguments) == canonical
    assert COMMAND.validate(canonical) == canonical


@pytest.mark.parametrize(
    ("arguments", "key", "code"),
    [
        ({}, "command", "missing_key"),
        ({"command": ""}, "command", "missing_key"),
        ({"command": "  "}, "command", "missing_key"),
        ({"command": []}, "command", "missing_key"),
        ({"command": 5}, "command", "bad_type"),
        ({"command": [""]}, "command[0]", "bad_value"),
        ({"command": ["-x"]}, "command[0]", "bad_value"),
        ({"command": ["a", True]}, "command[1]", "bad_type"),
        ({"command": ["a", None]}, "command[1]", "bad_type"),
        ({"command": ["a\0b"]}, "command[0]", "bad_value"),
        ({"command": ["a", "\ud800"]}, "command[1]", "bad_value"),
        ({"command": ["a", "x" * (MAX_ELEMENT + 1)]}, "command[1]", "too_long"),
        ({"command": ["a", *["x" * MAX_ELEMENT] * 64]}, "command", "too_long"),
        ({"command": "echo hi", "args": ["x"]}, "command", "bad_value"),
        ({"command": ["a"], "shell": "/bin/sh"}, "shell", "bad_value"),
        ({"command": "a", "shell": "bash"}, "shell", "bad_value"),
        ({"command": "a", "cwd": "here"}, "cwd", "bad_value"),
        ({"command": "a", "env": []}, "env", "bad_type"),
        ({"command": "a", "env": {"A-B": "x"}}, "env.A-B", "bad_name"),
        ({"command": "a", "env": {"GNOMON_RUN_ID": "x"}}, "env.GNOMON_RUN_ID", "reserved_name"),
        ({"command": "a", "env": {"A": "x\0"}}, "env.A", "bad_value"),
        ({"command": "a", "run_as": "-x y"}, "run_as", "bad_value"),
        ({"command": "a", "log_limit": 1}, "log_limit", "bad_value"),
        ({"command": "a", "comand": 1}, "comand", "unknown_key"),
    ],
)
def test_each_mistake_names_its_key(arguments: dict[str, Any], key: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        COMMAND.validate(arguments)
    assert (caught.value.problems[0].key, caught.value.problems[0].code) == (key, code)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        COMMAND.validate({"command": "a ${x}", "cwd": "b", "envs": {}})
    assert {problem.key for problem in caught.value.problems} == {"command", "cwd", "envs"}
    assert "did you mean env?" in str(caught.value)


def test_a_reference_in_a_shell_string_shows_both_ways_out() -> None:
    problems = placeholders_in_shell("echo ${HOME} ${runs.a.result} ${HOME} $${LITERAL} $PLAIN")
    assert [problem.code for problem in problems] == ["reference_in_shell"] * 2
    assert "env: {HOME: '${HOME}'}" in problems[0].hint
    assert "[program, '${HOME}']" in problems[0].hint
    assert "write $HOME or $${HOME}" in problems[0].hint
    assert "RUNS_A_RESULT" in problems[1].hint


def test_describe_is_one_short_line() -> None:
    assert COMMAND.describe({"command": ["echo", "a b"]}) == "echo 'a b'"
    assert COMMAND.describe({"command": "a\n  b"}) == "a b"
    assert len(COMMAND.describe({"command": "x" * 1000})) == 200


def test_it_is_found_by_its_aliases() -> None:
    types = TaskTypeRegistry(BUILTIN)
    assert {types.resolve(name) for name in ("command", "execute_command", "Shell")} == {COMMAND}
