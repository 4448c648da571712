"""pytest plugin: the fixture `virtual_scheduler`. Loaded by the entry point of the package.

It is imported in every run of pytest where gnomon is installed: nothing heavy here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .virtual import VirtualScheduler


@pytest.fixture
def virtual_scheduler() -> Callable[..., VirtualScheduler]:
    """Makes schedulers on virtual time; the arguments are those of `gnomon.testing.virtual.VirtualScheduler`.

    scheduler = virtual_scheduler("2026-03-28T12:00:00Z", timezone="Europe/Berlin")
    """
    from .virtual import VirtualScheduler

    return VirtualScheduler
