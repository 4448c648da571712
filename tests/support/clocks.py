"""A real `gnomon serve` whose wall clock the test sets (libfaketime); clocks that do not jump stay the machine's."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from .service import Site
from .things import clear


def _library() -> Path | None:
    found = find_spec("libfaketime")
    places = [] if found is None or not found.submodule_search_locations else [*found.submodule_search_locations]
    return next((path for place in places for path in Path(place).rglob("libfaketime.so.1")), None)


LIBRARY = _library()
wants_faketime = pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed here")


def faked(offset: Path) -> dict[str, str]:
    """The variables under which a process sees a wall clock that is ahead by what the file `offset` says, in seconds.

    The library is named apart from its place: a path with a blank in it would be taken for two libraries. While two
    threads ask at the same time, one of some hundred answers is the machine's own time (a fault of the library).
    """
    assert LIBRARY is not None
    places = [str(LIBRARY.parent), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return {
        "LD_PRELOAD": LIBRARY.name,
        "LD_LIBRARY_PATH": os.pathsep.join(places),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1",
    }


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
        return super().environment() | faked(self.offset)

    def kill(self, process: subprocess.Popen[bytes], number: int = signal.SIGKILL) -> int:
        code = super().kill(process, number)
        for name in (f"faketime_shm_{process.pid}", f"sem.faketime_sem_{process.pid}"):
            with suppress(OSError):  # what a killed one leaves in memory; maybe another user's before it, which stays
                Path("/dev/shm", name).unlink()
        return code

    def close(self) -> None:
        super().close()
        clear(self.offset)  # what killed schedulers began goes on without them
        assert "LD_PRELOAD" not in self.log.read_text(), "its clock was the machine's: the library could not be loaded"
