"""What the answer to a request must be: reading `expect`, and judging an answer by it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gnomon.core.values import Json, canonical_json

from .net_checks import Checks

KEYS = ("status", "body_contains", "regex", "json", "headers", "max_time")
SPELLINGS = {
    "status_code": "status",
    "statuses": "status",
    "contains": "body_contains",
    "body_regex": "regex",
    "matches": "regex",
    "jsonpath": "json",
}
_CLASS = re.compile(r"[1-5]xx")
_RANGE = re.compile(r"([1-5]\d\d)\s*-\s*([1-5]\d\d)")


def read_expect(key: str, value: Json, checks: Checks) -> Json:
    """The canonical `expect`; a number, text or list alone is the status."""
    if isinstance(value, int | str | list | tuple) and not isinstance(value, bool):
        value = {"status": value}
    found = checks.spelled(checks.mapping(value, key, "what is expected"), KEYS, SPELLINGS, f"{key}.")
    canonical: dict[str, Json] = {}
    for name, (place, item) in found.items():
        if checks.is_open(item):
            canonical[name] = item
        elif name == "status":
            canonical[name] = _read_statuses(item, place, checks)
        elif name == "body_contains":
            items = item if isinstance(item, Sequence) and not isinstance(item, str) else [item]
            canonical[name] = [checks.text(each, place, one_line=False) for each in items]
        elif name == "regex":
            canonical[name] = _read_regex(item, place, checks)
        elif name == "json":
            canonical[name] = _read_paths(item, place, checks)
        elif name == "headers":
            pairs = checks.mapping(item, place, "names to texts").items()
            canonical[name] = {head: checks.header(each, f"{place}.{head}") for head, each in pairs}
        else:
            canonical[name] = checks.seconds(item, place)
    return canonical


def _read_statuses(value: Json, key: str, checks: Checks) -> Json:
    items = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    statuses: list[Json] = []
    for index, item in enumerate(items):
        place = f"{key}[{index}]" if items is value else key
        word = item.strip().lower() if isinstance(item, str) else item
        if isinstance(word, str) and word.isascii() and word.isdigit():
            word = int(word[:4])
        good = isinstance(word, str) and (_CLASS.fullmatch(word) or _RANGE.fullmatch(word))
        if isinstance(word, bool) or not (good or (isinstance(word, int) and 100 <= word <= 599)):
            checks.problem(
                "bad_value", f"{checks.shown(item)} is no status", place, 'e.g. 200, [200, 404], "2xx", "200-299"'
            )
        else:
            statuses.append(word)
    if not items:
        checks.problem("bad_value", "no status at all can be expected", key, "leave it out for 2xx")
    return statuses


def _read_regex(value: Json, key: str, checks: Checks) -> Json:
    text = checks.text(value, key, one_line=False)
    if text is None or checks.is_open(text):
        return text
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        checks.problem("bad_value", f"{checks.shown(text)} is no regular expression: {error}", key)
    return text


def _read_paths(value: Json, key: str, checks: Checks) -> Json:
    canonical: dict[str, Json] = {}
    for path, wanted in checks.mapping(value, key, "JSON paths to values").items():
        place = f"{key}.{path}"
        wrong = _path_problem(path)
        if wrong:
            checks.problem(
                "bad_value", f"{checks.shown(path)} is no JSON path: {wrong}", place, "e.g. $.status, $.items[0].id"
            )
        if isinstance(wanted, Mapping):
            for name, item in wanted.items():
                _check_operator(name, item, f"{place}.{name}", checks)
        canonical[path] = wanted
    return canonical


def _check_operator(name: str, wanted: Json, key: str, checks: Checks) -> None:
    if name not in (*OPERATORS, "exists"):
        hint = f"known: exists, {', '.join(OPERATORS)}; to compare with a map write {{equals: {{…}}}}"
        checks.problem("unknown_key", f"{checks.shown(name)} is no comparison", key, hint)
    elif checks.is_open(wanted):
        return
    elif name == "exists":
        checks.flag(wanted, key)
    elif name == "regex":
        _read_regex(wanted, key, checks)
    elif name == "in" and (isinstance(wanted, str) or not isinstance(wanted, Sequence)):
        checks.bad_type(wanted, key, "a list")
    elif name in ("gt", "ge", "lt", "le") and not _numbers(wanted, 0):
        checks.bad_type(wanted, key, "a number")


def _path_problem(path: str) -> str | None:
    from jsonpath import JSONPathEnvironment, JSONPathError

    try:
        JSONPathEnvironment().compile(path)
    except JSONPathError as error:
        return str(error).splitlines()[0][:120] or "syntax"
    except RecursionError:
        return "too deep"
    return None


def status_fits(status: int, wanted: Sequence[Json]) -> bool:
    """Whether a status is one of `wanted` (canonical)."""
    for each in wanted:
        if isinstance(each, int) and status == each:
            return True
        if isinstance(each, str) and (_CLASS.fullmatch(each) and int(each[0]) == status // 100):
            return True
        if isinstance(each, str) and (found := _RANGE.fullmatch(each)) and int(found[1]) <= status <= int(found[2]):
            return True
    return False


def body_problems(expect: Mapping[str, Json], text: str, parsed: tuple[Json] | None) -> list[str]:
    """What is wrong with a body.

    Args:
        expect: canonical.
        parsed: its JSON in a tuple; None: it is none.
    """
    found: list[str] = []
    for wanted in _list(expect.get("body_contains")):
        if str(wanted) not in text:
            found.append(f"the body does not contain {wanted!r:.80}")
    regex = expect.get("regex")
    if isinstance(regex, str) and re.search(regex, text) is None:
        found.append(f"the body does not match {regex!r:.80}")
    paths = expect.get("json")
    if isinstance(paths, Mapping) and paths:
        if parsed is None:
            return [*found, "the body is no JSON"]
        found += [said for path, wanted in paths.items() if (said := _path_fails(path, wanted, parsed[0]))]
    return found


def header_problems(expect: Mapping[str, Json], headers: Mapping[str, str]) -> list[str]:
    """What is wrong with the headers (names in lower case): each must contain the text that is expected."""
    wanted = expect.get("headers")
    pairs = wanted.items() if isinstance(wanted, Mapping) else ()
    return [
        f"header {name} is {headers.get(name.lower(), 'missing')!r:.80}, not {text!r:.80}"
        for name, text in pairs
        if str(text) not in headers.get(name.lower(), "") or name.lower() not in headers
    ]


def _path_fails(path: str, wanted: Json, document: Json) -> str | None:
    from jsonpath import JSONPathEnvironment, JSONPathError

    try:
        values: list[Any] = list(JSONPathEnvironment().findall(path, document))
    except JSONPathError as error:
        return f"{path}: {str(error).splitlines()[0]:.120}"
    conditions = dict(wanted) if isinstance(wanted, Mapping) else {"equals": wanted}
    exists = conditions.pop("exists", None)
    if exists is not None and str(exists).lower() == "false":
        return f"{path} is there: {_short(values[0])}" if values else None
    if not values:
        return f"{path} is not there"
    for value in values:
        for name, each in conditions.items():
            if not OPERATORS[name](value, each):
                said = "" if name == "equals" else f"{name} "
                return f"{path} is {_short(value)}, not {said}{_short(each)}"
    return None


def _same(value: Json, wanted: Json) -> bool:
    """JSON equality: true is not 1, but 1 is 1.0."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, Mapping) and isinstance(wanted, Mapping):
        return value.keys() == wanted.keys() and all(_same(value[key], wanted[key]) for key in value)
    if isinstance(value, list | tuple) and isinstance(wanted, list | tuple):
        return len(value) == len(wanted) and all(_same(a, b) for a, b in zip(value, wanted, strict=True))
    return value == wanted


def _contains(value: Json, wanted: Json) -> bool:
    if isinstance(value, str):
        return isinstance(wanted, str) and wanted in value
    if isinstance(value, Mapping):
        return isinstance(wanted, str) and wanted in value
    return isinstance(value, Sequence) and any(_same(each, wanted) for each in value)


def _numbers(*values: Json) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _short(value: Json) -> str:
    text = canonical_json(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _list(value: Json) -> Sequence[Json]:
    if value is None:
        return []
    return value if isinstance(value, Sequence) and not isinstance(value, str) else [value]


OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "equals": _same,
    "not": lambda value, wanted: not _same(value, wanted),
    "in": lambda value, wanted: any(_same(value, each) for each in wanted),
    "contains": _contains,
    "regex": lambda value, wanted: isinstance(value, str) and re.search(wanted, value) is not None,
    "gt": lambda value, wanted: _numbers(value, wanted) and value > wanted,
    "ge": lambda value, wanted: _numbers(value, wanted) and value >= wanted,
    "lt": lambda value, wanted: _numbers(value, wanted) and value < wanted,
    "le": lambda value, wanted: _numbers(value, wanted) and value <= wanted,
}
