"""What several resources share: parts of addresses, and words of lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

from fastapi import Path, Query
from starlette.convertors import Convertor, register_url_convertor

from gnomon.core.errors import UsageError, usage
from gnomon.operations.context import Desk
from gnomon.operations.filters import Language, reading_of
from gnomon.operations.moments import parse_when

F = TypeVar("F")

Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many.")]
Cursor = Annotated[str | None, Query(max_length=2000, description="`next` of the page before.")]
Asking = Annotated[
    str | None,
    Query(max_length=2000, description="The filter language: `type:http label:team=data word`."),
]
After = Annotated[
    str | None, Query(max_length=100, description="From then on: RFC 3339, `+2h`, `tomorrow 09:00`, …; now.")
]
Count = Annotated[int, Query(ge=1, le=1000, description="How many.")]
RunId = Annotated[str, Path(max_length=64, description="The id of a run, or a beginning of it that no other has.")]
ScheduleId = Annotated[str, Path(max_length=310, description="The id of a schedule entry; a job's, if it has one.")]
ConfigurationName = Annotated[str, Path(max_length=200, description="The name; a slash in it is written %2F.")]
JobId = Annotated[str, Path(max_length=200, description="The id of a job; a slash in it is written %2F.")]


class _Id(Convertor[str]):
    """One part of an address; a slash inside it came as `%2F` (see `gate`)."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return value.replace("%2F", "/")

    def to_string(self, value: str) -> str:
        return value.replace("/", "%2F")


register_url_convertor("id", _Id())


def moment(desk: Desk, text: str | None, key: str) -> datetime | None:
    """An instant as people write it: RFC 3339, `2h`, `yesterday`, …; local times are in the zone of the settings."""
    return None if text is None else parse_when(text, desk.clock.now(), ZoneInfo(desk.timezone), key=key).at


def labels(texts: list[str]) -> dict[str, str]:
    """`NAME=VALUE` each."""
    found = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise usage("label_invalid", f"{text[:80]!r} is no label", key="query.label", hint="write label=NAME=VALUE")
        found[name] = value
    return found


def chosen(
    language: Language[F],
    desk: Desk,
    options: Mapping[str, list[str] | str | bool | None],
    q: str | None = None,
    renamed: Mapping[str, str] | None = None,
    place: str = "query",
) -> F:
    """The filter of a list: its parameters, by the keys of the filter language, and the text of `q` beside them.

    Args:
        renamed: parameters whose key in the language is another: key → parameter.
        place: what keys of errors begin with; "" for a body.

    Raises:
        UsageError: the key is the parameter's.
    """
    said = {key: "yes" if v is True else "no" if v is False else v for key, v in options.items()}

    def named(key: str) -> str:
        option = key.removeprefix("--")
        name = (renamed or {}).get(option, option) if key.startswith("--") else "q"
        return f"{place}.{name}" if place else name

    try:
        return language.options(said, reading_of(desk, ZoneInfo(desk.timezone)), q)
    except UsageError as error:
        raise UsageError(*(replace(p, key=named(p.key)) for p in error.problems)) from None


@contextmanager
def under(key: str) -> Iterator[None]:
    """Mistakes found within are those of `key` in the body."""
    try:
        yield
    except UsageError as error:
        if type(error) is not UsageError:
            raise
        raise UsageError(*(replace(p, key=f"{key}.{p.key}" if p.key else key) for p in error.problems)) from None
