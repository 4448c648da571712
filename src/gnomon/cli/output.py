"""Answers on stdout: JSON documents, and tables for people."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

from .sanitising import json_for, plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from gnomon.core.records import Page

_FOLDED = 24
_STATES = {  # state: (colour, shape), the language of the dashboard
    "scheduled": ("magenta", "○"),
    "waiting": ("magenta", "○"),
    "queued": ("magenta", "○"),
    "running": ("blue", "●"),
    "succeeded": ("green", "●"),
    "ok": ("green", "●"),
    "failed": ("red", "◆"),
    "timed_out": ("red", "◆"),
    "lost": ("red", "◇"),
    "broken": ("red", "◆"),
    "retry_wait": ("yellow", "■"),
    "warning": ("yellow", "■"),
    "skipped": ("bright_black", "–"),
    "paused": ("bright_black", "–"),
    "disabled": ("bright_black", "–"),
    "retired": ("bright_black", "✕"),
    "cancelled": ("bright_black", "✕"),
}


def print_json(value: object) -> None:
    """The one document on stdout."""
    sys.stdout.write(json_for(sys.stdout, value, indent=2) + "\n")


def console(*, stderr: bool = False) -> Console:
    """As wide as the terminal; elsewhere as wide as the content. No colours where none are wanted (NO_COLOR)."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    wide = None if stream.isatty() or os.environ.get("COLUMNS") else 1000
    return Console(file=stream, width=wide, highlight=False, markup=False, emoji=False, soft_wrap=not stream.isatty())


def state_text(state: object, words: str | None = None) -> Text:
    """A state with its colour and its shape."""
    from rich.text import Text

    colour, shape = _STATES.get(str(state), ("", "·"))
    stream = sys.__stdout__ or sys.stdout
    if "utf" not in (stream.encoding or "").lower():
        shape = ""
    return Text(f"{shape} {words or state}".strip(), style=colour)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    flexible: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> None:
    """Rows below their headings, fitted to the terminal.

    Args:
        flexible: columns that may be folded; others are shown whole.
        optional: columns left out where there is no room, in this order.
    """
    from rich.table import Table
    from rich.text import Text

    screen = console()
    cells = [[cell if isinstance(cell, Text) else Text(shown(cell)) for cell in row] for row in rows]
    kept = _fitting(columns, cells, screen.width, flexible, optional)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for at in kept:
        soft = columns[at] in flexible
        table.add_column(columns[at], no_wrap=not soft, overflow="fold" if soft else "ignore")
    for row in cells:
        table.add_row(*(row[at] for at in kept))
    screen.print(table)


def _fitting(
    columns: Sequence[str], cells: Sequence[Sequence[Text]], room: int, flexible: Sequence[str], optional: Sequence[str]
) -> list[int]:
    """Which columns are shown."""
    widths = {}
    for at, name in enumerate(columns):
        natural = max([len(name), *(row[at].cell_len for row in cells)])
        widths[at] = 2 + (min(natural, _FOLDED) if name in flexible else natural)
    for name in optional:
        if sum(widths.values()) <= room:
            break
        widths.pop(columns.index(name))
    return list(widths)


def print_fields(fields: Mapping[str, object]) -> None:
    """One object: a line for each field that has a value."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields.items():
        if value not in (None, "", [], {}, ()):
            table.add_row(name, value if isinstance(value, Text) else Text(shown(value)))
    console().print(table)


def shown(value: object) -> str:
    """A value in a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (Mapping, list, tuple)):
        value = json.dumps(value, ensure_ascii=False)
    return "\n".join(plain(line) for line in str(value).split("\n"))


def local_time(text: object, zone: tzinfo) -> str:
    """An RFC 3339 time of a JSON object on the clocks of `zone`; the heading or a field names the zone."""
    if not isinstance(text, str):
        return ""
    return datetime.fromisoformat(text).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def seconds(value: object) -> str:
    """A duration that people can compare: `0.02s`, `12.3s`, `4m05s`, `2h03m`."""
    if not isinstance(value, (int, float)):
        return ""
    if value < 60:
        return f"{value:.2f}s" if value < 10 else f"{value:.1f}s"
    minutes, rest = divmod(int(value), 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


def print_page(page: Page[Any], as_json: bool) -> bool:
    """Print a page's items as JSON if that is wanted; in any case say on stderr how to go on. True: nothing is left."""
    if as_json:
        print_json(list(page.items))
    if page.next is not None:
        more = "not everything was looked at; go on with" if page.partial else "there is more:"
        print(f"{more} --cursor {page.next}", file=sys.stderr)
    return as_json
