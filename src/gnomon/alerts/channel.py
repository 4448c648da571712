"""What a type of channel is, what it is given, and how its keys are read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from gnomon.core.errors import Problem, UsageError
from gnomon.core.secrets import is_reference
from gnomon.core.values import Json, JsonObject

TIMEOUT_S = 15.0
"""How long a server may be silent."""
TOTAL_S = 30.0
"""How long one try may take, whatever the server does."""


@dataclass(frozen=True, slots=True)
class Message:
    """One alert.

    Attributes:
        title: one line. text: what happened, for people.
        document: the same for programs.
        key: the same for every try of one message.
        at: when it was decided.
    """

    title: str
    text: str
    document: JsonObject
    key: str
    at: datetime


class Undelivered(Exception):
    """A message did not arrive. `permanent`: it never will, in this form."""

    def __init__(self, text: str, *, permanent: bool = False) -> None:
        super().__init__(text)
        self.permanent = permanent


class ChannelType(Protocol):
    """A way to reach people. Stateless."""

    @property
    def name(self) -> str:
        """What `type =` says."""

    @property
    def secrets(self) -> Sequence[str]:
        """Keys in which references to secrets are looked up before sending."""

    def validate(self, arguments: Mapping[str, object]) -> JsonObject:
        """The arguments in canonical form. Opens nothing.

        Raises:
            UsageError: one problem per mistake; `key` is relative.
        """

    def describe(self, arguments: JsonObject) -> str:
        """Where messages go, in a few words and without secrets."""

    async def send(self, arguments: JsonObject, message: Message, http: Any) -> None:
        """Send it once.

        Args:
            arguments: canonical, secrets looked up.
            http: an `httpx.AsyncClient` that several share.

        Raises:
            Undelivered: it did not arrive, as far as one can know.
        """


@dataclass(frozen=True, slots=True)
class Channel:
    """A named channel: a type and its arguments."""

    name: str
    kind: ChannelType
    arguments: JsonObject


def one_line(said: str, limit: int) -> str:
    """What somebody else said, for an error: on one line, printable, cut."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in said[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


# ---- reading keys ------------------------------------------------------------------------------

Check = Callable[[object], Json]
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def read_keys(given: Mapping[str, object], checks: Mapping[str, Check], required: Sequence[str]) -> dict[str, Json]:
    """Each key by its check.

    Raises:
        UsageError: every unknown, missing or wrong key.
    """
    problems: list[Problem] = []
    values: dict[str, Json] = {}
    for key, value in given.items():
        check = checks.get(key)
        if check is None:
            near = difflib.get_close_matches(key, checks, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(checks)
            problems.append(Problem("channel_invalid", f"there is no key {key!r}", key, hint))
            continue
        try:
            values[key] = check(value)
        except ValueError as error:
            problems.append(Problem("channel_invalid", f"{key} {error}", key))
    for key in required:
        if key not in given:
            problems.append(Problem("channel_invalid", f"{key} is missing", key))
    if problems:
        raise UsageError(*problems)
    return values


def text(value: object) -> Json:
    """A text that is not empty; may refer to a secret."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text that is not empty")
    return value


def address(value: object) -> Json:
    """An http(s) URL, or a reference to a secret that holds one."""
    words = text(value)
    if is_reference(words):
        return words
    if not str(words).lower().startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https:// (or be a reference such as env:NAME)")
    try:
        host, _ = urlsplit(str(words)).hostname, urlsplit(str(words)).port
    except ValueError:
        host = None
    if not host or any(ord(letter) <= 32 or ord(letter) == 127 for letter in str(words)):
        raise ValueError("is no address: write for example https://chat.example/hooks/1")
    return words


def texts(value: object) -> Json:
    """One text or a list of them, as a list."""
    items = value if isinstance(value, list | tuple) else [value]
    if not items:
        raise ValueError("must not be empty")
    return [text(item) for item in items]


def text_map(value: object) -> Json:
    """A mapping of texts."""
    if not isinstance(value, Mapping) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("must be a table of texts")
    return {str(key): item for key, item in value.items()}


def headers(value: object) -> Json:
    """Headers of HTTP: names of letters, digits and dashes; values on one line."""
    found = cast(Mapping[str, str], text_map(value))
    for name, item in found.items():
        if not _HEADER.fullmatch(name):
            raise ValueError(f"has a name that is none of a header: {name!r}")
        if any(ord(letter) < 32 and letter != "\t" for letter in item):
            raise ValueError(f"must be texts of one line: {name}")
    return text_map(value)


def number(low: int, high: int) -> Check:
    """A whole number in a range."""

    def check(value: object) -> Json:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return check


def choice(*words: str) -> Check:
    """One of these words."""

    def check(value: object) -> Json:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return str(value)

    return check
