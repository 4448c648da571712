"""What a schedule kind is: one object per file, listed in `BUILTIN`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Protocol

from gnomon.core.errors import Problem
from gnomon.core.rules import Rule
from gnomon.schedules.zones import Zone

Canonical = dict[str, object]
"""Canonical arguments of a rule: plain JSON values, the kind's own keys only."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule is read in.

    Attributes:
        zone: the schedule's zone.
        job_id: identity that `H` is hashed from.
        anchor: when the entry was first seen (aware), for intervals without an anchor; None while parsing.
    """

    zone: Zone
    job_id: str
    anchor: datetime | None = None


class Kind(Protocol):
    """One way to say when."""

    @property
    def name(self) -> str:
        """Name of the kind, which is also the mapping key that selects it."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Every mapping key the kind owns."""

    def parse_text(self, text: str, context: Context) -> Canonical | None:
        """The rule that `text` spells, or None if the text is not of this kind. Raises UsageError."""

    def parse_mapping(self, value: Mapping[str, object], context: Context) -> Canonical:
        """The rule of a mapping that holds the kind's own keys. Raises UsageError, all problems at once."""

    def describe(self, rule: Mapping[str, object]) -> str:
        """One line, as a person would write it."""

    def build(self, rule: Mapping[str, object], context: Context) -> Rule:
        """The evaluator of a canonical rule."""


def choice(value: object, key: str, allowed: tuple[str, ...]) -> Problem | None:
    """A problem unless `value` is one of the `allowed` words."""
    if isinstance(value, str) and value in allowed:
        return None
    words = " or ".join([", ".join(allowed[:-1]), allowed[-1]])
    return Problem("value_invalid", f"{shown(value)} is not {words}", key, nearest(value, allowed))


def nearest(value: object, known: tuple[str, ...]) -> str:
    """A hint naming the known word nearest to `value`, or all of them."""
    text = value.lower()[:64] if isinstance(value, str) else ""
    close = get_close_matches(text, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else "allowed: " + ", ".join(known)


def shown(value: object) -> str:
    """`value` for an error message, never long, whatever it is."""
    if isinstance(value, str):
        return repr(value) if len(value) <= 60 else f"{value[:40]!r}… ({len(value)} characters)"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 64 else "a number of more than 19 digits"
    if isinstance(value, (list, tuple, dict, set)):
        return f"a {type(value).__name__} of {len(value)}"
    return repr(value)[:60] if isinstance(value, float) else f"a {type(value).__name__}"
