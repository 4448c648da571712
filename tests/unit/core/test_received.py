"""Values that references fill in are told apart from what the author of a job wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.secrets import BUILTIN, replace_references, shielded
from gnomon.core.substitution import substitute
from gnomon.core.tasks import received_by
from gnomon.core.values import Json

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.from_regex(r"(env|file|literal|vault):\S+", fullmatch=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


class Kind:
    name = "probe"
    aliases: Sequence[str] = ()
    executor = "pool"
    secrets = ("password",)

    def validate(self, arguments: Mapping[str, Json]) -> dict[str, Json]:
        return dict(arguments)

    def describe(self, arguments: Mapping[str, Json]) -> str:
        return ""


def look_up(key: str, reference: str) -> str:
    provider, _, rest = reference.partition(":")
    return rest if provider == "literal" else "SECRET"


@given(JSON)
def test_what_is_shielded_arrives_as_it_was_and_is_no_reference(value: Json) -> None:
    providers = (*BUILTIN, "vault")
    assert replace_references({"p": shielded(value)}, ["p"], look_up, providers) == {"p": value}


def test_only_what_references_filled_is_received() -> None:
    seen: list[tuple[str, Json]] = []

    def received(key: str, value: Json) -> Json:
        seen.append((key, value))
        return "+"

    arguments: dict[str, Json] = {"a": "${x}", "b": ["plain", {"c": "<${x}>"}], "d": "$${x}"}
    filled = substitute(arguments, {"x": 7}, key="task", received=received)
    assert filled == {"a": "+", "b": ["plain", {"c": "+"}], "d": "${x}"}
    assert seen == [("task.a", 7), ("task.b[1].c", "<7>")]


@pytest.mark.parametrize(("key", "expected"), [("password", "literal:env:HOME"), ("other", "env:HOME")])
def test_a_parameter_cannot_choose_a_secret(key: str, expected: str) -> None:
    arguments: dict[str, Any] = {key: "${who}"}
    filled = substitute(arguments, {"who": "env:HOME"}, key="task", received=received_by(Kind(), "task"))
    assert filled == {key: expected}
