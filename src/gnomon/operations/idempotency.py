"""Asking again without doing it again: a request with a key is done once, and its answer kept for a day.

Effect, audit and key are one transaction: after a crash there are all of them or none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from gnomon.core.access import ANSWERS_KEPT, KeptAnswer
from gnomon.core.errors import Conflict, Problem, usage
from gnomon.core.ports import Reader, Store, Transaction
from gnomon.core.values import Json, canonical_json

from .context import Desk

T = TypeVar("T")
_MOST = 255


def once(desk: Desk, actor: str, key: str | None, operation: str, request: Json, work: Callable[[Desk], Json]) -> Json:
    """The answer of `work`, or the one that the same request was given under the same key.

    Args:
        actor: whose key it is: keys of others are other keys.
        key: None: do it, and keep nothing.
        operation: which one it is (`run.start`), and of which object.
        request: everything the answer depends on.
        work: does it with the desk it is given, whose store is the transaction. It may be called again after a
            rollback. What it raises undoes everything, and nothing is kept; so it is not for bulk actions, where one
            failure must not undo the rest.

    Raises:
        UsageError: `idempotency_key_invalid`. Conflict: `idempotency_key_reused`, with another request.
    """
    if key is None:
        return work(desk)
    if not 1 <= len(key) <= _MOST or not key.isascii() or not key.isprintable():
        text = f"an idempotency key is 1 to {_MOST} printable ASCII characters"
        raise usage("idempotency_key_invalid", text, key="Idempotency-Key", hint="a UUID will do")
    fingerprint = hashlib.sha256(canonical_json(request).encode("utf-8", "surrogatepass")).hexdigest()

    def step(tx: Transaction) -> Json:
        now = desk.clock.now()
        kept = tx.kept_answer(actor, key)
        if kept is not None and kept.at > now - ANSWERS_KEPT:
            if (kept.operation, kept.request) != (operation, fingerprint):
                hint = "take a new key for each new request; the same key only to send the same again"
                text = f"this key came with another request already ({kept.operation})"
                raise Conflict(Problem("idempotency_key_reused", text, "Idempotency-Key", hint))
            return kept.answer
        answer = work(within(desk, tx))
        tx.keep_answer(KeptAnswer(actor, key, operation, fingerprint, answer, now))
        return answer

    return desk.store.write(step)


def within(desk: Desk, tx: Transaction) -> Desk:
    """The same desk inside a transaction under way: what its operations write is committed, or not, with that."""
    return replace(desk, store=_Joined(tx, desk.store))


class _Joined:
    """A store whose writes and reads are those of a transaction under way."""

    def __init__(self, tx: Transaction, store: Store) -> None:
        self._tx, self._store = tx, store

    def write(self, work: Callable[[Transaction], T]) -> T:
        """See `core.ports.Store`."""
        return work(self._tx)

    def read(self, work: Callable[[Reader], T]) -> T:
        """See `core.ports.Store`."""
        return work(self._tx)

    def data_version(self) -> int:
        """See `core.ports.Store`."""
        return self._store.data_version()

    def close(self) -> None:
        """The transaction is somebody else's."""
