"""What several resources share: parts of addresses, and words of lists."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Path, Query
from starlette.convertors import Convertor, register_url_convertor

from gnomon.core.errors import usage
from gnomon.operations.context import Desk
from gnomon.operations.moments import parse_when

Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many.")]
Cursor = Annotated[str | None, Query(max_length=2000, description="`next` of the page before.")]
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
