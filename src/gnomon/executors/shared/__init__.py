"""Async task types, many at once in one worker process. Start at `executor.py`; the worker's side is `child.py`.

    talk.py        what the two say to each other besides orders and records (`pool/wire.py`)
    child.py       the worker: take, journal, await, journal, report
      ledger.py    its journal
      writing.py   the logs of its attempts
    worker.py      the worker seen from the scheduler
    crew.py        what it is given, what it says, when it is killed
    reports.py     what the engine is told
    succession.py  attempts of another node, learnt from its journals

Files, fences, records and what becomes of them are those of the pool. The first four run in the worker: standard
library, `gnomon.system.clock` and values of `gnomon.core` only.
"""

from __future__ import annotations

from .executor import SharedExecutor
from .worker import SharedSettings

__all__ = ["SharedExecutor", "SharedSettings"]
