"""When what was refused is judged again: it may have lacked something that is not in the file, and nothing tells."""

from __future__ import annotations

from dataclasses import dataclass

AGAIN_S = 2.0
"""Seconds between two times at least."""
_REST = 50.0
"""So many times as long as judging took, nothing is judged again: a fiftieth of one processor at most."""


@dataclass(slots=True)
class Again:
    """Says when it is time, by monotonic seconds."""

    _at: float = float("-inf")

    def due(self, now: float) -> bool:
        """Whether it is time."""
        return now >= self._at

    def judged(self, began: float, ended: float) -> None:
        """It was done, and took so long."""
        self._at = ended + max(AGAIN_S, (ended - began) * _REST)
