"""Alerts and pings of a virtual scheduler: kept in a list instead of sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gnomon.core.deliveries import Delivery, Report
from gnomon.core.ports import Store
from gnomon.core.values import JsonObject
from gnomon.operations.alerts import message_document


class VirtualCourier:
    """A `gnomon.core.ports.Courier` that delivers at once.

    Attributes:
        sent: what arrived, in order, as a webhook would get it, and the name of the `channel`.
        dead: channels that refuse everything.
        tries: every delivery that was handed over.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.sent: list[JsonObject] = []
        self.dead: set[str] = set()
        self.tries: list[Delivery] = []
        self.beats: list[str] = []

    def send(self, deliveries: Sequence[Delivery], report: Callable[[Report], None]) -> None:
        """See `Courier`."""
        for record in deliveries:
            self.tries.append(record)
            if record.channel in self.dead:
                report(Report(record, "refused"))
                continue
            document = self._store.read(lambda r, record=record: message_document(r, record))  # type: ignore[misc]
            self.sent.append({"channel": record.channel, **document})
            report(Report(record))

    def beat(self, url: str) -> None:
        """See `Courier`."""
        self.beats.append(url)
