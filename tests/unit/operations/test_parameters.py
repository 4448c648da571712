"""Parameters: read as what is declared, refused with a reason, and data all the way to the process."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnomon.core.attempts import AttemptSpec
from gnomon.core.errors import UsageError
from gnomon.core.model import Job, Parameter, Task
from gnomon.executors.invocation import NO_SECRETS, invocation
from gnomon.operations.parameters import checked_parameters
from gnomon.testing.virtual import VirtualScheduler

NASTY = st.text(
    st.one_of(
        st.sampled_from("$`\"'\\;&|<>(){}[]*?~!# \t\n%=-"), st.characters(codec="utf-8", exclude_characters="\0")
    ),
    max_size=40,
)


def check(given: Any, *declared: Parameter) -> dict[str, Any]:
    return checked_parameters(Job("j", Task("command"), parameters=declared), given)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("string", "3", "3"),
        ("integer", "3", 3),
        ("number", "2.5", 2.5),
        ("boolean", "yes", True),
        ("array", '["a", 1]', ["a", 1]),
        ("object", '{"a": [1]}', {"a": [1]}),
        ("any", "[1]", "[1]"),
    ],
)
def test_text_is_read_as_the_declared_type(kind: str, text: str, value: Any) -> None:
    assert check({"x": text}, Parameter("x", kind)) == {"x": value}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("integer", "three"),
        ("number", "nan"),
        ("boolean", "maybe"),
        ("array", '{"a": 1}'),
        ("array", "a,b"),
        ("array", "[" * 100_000),
        ("object", "[]"),
        ("object", "null"),
    ],
)
def test_text_of_another_type_is_refused(kind: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        check({"x": text}, Parameter("x", kind))
    assert caught.value.code == "parameter_type"
    assert caught.value.problems[0].key == "x"


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        check({"cuont": 1, "size": "big"}, Parameter("count", required=True), Parameter("size", "integer"))
    found = {problem.code: problem for problem in caught.value.problems}
    assert set(found) == {"parameter_unknown", "parameter_missing", "parameter_type"}
    assert "count" in found["parameter_unknown"].hint
    assert found["parameter_missing"].key == "count"


SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ['VALUE'], sys.stdin.read()]))"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=NASTY)
def test_a_value_arrives_as_data_whatever_is_in_it(value: str) -> None:
    """From the parameter of a run, through the engine, to argv, environment and input of a real process."""
    scheduler = VirtualScheduler()
    command = [sys.executable, "-c", SHOW, "${value}", "pre ${value} post"]
    task = {"type": "command", "command": command, "env": {"VALUE": "${value}"}, "stdin": "${value}"}
    scheduler.add_job("show", task=task, parameters={"value": {"type": "string", "required": True}})
    scheduler.run("show", value=value)
    spec: AttemptSpec = scheduler.started[-1]
    call = invocation(spec, "/nowhere", "test", {}, NO_SECRETS)
    done = subprocess.run(
        call.argv, env=dict(call.environment), input=call.stdin, capture_output=True, check=True, timeout=30
    )
    argv, environment, text = json.loads(done.stdout)
    assert argv == [value, f"pre {value} post"]
    assert environment == value
    assert text == value


@given(value=NASTY)
@settings(max_examples=50, deadline=None)
def test_no_reference_within_a_value_is_filled(value: str) -> None:
    scheduler = VirtualScheduler()
    nasty = f"{value}${{run_id}}$${{x}}"
    scheduler.add_job("show", task={"type": "command", "command": ["echo", "${v}"]}, parameters={"v": ""})
    scheduler.run("show", v=nasty)
    assert scheduler.started[-1].arguments["command"] == ["echo", nasty]
