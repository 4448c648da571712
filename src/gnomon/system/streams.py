"""Descriptors 0, 1 and 2, which a process may be started without (`gnomon serve <&- >&- 2>&-`)."""

from __future__ import annotations

import io
import os
import sys


def hold_descriptors() -> None:
    """0 to 2 are open from now on, if only on /dev/null: no database and no socket gets their numbers."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)


def hold_streams() -> None:
    """The same; there is a `sys.stdin`, `sys.stdout` and `sys.stderr`; and these two take any text, in any locale."""
    hold_descriptors()
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115 - stays
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
