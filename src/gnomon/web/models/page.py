"""Parts of lists."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class Page(BaseModel):
    """A part of a list.

    `next`: the cursor of the part after it; null: this is the last. `partial`: it ended because enough was looked at,
    not because it is full: go on with `next`.
    """

    next: str | None
    partial: bool


def page_of(*items: Any) -> dict[str, Any]:
    """An example."""
    return {"items": list(items), "next": None, "partial": False}
