"""Python callables in persistent worker processes. Start reading at `executor.py`; a worker's side is `child.py`.

    wire.py        what travels and what is journalled: one JSON document per packet or line, no pickle
    child.py       a worker: take, journal, call, journal, report
      calling.py   find a callable, call it, make its outcome
      capture.py   what a call prints, by file descriptor
      ledger.py    its journal
      hygiene.py   what a call must not leave behind for the next
      traits.py    what belongs to the whole process
      orphans.py   processes that a call has left
    places.py      files: journals, identities, fences
    worker.py      one worker seen from the scheduler
    line.py        attempts that wait
    staff.py       which workers there are
    crew.py        which attempt goes to which worker, and what they say
    stopping.py    timeouts and cancels
    reports.py     what the engine is told, and the logs
    keeping.py     clearing away
    succession.py  attempts of another node, learnt from its journals
    settling.py    from a record to `Ended`

The first eight run in the worker: standard library and `gnomon.system.clock` only.
"""

from __future__ import annotations

from .executor import PoolExecutor
from .worker import PoolSettings

__all__ = ["PoolExecutor", "PoolSettings"]
