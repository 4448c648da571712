"""Which faults are those of one run, and what becomes of it: the step of all goes on without it."""

from __future__ import annotations

import logging

from gnomon.core.attempts import Failure
from gnomon.core.errors import InvariantViolated
from gnomon.core.handover import said_by, type_name
from gnomon.core.records import RunRecord

logger = logging.getLogger("gnomon")

OWN_FAULTS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError),
    InvariantViolated,
)
"""What acting on the values of a run may raise that is no word of the database: that would spoil the whole step."""


def blamed(run: RunRecord, error: Exception) -> Failure:
    """Why a run fails that cannot be gone on with (a bug: the log has its place)."""
    logger.error("run %s of %s cannot go on (a bug: please report it)", run.id, run.job_id, exc_info=error)
    return Failure("internal_error", f"gnomon failed at it: {type_name(error)}: {said_by(error, 500)}")
