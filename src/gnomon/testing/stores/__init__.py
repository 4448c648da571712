"""The promises of `core.ports` as tests: every store, ours or yours, must pass all of them.

class TestMyStore(StoreConformance):
    durable = True

    def open(self, directory, clock, on_commit=None):
        return MyStore(directory / "data", clock, on_commit=on_commit)
"""

from __future__ import annotations

from .access import AccessCases
from .alerts import AlertCases
from .attempts import AttemptCases
from .base import StoreCase
from .configurations import ConfigurationCases
from .items import ItemCases
from .jobs import JobCases
from .lists import ListCases
from .misc import MiscCases
from .prune import PruneCases
from .runs import RunCases
from .schedules import ScheduleCases
from .sharing import SharingCases
from .summaries import SummaryCases
from .transactions import TransactionCases

__all__ = ["StoreCase", "StoreConformance"]


class StoreConformance(
    JobCases,
    ConfigurationCases,
    ScheduleCases,
    RunCases,
    ItemCases,
    ListCases,
    SummaryCases,
    AttemptCases,
    MiscCases,
    AlertCases,
    AccessCases,
    PruneCases,
    TransactionCases,
    SharingCases,
):
    """Subclass it in a test module and define `open` (see `StoreCase`)."""
