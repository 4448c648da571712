"""The arguments of python tasks: every spelling, every mistake."""

from __future__ import annotations

import sys

import pytest

from gnomon.core.errors import UsageError
from gnomon.core.values import Json
from gnomon.tasks.python import PYTHON


@pytest.mark.parametrize("key", ["callable", "entry_point", "function"])
@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("pkg.mod:func", "pkg.mod:func"),
        ("pkg.mod:Class.method", "pkg.mod:Class.method"),
        ("pkg.mod.func", "pkg.mod:func"),
        (" mod:func ", "mod:func"),
        ("mödül:f", "mödül:f"),
        ("local:my-job 1", "local:my-job 1"),
    ],
)
def test_references(key: str, given: str, canonical: str) -> None:
    assert PYTHON.validate({key: given}) == {"callable": canonical}


def test_everything_at_once_and_again() -> None:
    arguments: dict[str, Json] = {"args": [1, "${day}", None], "kwargs": {"a": {"b": [True]}}, "path": "/srv/app"}
    canonical = PYTHON.validate({"function": "a.b", **arguments})
    assert canonical == {"callable": "a:b", **arguments, "path": ["/srv/app"]}
    assert PYTHON.validate(canonical) == canonical
    assert PYTHON.describe(canonical) == "a:b(1, '${day}', null, a={\"b\":[true]})"
    assert len(PYTHON.describe({"callable": "a:b", "args": ["x" * 50] * 50})) == 200


@pytest.mark.parametrize(
    ("arguments", "code", "key", "hint"),
    [
        ({}, "missing_key", "callable", "package.module:function"),
        ({"function": None}, "missing_key", "function", ""),
        ({"callable": "a:b", "function": "a:b"}, "conflicting_keys", "function", "keep"),
        ({"callable": 5}, "bad_type", "callable", ""),
        ({"entry_point": "func"}, "bad_callable", "entry_point", "module:func"),
        ({"callable": "pkg/mod.py"}, "bad_callable", "callable", "not its file"),
        ({"callable": "a:b()"}, "bad_callable", "callable", "parentheses"),
        ({"callable": "a:b.<locals>.c"}, "bad_callable", "callable", "by name"),
        ({"callable": "a:${name}"}, "bad_callable", "callable", "args and kwargs"),
        ({"callable": "a:b:c"}, "bad_callable", "callable", ""),
        ({"callable": "a.class:b"}, "bad_callable", "callable", ""),
        ({"callable": "local:"}, "bad_callable", "callable", ""),
        ({"callable": "a:b", "arg": [1]}, "unknown_key", "arg", "did you mean args"),
        ({"callable": "a:b", "args": "x"}, "bad_type", "args", ""),
        ({"callable": "a:b", "args": [1, float("nan")]}, "not_json", "args[1]", ""),
        ({"callable": "a:b", "kwargs": [1]}, "bad_type", "kwargs", ""),
        ({"callable": "a:b", "kwargs": {"x": {1, 2}}}, "not_json", "kwargs.x", "texts, numbers"),
        ({"callable": "a:b", "kwargs": {"x": "\ud800"}}, "not_json", "kwargs.x", ""),
        ({"callable": "a:b", "path": ["/a", "b"]}, "bad_value", "path[1]", "start it with /"),
        ({"callable": "a:b", "path": 5}, "bad_type", "path", ""),
    ],
)
def test_mistakes(arguments: dict[str, Json], code: str, key: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        PYTHON.validate(arguments)
    (problem,) = caught.value.problems
    assert (problem.code, problem.key) == (code, key)
    assert hint in problem.hint


def test_nothing_is_imported() -> None:
    PYTHON.validate({"callable": "this.does:not_exist"})
    PYTHON.validate({"callable": "antigravity:geohash"})
    assert "antigravity" not in sys.modules
