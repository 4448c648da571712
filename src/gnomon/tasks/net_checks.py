"""Reading arguments of network tasks: every problem noted, references left alone until they are filled."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

from gnomon.core.durations import parse_duration
from gnomon.core.errors import Problem, UsageError
from gnomon.core.secrets import is_reference
from gnomon.core.substitution import references_in
from gnomon.core.texts import HALF, is_whole
from gnomon.core.values import Json, JsonObject

_OF_THE_JOB = ("timeout", "restarts", "retries", "retry", "schedule", "parameters", "depends_on", "for_each", "pool")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LINE_BREAK = re.compile(r"[\r\n\0]")
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Checks:
    """Notes problems.

    Attributes:
        what: the task type, for messages: `an http task`.
        filled: references are filled (on the worker): every text counts as it is.
    """

    def __init__(self, what: str, *, filled: bool = False) -> None:
        self.what, self.filled = what, filled
        self.problems: list[Problem] = []

    def problem(self, code: str, message: str, key: str, hint: str = "") -> None:
        """Note one."""
        self.problems.append(Problem(code, message, key, hint))

    def finish(self) -> None:
        """Raise what was noted.

        Raises:
            UsageError: there was something.
        """
        if self.problems:
            raise UsageError(*self.problems)

    def shown(self, value: Json) -> str:
        """`value` for a message; not on the worker, where it may be secret."""
        return "what it was filled with" if self.filled else f"{value!r:.80}"

    def is_open(self, value: Json) -> bool:
        """Whether `value` cannot be judged yet: a reference has to be filled or a secret looked up first."""
        if self.filled or not isinstance(value, str):
            return False
        return bool(references_in(value)) or is_reference(value)

    def spelled(
        self, arguments: JsonObject, known: Sequence[str], spellings: Mapping[str, str], prefix: str = ""
    ) -> dict[str, tuple[str, Json]]:
        """Canonical key → (key as written, value), without nulls; unknown keys and doubles are problems."""
        found: dict[str, tuple[str, Json]] = {}
        for key, value in arguments.items():
            name = spellings.get(key, key)
            if name not in known:
                near = difflib.get_close_matches(key, [*known, *spellings], n=1)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
                if not prefix and key in _OF_THE_JOB:
                    hint = f"`{key}` belongs to the job: write it beside `task`, not in it"
                self.problem("unknown_key", f"{self.what} has no key {key!r}", prefix + key, hint)
            elif value is None:
                continue
            elif name in found:
                text = f"`{found[name][0]}` and `{key}` mean the same"
                self.problem("conflicting_keys", text, prefix + key, f"keep `{name}`")
            else:
                found[name] = (prefix + key, value)
        return found

    def mapping(self, value: Json, key: str, of: str) -> Mapping[str, Json]:
        """`value` as a map; empty when it is none, or cannot be judged yet."""
        if isinstance(value, Mapping):
            return value
        if not self.is_open(value):
            self.bad_type(value, key, f"a map of {of}")
        return {}

    def bad_type(self, value: Json, key: str, wanted: str, hint: str = "") -> None:
        """Note that `value` is not `wanted`."""
        self.problem("bad_type", f"expected {wanted}, not {self.shown(value)}", key, hint)

    def text(self, value: Json, key: str, *, one_line: bool = True) -> str | None:
        """`value` as a text that can be encoded; numbers become texts."""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self.bad_type(value, key, "a text", "put it in quotes")
            return None
        text = str(value)
        if self.is_open(text):
            return text
        if not is_whole(text):
            self.problem("bad_value", HALF, key)
            return None
        if one_line and _LINE_BREAK.search(text):
            self.problem("bad_value", f"{self.shown(text)} holds a line break or NUL", key, "write it on one line")
            return None
        return text

    def flag(self, value: Json, key: str) -> bool:
        """`value` as true or false."""
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        self.bad_type(value, key, "true or false")
        return False

    def whole(self, value: Json, key: str, low: int, high: int) -> int:
        """`value` as a whole number from `low` to `high`."""
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 20:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.problem("bad_value", f"{self.shown(value)}: expected a whole number from {low} to {high}", key)
            return low
        return value

    def seconds(self, value: Json, key: str) -> float:
        """`value` as a duration of more than 0, in seconds."""
        try:
            seconds = parse_duration(value)
        except UsageError as error:
            self.problem(error.code, error.problems[0].message, key, error.problems[0].hint)
            return 1.0
        if seconds <= 0:
            self.problem("bad_value", "must be longer than 0", key)
        return seconds

    def path(self, value: Json, key: str) -> str | None:
        """`value` as an absolute path."""
        text = self.text(value, key)
        if text is not None and not self.is_open(text) and not text.startswith("/"):
            self.problem("bad_value", f"{self.shown(text)} is not absolute", key, "start it with /")
        return text

    def field(self, name: str, key: str) -> bool:
        """Whether `name` can be the name of a header."""
        if _FIELD_NAME.fullmatch(name):
            return True
        self.problem("bad_name", f"{self.shown(name)} is no name for a header", key, "letters, digits and -")
        return False

    def header(self, value: Json, key: str) -> str | None:
        """`value` as the value of a header: one line without control characters."""
        text = self.text(value, key)
        if text is None or self.is_open(text):
            return text
        if _CONTROL.search(text.replace("\t", " ")):
            self.problem("bad_value", f"{self.shown(text)} holds a control character", key)
        elif text != text.strip(" \t"):
            self.problem("bad_value", f"{self.shown(text)} begins or ends with a space, which headers lose", key)
        else:
            return text
        return None
