"""This machine and this boot of it."""

from __future__ import annotations

import os
import socket


def host_name() -> str:
    """The machine's name."""
    return socket.gethostname()


def boot_id() -> str:
    """An id that differs after every boot of the kernel; "unknown" where there is none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def user_name() -> str:
    """Who runs this process, for `actor`."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
