"""When tokens and sessions were last used: noted beside the caller's way, at most once a minute each."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta

from gnomon.core.access import SessionRecord, TokenRecord
from gnomon.core.ports import Store, Transaction

logger = logging.getLogger("gnomon")
PACE = timedelta(minutes=1)
_MOST = 10_000


class Sightings:
    """Writes in a thread of its own, which ends when there is nothing to write. Safe for threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._gate = threading.Lock()
        self._noted: dict[str, datetime] = {}
        self._tokens: dict[str, datetime] = {}
        self._sessions: dict[str, datetime] = {}
        self._writer: threading.Thread | None = None
        self._closed = False

    def token(self, record: TokenRecord, now: datetime) -> None:
        """Somebody came with it. Returns at once."""
        self._note(self._tokens, record.id, record.last_used_at, now)

    def session(self, record: SessionRecord, now: datetime) -> None:
        """Somebody came with it. Returns at once."""
        self._note(self._sessions, record.id_digest, record.last_seen_at, now)

    def flush(self) -> None:
        """Wait for what is being written."""
        with self._gate:
            writer = self._writer
        if writer is not None:
            writer.join()

    def close(self) -> None:
        """Take note of nothing more, and `flush`. Idempotent."""
        with self._gate:
            self._closed = True
        self.flush()

    def _note(self, waiting: dict[str, datetime], key: str, written: datetime | None, now: datetime) -> None:
        if written is not None and now - written < PACE:
            return
        with self._gate:
            noted = self._noted.get(key)
            if self._closed or (noted is not None and now - noted < PACE):
                return
            if len(self._noted) >= _MOST:
                self._noted.clear()
            self._noted[key] = waiting[key] = now
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="gnomon-sightings", daemon=True)
                self._writer.start()

    def _write(self) -> None:
        while True:
            with self._gate:
                tokens, sessions = dict(self._tokens), dict(self._sessions)
                self._tokens.clear()
                self._sessions.clear()
                if not tokens and not sessions:
                    self._writer = None
                    return

            try:
                self._store.write(lambda tx, t=tokens, s=sessions: _put(tx, t, s))  # type: ignore[misc]
            except Exception as error:
                logger.debug("when tokens were used was not noted: %s", error)


def _put(tx: Transaction, tokens: Mapping[str, datetime], sessions: Mapping[str, datetime]) -> None:
    tx.used_tokens(tokens)
    tx.seen_sessions(sessions)
