"""A request as data: what is asked, how the answer is read, and whether it may be asked twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from gnomon.core.errors import UsageError, usage
from gnomon.core.records import Page
from gnomon.core.texts import half_character
from gnomon.core.values import rfc3339

T = TypeVar("T")
API = "/api/v1"
Words = str | Sequence[str]
"""One text, or several of which any will do."""
When = str | datetime
"""A time: RFC 3339, `-2h`, `today 09:00`, …; without an offset it is in the zone of the server."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Names of headers are lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Tagged(dict[str, Any]):
    """An object with the entity tag it was read with."""

    etag: str = ""


def as_json(answer: Answer) -> Any:
    """The document; None if there is none."""
    if not answer.content:
        return None
    value = json.loads(answer.content)
    if isinstance(value, dict) and "etag" in answer.headers:
        value = Tagged(value)
        value.etag = answer.headers["etag"]
    return value


def as_page(answer: Answer) -> Page[Any]:
    """A part of a list."""
    value = json.loads(answer.content)
    return Page(tuple(value["items"]), value["next"], bool(value["partial"]))


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request.

    Attributes:
        operation: its id in the OpenAPI document.
        path: below the API; `{name}` stands for what is in `names`.
        query: parameters; None is left out.
        body: keys of the JSON body; None: there is no body.
        keyed: it takes an Idempotency-Key, so it may be repeated under the same one.
        repeatable: asking twice is the same as asking once. Without either, it is only sent again if it never left.
        accepted: other statuses whose answer is an answer.
    """

    operation: str
    method: str
    path: str
    names: Mapping[str, object] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    keyed: bool = False
    repeatable: bool = False
    read: Callable[[Answer], T] = as_json
    accepted: Sequence[int] = ()

    @property
    def target(self) -> str:
        """Path and query; a slash in a name is written %2F.

        Raises:
            UsageError: a text has half a character; so does `content`.
        """
        said = [(key, _text(one)) for key, value in self.query.items() for one in _each(value)]
        try:
            path = self.path.format_map({name: quote(str(value), safe="") for name, value in self.names.items()})
            return path + ("?" + urlencode(said) if said else "")
        except UnicodeEncodeError as error:
            raise UsageError(half_character(error)) from None

    @property
    def content(self) -> bytes | None:
        """The body."""
        if self.body is None:
            return None
        try:
            return json.dumps(self.body, ensure_ascii=False, default=_text).encode()
        except UnicodeEncodeError as error:
            raise UsageError(half_character(error)) from None


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """A list, which comes in pages."""

    first: Call[Page[T]]

    def at(self, cursor: str | None, limit: int | None = None) -> Call[Page[T]]:
        """The page that begins at a cursor (None: the first), of at most `limit` (None: as was said)."""
        said = {key: value for key, value in (("cursor", cursor), ("limit", limit)) if value is not None}
        return replace(self.first, query={**self.first.query, **said})


@dataclass(frozen=True, slots=True)
class Followed:
    """A stream of events. `ends`: kinds of events after which there is nothing more."""

    call: Call[None]
    ends: frozenset[str] = frozenset()


def get(operation: str, path: str, names: Mapping[str, object] | None = None, **query: Any) -> Call[Any]:
    """A question."""
    return Call(operation, "GET", API + path, names or {}, query, repeatable=True)


def listed(operation: str, path: str, names: Mapping[str, object] | None = None, **query: Any) -> Listed[Any]:
    """A list."""
    return Listed(Call(operation, "GET", API + path, names or {}, query, repeatable=True, read=as_page))


def post(
    operation: str,
    path: str,
    names: Mapping[str, object] | None = None,
    body: Mapping[str, Any] | None = None,
    *,
    keyed: bool = False,
    repeatable: bool = False,
) -> Call[Any]:
    """An order. Keys of the body that are None are left out."""
    said = None if body is None else {key: value for key, value in body.items() if value is not None}
    return Call(operation, "POST", API + path, names or {}, {}, said, keyed=keyed, repeatable=repeatable)


def edit(
    operation: str,
    method: str,
    path: str,
    names: Mapping[str, object],
    body: Mapping[str, Any] | None = None,
    if_match: object = None,
) -> Call[Any]:
    """A change of one object. `if_match`: the object as it was read, or its entity tag."""
    headers = {} if if_match is None else {"If-Match": tag_of(if_match)}
    repeatable = method == "PUT" and if_match is None
    return Call(operation, method, API + path, names, {}, body, headers, repeatable=repeatable)


def tag_of(seen: object) -> str:
    """The entity tag of an object that was read alone, or that tag itself.

    Raises:
        UsageError: the object has none (it came from a list).
    """
    if isinstance(seen, str):
        return seen
    if isinstance(seen, Tagged) and seen.etag:
        return seen.etag
    hint = "read it alone: get_job, get_schedule, get_configuration"
    raise usage("no_entity_tag", "this object has no entity tag", key="if_match", hint=hint)


def words(value: Words) -> list[str]:
    """One text or several, as several."""
    return [value] if isinstance(value, str) else list(value)


def _each(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo is None else str(rfc3339(value))
    return str(value)
