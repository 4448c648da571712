"""Plain values shared by every room: JSON, canonical text, instants."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = "Mapping[str, Json]"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def canonical_json(value: object) -> str:
    """The one text of a JSON value: sorted keys, no spaces. Equal values give equal text.

    Raises:
        TypeError: if `value` holds something that is not JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: object) -> str:
    """A 16-character fingerprint of a JSON value, the same in every process and version."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970 (UTC) of an aware instant; exact."""
    return (instant - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The aware UTC instant of `to_micros`."""
    return EPOCH + timedelta(microseconds=micros)


def rfc3339(instant: datetime | None) -> str | None:
    """RFC 3339 in UTC with `Z`, microseconds only when there are any; None stays None."""
    return None if instant is None else instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_rfc3339(text: str) -> datetime:
    """The aware UTC instant of an ISO 8601 text with offset.

    Raises:
        ValueError: if the text is no instant, or has no offset.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no offset: write 2026-12-01T09:00:00Z or …+01:00")
    return instant.astimezone(UTC)
