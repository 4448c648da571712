"""The task type `python`: a callable of a module, with arguments.

Promise: what `validate` accepts names something a worker can look for, with arguments that are JSON. Pure: nothing
is imported, so whether the callable exists is found out by the worker (`callable_not_found`).
"""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Mapping, Sequence

from gnomon.core.errors import Problem, UsageError
from gnomon.core.substitution import references_in
from gnomon.core.values import Json, canonical_json

KEYS = ("callable", "args", "kwargs", "path")
SPELLINGS = ("callable", "entry_point", "function")
LOCAL = "local:"
"""Prefix of a callable that only the application knows that registered it; the rest is any text."""

_WORD = r"[^\W\d]\w*"
_REFERENCE = re.compile(rf"({_WORD}(?:\.{_WORD})*):({_WORD}(?:\.{_WORD})*)")
_DOTTED = re.compile(rf"({_WORD}(?:\.{_WORD})*)\.({_WORD})")


class Python:
    """A callable in a worker process; `docs/python-tasks.md` is the manual of every key."""

    name = "python"
    aliases = ("function",)
    executor = "pool"

    def validate(self, arguments: Mapping[str, Json]) -> dict[str, Json]:
        """The canonical arguments: `callable` as `package.module:name`, other keys only when given.

        Raises:
            UsageError: one problem per mistake, keys relative to the arguments as written: `function`, `args[2]`, ….
        """
        known = (*SPELLINGS, *KEYS[1:])
        problems = [_unknown(key, known) for key in arguments if key not in known]
        canonical: dict[str, Json] = {}
        reference = _callable(arguments, problems)
        if reference is not None:
            canonical["callable"] = reference
        args, kwargs, path = arguments.get("args"), arguments.get("kwargs"), arguments.get("path")
        if args is not None and _check_list(args, "args", problems):
            canonical["args"] = args
        if kwargs is not None and _check_map(kwargs, problems):
            canonical["kwargs"] = kwargs
        if path is not None:
            canonical["path"] = _path(path, problems)
        if problems:
            raise UsageError(*problems)
        return canonical

    def describe(self, arguments: Mapping[str, Json]) -> str:
        """One line for lists, at most 200 characters: the call as it would be written."""
        args, kwargs = arguments.get("args"), arguments.get("kwargs")
        parts = [_short(item) for item in args] if isinstance(args, Sequence) and not isinstance(args, str) else []
        parts += [f"{name}={_short(item)}" for name, item in kwargs.items()] if isinstance(kwargs, Mapping) else []
        text = f"{arguments.get('callable')}({', '.join(parts)})"
        return text if len(text) <= 200 else text[:199] + "…"


def _short(value: Json) -> str:
    text = repr(value) if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _unknown(key: str, known: Sequence[str]) -> Problem:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(KEYS)}"
    return Problem("unknown_key", f"a python task has no key {key!r}", key, hint)


def _callable(arguments: Mapping[str, Json], problems: list[Problem]) -> str | None:
    given = [key for key in SPELLINGS if arguments.get(key) is not None]
    if not given:
        key = next((key for key in SPELLINGS if key in arguments), "callable")
        problems.append(Problem("missing_key", "a python task needs a callable", key, "e.g. package.module:function"))
        return None
    for key in given[1:]:
        problems.append(Problem("conflicting_keys", f"`{given[0]}` and `{key}` mean the same", key, "keep `callable`"))
    key, value = given[0], arguments[given[0]]
    if not isinstance(value, str):
        problems.append(Problem("bad_type", f"expected package.module:function, not {value!r:.60}", key))
        return None
    return _reference(value.strip(), key, problems)


def _reference(text: str, key: str, problems: list[Problem]) -> str | None:
    if text.startswith(LOCAL) and len(text) > len(LOCAL) and text.isprintable():
        return text
    match = _REFERENCE.fullmatch(text) or _DOTTED.fullmatch(text)
    if match is None or any(keyword.iskeyword(word) for word in re.split(r"[.:]", text)):
        problems.append(Problem("bad_callable", f"{text!r:.120} names no callable of a module", key, _hint(text)))
        return None
    return f"{match[1]}:{match[2]}"


def _hint(text: str) -> str:
    if references_in(text):
        return "what is called is fixed; ${…} is for args and kwargs"
    if "/" in text or text.endswith(".py"):
        return "write the module, not its file: package.module:function; `path` says where modules are found"
    if "(" in text:
        return "leave the parentheses out; arguments go to `args` and `kwargs`"
    if "<" in text:
        return "lambdas and functions inside functions can not be found by name; use a function of a module"
    return f"say where it is defined, e.g. module:{text}" if text.isidentifier() else "write package.module:function"


def _check_list(value: Json, key: str, problems: list[Problem]) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str):
        problems.append(Problem("bad_type", f"expected a list, not {value!r:.60}", key, "write [a, b]"))
        return False
    before = len(problems)
    for index, item in enumerate(value):
        _check_json(item, f"{key}[{index}]", problems)
    return len(problems) == before


def _check_map(value: Json, problems: list[Problem]) -> bool:
    if not isinstance(value, Mapping):
        problems.append(Problem("bad_type", f"expected a map of names to values, not {value!r:.60}", "kwargs"))
        return False
    before = len(problems)
    for name, item in value.items():
        _check_json(item, f"kwargs.{name}", problems)
    return len(problems) == before


def _check_json(value: Json, key: str, problems: list[Problem]) -> None:
    """JSON has no NaN, no half characters, and no other types: a date must be written as a text."""
    try:
        canonical_json(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        hint = "use texts, numbers, true, false, null, lists and maps; write a date as a text, in quotes"
        problems.append(Problem("not_json", f"{value!r:.60} is not JSON: {error}"[:300], key, hint))


def _path(value: Json, problems: list[Problem]) -> list[Json]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, Sequence):
        problems.append(Problem("bad_type", f"expected a list of directories, not {value!r:.60}", "path"))
        return []
    for index, item in enumerate(items):
        key = "path" if isinstance(value, str) else f"path[{index}]"
        if not isinstance(item, str):
            problems.append(Problem("bad_type", f"expected a directory, not {item!r:.60}", key))
        elif not item.startswith(("/", "${")) or "\0" in item:
            problems.append(Problem("bad_value", f"{item!r:.120} is not absolute", key, "start it with /"))
    return list(items)


PYTHON = Python()
