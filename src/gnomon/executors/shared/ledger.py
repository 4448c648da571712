"""The journal of a worker with many attempts at once. Runs in the worker."""

from __future__ import annotations

from collections.abc import Iterable

from gnomon.executors.pool.ledger import Journal

_ROTATE = 256 * 1024
Key = tuple[str, int]


class ManyJournal(Journal):
    """Two files in turn. The older is emptied when all ends in it are durable; first, what has begun and not ended is
    written down again in the newer one, so that no beginning is ever missing.
    """

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix)
        self._begun: dict[Key, bytes] = {}
        self._torn = False
        self._kept: tuple[set[Key], set[Key]] = (set(), set())

    def write(self, data: bytes, ends: int) -> None:
        """Append, behind what a full disk may have left of a line. Raises OSError when the disk refuses."""
        try:
            super().write(b"\n" + data if self._torn else data, ends)
        except OSError:
            self._torn = True
            raise
        self._torn = False

    def begins(self, key: Key, record: bytes) -> None:
        """An `S`. Raises OSError when the disk refuses."""
        self.write(record, 0)
        self._begun[key] = record

    def refused(self, key: Key, record: bytes) -> None:
        """An `R` after it."""
        self._begun.pop(key, None)
        self.write(record, 0)

    def ends(self, key: Key, record: bytes) -> None:
        """An `X`."""
        self.write(record, 1)
        self._begun.pop(key, None)
        self._kept[self._turn].add(key)

    def forget(self, keys: Iterable[Key]) -> None:
        """These ends are durable elsewhere."""
        for key in keys:
            self._kept[0].discard(key)
            self._kept[1].discard(key)
        if self._size > _ROTATE and not self._kept[1 - self._turn]:
            self.write(self._again(), 0)
            self.renew()

    def _again(self) -> bytes:
        return b"".join(self._begun.values())
