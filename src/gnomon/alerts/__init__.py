"""How people are told: one file per type of channel. Imports `core` only; a new type is a file and a line below."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from gnomon.core.errors import Problem, UsageError

from .apprise import APPRISE, MISSING, installed
from .channel import Channel, ChannelType
from .email import EMAIL
from .webhook import WEBHOOK

BUILTIN: tuple[ChannelType, ...] = (WEBHOOK, EMAIL, APPRISE)
BY_NAME: Mapping[str, ChannelType] = {kind.name: kind for kind in BUILTIN}

__all__ = ["BUILTIN", "BY_NAME", "Channel", "ChannelType", "missing_library", "read_channel"]


def read_channel(name: str, table: Mapping[str, object]) -> Channel:
    """The channel that a table of the settings describes.

    Raises:
        UsageError: all that is wrong with it; `key` is `alerts.NAME.KEY`.
    """
    given = {str(key): value for key, value in table.items()}
    kind = BY_NAME.get(str(given.pop("type", "")))
    here = f"alerts.{name}"
    if kind is None:
        said = table.get("type")
        near = difflib.get_close_matches(str(said), BY_NAME, n=1)
        text = f"channel {name!r} has no type" if said is None else f"channel {name!r}: no type is called {said!r}"
        hint = f"did you mean {near[0]!r}?" if near else f"write type = one of {', '.join(BY_NAME)}"
        raise UsageError(Problem("channel_invalid", text, f"{here}.type", hint))
    try:
        return Channel(name, kind, kind.validate(given))
    except UsageError as error:
        raise UsageError(
            *(
                Problem("channel_invalid", f"channel {name!r}: {p.message}", f"{here}.{p.key}", p.hint)
                for p in error.problems
            )
        ) from None


def missing_library(channel: Channel) -> str | None:
    """What must be installed before the channel works; None: nothing."""
    return MISSING if channel.kind is APPRISE and not installed() else None
