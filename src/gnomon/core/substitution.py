"""`${name}` references in task arguments: find them, fill them. Plain substitution, no template language.

A reference that is a whole string keeps the type of its value; inside a longer string it becomes text.
`$${` is a literal `${`. Names are dotted: `runs.extract.result.path` walks into nested values.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from .errors import UsageError, usage
from .values import Json, canonical_json

_TOKEN = re.compile(r"\$\$\{|\$\{([^{}]*)\}")


class Absent:
    """Stands where a value would be that is not there. `why`: in words, for whoever needs it."""

    def __init__(self, why: str) -> None:
        self.why = why


Received = Callable[[str, Json], Json]
"""Of the dotted place and the value that references made there, what is put there instead."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*(\[\d+\])*(\.[A-Za-z0-9_./-]+(\[\d+\])*)*")


def references(value: Json) -> set[str]:
    """The names a value refers to, `$${` not counted. Map keys are never references."""
    return {name for text in _strings(value) for name in references_in(text)}


def references_in(text: str) -> list[str]:
    """The names one string refers to, in order."""
    return [match[1] for match in _TOKEN.finditer(text) if match[1] is not None]


def unclosed(text: str) -> bool:
    """Whether a `${` in it begins no reference (and is no `$${`)."""
    return "${" in _TOKEN.sub("", text)


def substitute(value: Json, values: Mapping[str, Json], *, key: str = "", received: Received | None = None) -> Json:
    """`value` with every reference filled from `values`; map keys stay as they are.

    Args:
        values: names to values; nested maps and lists are reached by dotted names (`items.0`).
        key: dotted path of `value` in its input, for the messages and for `received`.
        received: asked about every string that had a reference in it, once it is filled.

    Raises:
        UsageError: a name is unknown (`unknown_reference`, naming the nearest) or malformed (`bad_reference`).
    """
    if isinstance(value, str):
        filled = _fill(value, values, key)
        return filled if received is None or not references_in(value) else received(key, filled)
    if isinstance(value, Mapping):
        places = {name: f"{key}.{name}" if key else name for name in value}
        return {name: substitute(item, values, key=places[name], received=received) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [substitute(item, values, key=f"{key}[{n}]", received=received) for n, item in enumerate(value)]
    return value


def as_text(value: Json) -> str:
    """A value inside a longer string: strings as they are, null empty, everything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else canonical_json(value)


def _fill(text: str, values: Mapping[str, Json], key: str) -> Json:
    whole = _TOKEN.fullmatch(text)
    if whole is not None and whole[1] is not None:
        return _look_up(whole[1], values, key)

    def replacement(match: re.Match[str]) -> str:
        return "${" if match[1] is None else as_text(_look_up(match[1], values, key))

    return _TOKEN.sub(replacement, text)


def _look_up(name: str, values: Mapping[str, Json], key: str) -> Json:
    if not _NAME.fullmatch(name):
        raise usage("bad_reference", f"${{{name}}} is no reference", key=key, hint=f"for a literal write $${{{name}}}")
    try:
        value = _walk(values, name.replace("[", ".").replace("]", "").split("."))
    except LookupError:
        raise _unknown(name, values, key) from None
    inside = value.values() if isinstance(value, Mapping) else ()
    for absent in (value, *inside):
        if isinstance(absent, Absent):
            raise usage("result_not_kept", f"${{{name}}} is needed, and {absent.why}", key=key)
    return value


def _walk(value: Json, parts: list[str]) -> Json:
    """Step into `value`; the longest key that fits wins, since job ids may contain dots."""
    if not parts or isinstance(value, Absent):
        return value
    if isinstance(value, Mapping):
        for length in range(len(parts), 0, -1):
            name = ".".join(parts[:length])
            if name in value:
                return _walk(value[name], parts[length:])
        raise KeyError(parts[0])
    if isinstance(value, Sequence) and not isinstance(value, str) and parts[0].isdecimal():
        return _walk(value[int(parts[0])], parts[1:])
    raise KeyError(parts[0])


def _unknown(name: str, values: Mapping[str, Json], key: str) -> UsageError:
    near = difflib.get_close_matches(name, sorted(_names(values, "", 4)), n=1)
    hint = f"did you mean ${{{near[0]}}}? " if near else ""
    return usage(
        "unknown_reference", f"${{{name}}} is not known here", key=key, hint=f"{hint}a literal is $${{{name}}}"
    )


def _names(values: Mapping[str, Json], prefix: str, depth: int) -> Iterator[str]:
    for name, value in values.items():
        yield prefix + name
        if isinstance(value, Mapping) and depth:
            yield from _names(value, f"{prefix}{name}.", depth - 1)


def _strings(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _strings(item)
