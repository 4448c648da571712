"""The resources put together: `core.ports.Reader` and `core.ports.Transaction` over SQL."""

from __future__ import annotations

from .access import AccessReads, AccessWrites
from .alerts import AlertReads, AlertWrites
from .attempts import AttemptReads, AttemptWrites
from .audit import AuditReads, AuditWrites
from .configurations import ConfigurationReads, ConfigurationWrites
from .flow_lists import FlowLists
from .job_lists import JobLists
from .jobs import JobReads, JobWrites
from .misc import MiscReads, MiscWrites
from .needed import NeededReads
from .nodes import NodeReads, NodeWrites
from .prune import PruneWrites
from .run_lists import RunLists
from .runs import RunReads, RunWrites
from .schedules import ScheduleReads, ScheduleWrites
from .skips import SkipReads, SkipWrites
from .summaries import SummaryReads
from .tallies import TallyReads


class SqlReader(
    AlertReads,
    JobReads,
    JobLists,
    ScheduleReads,
    RunReads,
    RunLists,
    NeededReads,
    AttemptReads,
    SkipReads,
    FlowLists,
    NodeReads,
    MiscReads,
    ConfigurationReads,
    AccessReads,
    AuditReads,
    TallyReads,
    SummaryReads,
):
    """A `Reader`."""


class SqlTransaction(
    JobWrites,
    ScheduleWrites,
    RunWrites,
    AttemptWrites,
    SkipWrites,
    NodeWrites,
    MiscWrites,
    AlertWrites,
    ConfigurationWrites,
    PruneWrites,
    AccessWrites,
    AuditWrites,
    SqlReader,
):
    """A `Transaction`."""
