"""A real `gnomon serve` whose wall clock the test sets (libfaketime); clocks that do not jump stay the machine's."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from .service import Site


def _library() -> str | None:
    found = find_spec("libfaketime")
    places = [] if found is None or not found.submodule_search_locations else [*found.submodule_search_locations]
    return next((str(path) for place in places for path in Path(place).rglob("libfaketime.so.1")), None)


LIBRARY = _library()
wants_faketime = pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed here")


class SetClock(Site):
    """A site whose processes see a wall clock that is `ahead_s` ahead of the machine's (negative: behind)."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.offset = root / "offset"
        self.ahead(0)

    def ahead(self, seconds: float) -> None:
        """Set the clock, for what runs and for what comes."""
        draft = self.offset.with_suffix(".new")
        draft.write_text(f"{seconds:+.0f}\n")
        draft.rename(self.offset)

    def environment(self) -> dict[str, str]:
        return super().environment() | {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self.offset),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
        }
