"""Whether the wall clock may be believed, and who has fallen silent by a clock that does not jump. Pure.

The wall clock is compared with a steady one (seconds since boot, `Clock.steady`). Their difference only moves when
somebody sets the wall clock. A difference that is new is believed after it has stood for an hour; the one that was
believed before, at once.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .values import JsonObject, from_micros, parse_rfc3339, rfc3339, to_micros

SETTING = "clock"
"""The name under which the store keeps a `Memory`."""
AGREEMENT_S = 3600.0
"""How long a clock that was set must run on before what cannot be undone is done on its word."""
STEP_S = 10.0
"""A difference up to this is no jump: well under what a lease has left when it is renewed."""
RENEWED_S = 600.0
"""How often the store is told how the clock stands."""
ABSENCE = timedelta(days=1)
"""How far the clock may have gone on while nobody watched it (another boot) and still be believed at once."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the store remembers of the clock: when it was last believed, by both clocks, in which boot.

    `set_at`, `set_by_s`: when (by the clock as it is now) and by how much it was set since and is not believed yet.
    """

    at: datetime
    steady_s: float
    boot: str
    set_at: datetime | None = None
    set_by_s: float = 0.0

    def text(self) -> str:
        """As a setting."""
        told = None if self.set_at is None else rfc3339(self.set_at)
        kept: JsonObject = {"at": to_micros(self.at), "steady_s": self.steady_s, "boot": self.boot}
        return json.dumps({**kept, "set_at": told, "set_by_s": self.set_by_s})

    def stale(self, time: Timekeeper) -> bool:
        """Whether it must be written anew: the clock was set or is believed again, or a while has passed."""
        return self.set_at != time.set_at or abs(time.steady_s - self.steady_s) >= RENEWED_S or self.boot != time.boot

    @staticmethod
    def of(text: str | None) -> Memory | None:
        """From a setting; None if there is none, or it cannot be read."""
        if text is None:
            return None
        try:
            kept = json.loads(text)
            told = kept["set_at"]
            return Memory(
                from_micros(int(kept["at"])),
                float(kept["steady_s"]),
                str(kept["boot"]),
                None if told is None else parse_rfc3339(str(told)),
                float(kept["set_by_s"]),
            )
        except (ValueError, KeyError, TypeError, OverflowError):
            return None


@dataclass(slots=True)
class Timekeeper:
    """Follows both clocks from step to step.

    Attributes:
        boot: which boot of which machine the steady clock counts from; "" if that is not known.
        steady_s: the steady clock at the last look.
        set_at, set_by_s: when and by how much the clock was set, while that is not believed yet.
    """

    boot: str = ""
    steady_s: float = 0.0
    set_at: datetime | None = None
    set_by_s: float = 0.0
    _believed_s: float | None = None
    _seen_s: float = 0.0
    _since_s: float = 0.0
    _silent: dict[Hashable, tuple[datetime, float]] = field(default_factory=dict)

    @property
    def trusted(self) -> bool:
        """Whether what cannot be undone may be done on the word of the wall clock."""
        return self.set_at is None

    def begin(self, now: datetime, steady_s: float, memory: Memory | None, newest: datetime | None) -> None:
        """The first look. `newest`: the newest instant in the store, for want of a memory.

        The hour that a predecessor waited goes on, without the time in which nobody watched.
        """
        at = newest if memory is None else memory.at
        if memory is not None and memory.boot == self.boot != "":
            self._believed_s = to_seconds(memory.at) - memory.steady_s
            if memory.set_at is not None:
                self._seen_s, unwatched_s = self._believed_s + memory.set_by_s, steady_s - memory.steady_s
                self.set_at, self.set_by_s = memory.set_at + timedelta(seconds=unwatched_s), memory.set_by_s
                self._since_s = to_seconds(self.set_at) - self._seen_s
        elif at is None or -STEP_S <= (now - at).total_seconds() <= ABSENCE.total_seconds():
            self._believed_s = to_seconds(now) - steady_s
        else:
            self._believed_s = to_seconds(at) - steady_s
        self.look(now, steady_s)

    def look(self, now: datetime, steady_s: float) -> float | None:
        """Compare the clocks; by how many seconds the wall clock was set since the last look, or None."""
        offset_s, self.steady_s = to_seconds(now) - steady_s, steady_s
        before_s = self._believed_s if self.trusted else self._seen_s
        self._seen_s = offset_s
        jump_s = None if before_s is None or abs(offset_s - before_s) <= STEP_S else offset_s - before_s
        if self._believed_s is None or abs(offset_s - self._believed_s) <= STEP_S:
            self._believed_s, self.set_at, self.set_by_s = offset_s, None, 0.0
        elif jump_s is not None:
            self.set_at, self.set_by_s, self._since_s = now, offset_s - self._believed_s, steady_s
        elif steady_s - self._since_s >= AGREEMENT_S:
            self._believed_s, self.set_at, self.set_by_s = offset_s, None, 0.0
        return jump_s

    def was_set(self, now: datetime, steady_s: float) -> bool:
        """Whether the wall clock was set since the last look."""
        return abs(to_seconds(now) - steady_s - self._seen_s) > STEP_S

    def memory(self) -> Memory:
        """What a successor must know."""
        believed_s = self._believed_s if self._believed_s is not None else self._seen_s
        at = from_micros(round((believed_s + self.steady_s) * 1e6))
        return Memory(at, self.steady_s, self.boot, self.set_at, self.set_by_s)

    def silent(self, who: Hashable, lease_until: datetime, now: datetime, lease_s: float) -> bool:
        """Whether a lease is over: it ran out on a clock that is believed, or was not renewed while we looked on.

        So a clock that was set neither ends the lease of a node that renews it, nor prolongs that of one that is gone.
        """
        seen = self._silent.get(who)
        if seen is None or seen[0] != lease_until:
            seen = self._silent[who] = lease_until, self.steady_s
        return (self.trusted and lease_until <= now) or self.steady_s - seen[1] >= lease_s


def clock_text(set_at: datetime | None, set_by_s: float) -> str:
    """What to tell people of a clock that is not believed."""
    way, size = ("ahead of" if set_by_s > 0 else "behind"), timedelta(seconds=round(abs(set_by_s)))
    return (
        f"the clock is {size} {way} where it was last believed (noticed at {rfc3339(set_at)}): nothing old is removed "
        "until it has run on for an hour without being set; schedules that wait for a time they should not wait for "
        "start anew with `gnomon schedules reset ID`"
    )


def look_again(lease_until: datetime, now: datetime, lease_s: float) -> datetime:
    """When to ask next whether somebody is silent: at the end of the lease, if it can be that of a lease."""
    longest = timedelta(seconds=lease_s)
    return lease_until if now < lease_until <= now + longest else now + longest / 10


def to_seconds(instant: datetime) -> float:
    """Seconds since 1970."""
    return to_micros(instant) / 1e6
