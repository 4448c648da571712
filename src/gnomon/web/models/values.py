"""JSON of any shape in bodies, as far as it can be kept."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AfterValidator

from gnomon.core.texts import HALF, is_whole

MOST_DEEP = 20


def kept_json(value: Any) -> Any:
    """The value, if it is JSON that can be kept and given back.

    Raises:
        ValueError: NaN or infinite numbers, halves of characters, or nested too deep; says which.
    """
    level = [value]
    for _ in range(MOST_DEEP + 1):
        following: list[Any] = []
        for item in level:
            if isinstance(item, float) and not math.isfinite(item):
                raise ValueError(f"{item} is no number of JSON")
            if isinstance(item, str) and not is_whole(item):
                raise ValueError(f"a text {HALF}")
            if isinstance(item, dict):
                following += [*item, *item.values()]
            elif isinstance(item, list):
                following += item
        if not following:
            return value
        level = following
    raise ValueError(f"it is nested more than {MOST_DEEP} deep")


AnyJson = Annotated[Any, AfterValidator(kept_json)]
JsonMap = Annotated[dict[str, Any], AfterValidator(kept_json)]
"""A mapping of names to JSON."""
