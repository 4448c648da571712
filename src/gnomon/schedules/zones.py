"""Time zones: loading by name with one clear error, and arithmetic between wall clock and instants.

Inside this room an instant is `u`, whole seconds UTC since 0001-01-01T00:00, and a wall-clock time is `w`, whole
seconds of local time since 0001-01-01T00:00. `zoneinfo` does not tell when a zone changes its offset, so a `Zone`
finds the changes by daily samples and bisection, once per stretch of 388 days, and remembers them.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from importlib import metadata
from pathlib import PurePosixPath
from typing import Final, NamedTuple
from zoneinfo import TZPATH, ZoneInfo, available_timezones

from gnomon.core.errors import usage

DAY: Final = 86400
EPOCH: Final = datetime(1, 1, 1)
EPOCH_UTC: Final = datetime(1, 1, 1, tzinfo=UTC)
LAST: Final = (datetime.max.toordinal()) * DAY - 1
"""The last whole second that a datetime can hold."""

_SHIFT = 25  # 2**25 s: 388 days, one table of changes each
_MARGIN = 3 * DAY
_REFUSED = frozenset({"localtime", "posixrules", "factory"})


class Segment(NamedTuple):
    """A stretch of instants [start, end) with one UTC offset; `before` and `after` are its neighbours' offsets (s)."""

    start: int
    end: int
    offset: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a wall-clock time means in a zone.

    Attributes:
        kind: "unique", "gap" (the clock skips it) or "fold" (the clock shows it twice).
        first: the instant `u`; in a fold the first pass, in a gap read with the offset before it (shifted forward).
        second: the other reading: in a fold the second pass, in a gap read with the offset after it (shifted back).
        change: the instant `u` of the offset change, if not unique.
    """

    kind: str
    first: int
    second: int
    change: int | None = None


def to_seconds(moment: datetime) -> int:
    """`u` of an aware datetime, rounded down to a whole second."""
    since = moment - EPOCH_UTC
    return since.days * DAY + since.seconds


def wall_seconds(naive: datetime) -> int:
    """`w` of a naive datetime, rounded down to a whole second."""
    since = naive - EPOCH
    return since.days * DAY + since.seconds


def to_instant(u: int) -> datetime:
    """The aware UTC datetime of `u`, which must lie in years 1 to 9999."""
    return EPOCH_UTC + timedelta(seconds=u)


class Zone:
    """A time zone as piecewise constant offsets. Immutable to its users; the tables fill on demand."""

    __slots__ = ("_fixed", "_tables", "info", "key")

    def __init__(self, info: ZoneInfo) -> None:
        self.info = info
        self.key: str = info.key
        self._tables: dict[int, tuple[list[int], list[Segment]]] = {}
        self._fixed = Segment(0, LAST + 1, 0, 0, 0) if info.key in ("UTC", "Etc/UTC") else None

    def segment(self, u: int) -> Segment:
        """The stretch that holds instant `u`, or the nearest one; a long stretch comes in pieces of about a year."""
        if self._fixed is not None:
            return self._fixed
        u = 0 if u < 0 else LAST if u > LAST else u
        number = u >> _SHIFT
        table = self._tables.get(number)
        if table is None:
            table = self._tables[number] = self._table(number)
        return table[1][bisect_right(table[0], u) - 1]

    def offset(self, u: int) -> int:
        """UTC offset in seconds at instant `u`."""
        return self.segment(u).offset

    def local(self, moment: datetime) -> datetime:
        """The aware datetime `moment` as the clocks of this zone show it, clamped to years 1 to 9999."""
        try:
            return moment.astimezone(self.info)
        except OverflowError:
            edge = datetime.min if moment.year == 1 else datetime.max
            return edge.replace(tzinfo=self.info)

    def resolve(self, wall: int) -> Resolved:
        """Which instants show `wall` on this zone's clocks."""
        hits: list[int] = []
        gap: Resolved | None = None
        u = max(0, wall - 2 * DAY)
        while u <= LAST:
            part = self.segment(u)
            if part.start > wall + 2 * DAY:
                break
            if part.start + part.before <= wall < part.start + part.offset:
                gap = Resolved("gap", wall - part.before, wall - part.offset, part.start)
            if part.start <= wall - part.offset < part.end:
                hits.append(wall - part.offset)
            u = part.end
        if len(hits) > 1:
            return Resolved("fold", hits[0], hits[1], self.segment(hits[1]).start)
        if hits or gap is None:
            hit = hits[0] if hits else wall - self.offset(wall)
            return Resolved("unique", hit, hit)
        return gap

    def _table(self, number: int) -> tuple[list[int], list[Segment]]:
        """Stretches of the 388 days from `number << 25`, with three days more on both sides.

        The margin keeps the edge of a table away from any change that a stretch inside has to know of.
        """
        low = max((number << _SHIFT) - _MARGIN, 0)
        high = min(((number + 1) << _SHIFT) + _MARGIN, LAST + 1)
        starts, offsets = [low], [_offset(self.info, low)]
        at = low
        while at < high - 1:
            ahead = min(at + DAY, high - 1)
            there = _offset(self.info, ahead)
            while there != offsets[-1]:
                at = self._change(at, ahead, offsets[-1])
                starts.append(at)
                offsets.append(_offset(self.info, at))
            at = ahead
        rows = zip(
            starts, [*starts[1:], high], offsets, [offsets[0], *offsets[:-1]], [*offsets[1:], offsets[-1]], strict=True
        )
        return starts, [Segment(*row) for row in rows]

    def _change(self, low: int, high: int, offset: int) -> int:
        """The first instant in (low, high] where the offset is no longer `offset`, by bisection."""
        while high - low > 1:
            middle = (low + high) // 2
            if _offset(self.info, middle) == offset:
                low = middle
            else:
                high = middle
        return high


def _offset(info: ZoneInfo, u: int) -> int:
    """UTC offset in whole seconds at `u`; the outermost two days of the calendar repeat their neighbours."""
    u = min(max(u, 2 * DAY), LAST - 2 * DAY)
    delta = (EPOCH_UTC + timedelta(seconds=u)).astimezone(info).utcoffset()
    return 0 if delta is None else delta.days * DAY + delta.seconds


def load_zone(name: object, key: str = "timezone") -> ZoneInfo:
    """The zone of an IANA name such as `Europe/Berlin`.

    Raises:
        UsageError: `timezone_invalid` at `key`, with the nearest valid name as a hint. `localtime`, `posixrules`,
            `right/…`, `posix/…`, absolute paths and `..` are refused: they mean something else on each machine.
    """
    return get_zone(name, key).info


def get_zone(name: object, key: str = "timezone") -> Zone:
    """Like `load_zone`, with the offset changes."""
    if not isinstance(name, str):
        message = f"a time zone is a name such as Europe/Berlin, not a {type(name).__name__}"
        raise usage("timezone_invalid", message, key=key, hint="write an IANA name, or UTC")
    try:
        return _load(name)
    except LookupError:
        shown = repr(name) if len(name) <= 64 else f"{name[:40]!r}… ({len(name)} characters)"
        raise usage("timezone_invalid", f"no time zone is called {shown}", key=key, hint=_hint(name)) from None


@lru_cache(maxsize=1024)
def _load(name: str) -> Zone:
    """The zone. Raises LookupError, each time anew: zone data may be mended while we run."""
    if len(name) > 64:
        raise LookupError(name)
    parts = PurePosixPath(name).parts
    plain = name.isascii() and name.isprintable() and name == "/".join(parts) and ".." not in parts
    if not plain or name.startswith(("/", "right/", "posix/")) or name.lower() in _REFUSED:
        raise LookupError(name)
    try:
        return Zone(ZoneInfo(name))
    except (ValueError, OSError) as error:
        raise LookupError(name) from error


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(n for n in available_timezones() if n.lower() not in _REFUSED)


def _hint(name: str) -> str:
    if name.lower() in _REFUSED or name.startswith(("right/", "posix/")):
        return "it differs from machine to machine: write an IANA name such as Europe/Berlin, or UTC"
    folded = {n.lower(): n for n in _names()}
    by_city = {n.lower().rsplit("/", 1)[-1]: n for n in sorted(_names(), reverse=True)}
    asked = name.lower().replace(" ", "_")[:64]
    near = folded.get(asked) or by_city.get(asked)
    if near is None:
        close = get_close_matches(asked, folded, n=1, cutoff=0.5) or get_close_matches(asked, by_city, n=1, cutoff=0.6)
        near = (folded.get(close[0]) or by_city.get(close[0])) if close else None
    return f"did you mean {near}?" if near else "write an IANA name such as Europe/Berlin, or UTC"


def tzdata_versions() -> tuple[str | None, str | None]:
    """Versions of the zone data: (the one in use, the `tzdata` package's), such as ("2026a", "2026b").

    `zoneinfo` takes the host's files first and the package only where they are missing. None: not to be found out.
    """
    try:
        package: str | None = _letter(metadata.version("tzdata"))
    except metadata.PackageNotFoundError:
        package = None
    for folder in TZPATH:
        root = PurePosixPath(folder)
        if not _readable(str(root / "UTC")) and not _readable(str(root / "Etc/UTC")):
            continue
        text = _readable(str(root / "tzdata.zi"))
        if text.startswith("# version "):
            return text.split("\n", 1)[0].removeprefix("# version ").strip(), package
        version = _readable(str(root / "+VERSION")).strip()
        return version or None, package
    return package, package


def _letter(version: str) -> str:
    """`2026.2` (the package's number) as the database's own `2026b`."""
    year, _, number = version.partition(".")
    digits = number.split(".")[0]
    return f"{year}{chr(96 + int(digits))}" if digits.isdigit() and 1 <= int(digits) <= 26 else version


def _readable(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(64)
    except OSError:
        return ""
