from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.errors import UsageError
from gnomon.core.substitution import references, substitute
from gnomon.core.values import Json

VALUES: dict[str, Json] = {
    "n": 3,
    "day": "2026-01-01",
    "runs": {"a.b": {"result": {"rows": [10, {"x": None}]}}},
    "flag": True,
}


def test_whole_values_keep_their_type_and_parts_become_text() -> None:
    given: Json = {
        "a": "${n}",
        "b": ["${flag}", "n=${n}/${day}"],
        "c": 5,
        "d": "${runs.a.b.result.rows}",
        "${n}": "key",
    }
    filled = {"a": 3, "b": [True, "n=3/2026-01-01"], "c": 5, "d": [10, {"x": None}], "${n}": "key"}
    assert substitute(given, VALUES) == filled
    assert substitute("${runs.a.b.result.rows.0} ${runs.a.b.result.rows[1].x}|", VALUES) == "10 |"


def test_a_doubled_dollar_is_a_literal() -> None:
    assert substitute("$${n} $$ $n ${n}", VALUES) == "${n} $$ $n 3"
    assert substitute("$${n}", VALUES) == "${n}"


def test_references_are_listed_once_and_literals_are_not() -> None:
    assert references({"x": ["${a} ${b.c}", "$${d}", {"y": "${a}"}], "${key}": 1}) == {"a", "b.c"}


def test_the_unknown_names_the_nearest_and_the_place() -> None:
    with pytest.raises(UsageError) as caught:
        substitute({"command": ["x", "${dya}"]}, VALUES, key="task")
    (problem,) = caught.value.problems
    assert (problem.code, problem.key) == ("unknown_reference", "task.command[1]")
    assert "did you mean ${day}?" in problem.hint


@pytest.mark.parametrize("text", ["${}", "${a b}", "${x:-1}", "${runs.a.b.result.rows.9}", "${n.x}"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        substitute(text, VALUES)


@given(st.text())
def test_filled_values_are_never_filled_again(text: str) -> None:
    assert substitute("<${x}>", {"x": text}) == f"<{text}>"
    assert substitute("${x}", {"x": text}) == text
