"""What a command may put in the place of a file: shell text by name, `$F` being the path."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import sys
from pathlib import Path

_HELD = """\
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
if os.fork() == 0:
    import time
    time.sleep(1000)
"""
_SOCKET = """\
import os, socket, sys
os.chdir(os.path.dirname(sys.argv[1]))
socket.socket(socket.AF_UNIX).bind(os.path.basename(sys.argv[1]))
"""
THINGS = {
    "nothing": ":",
    "directory": 'mkdir "$F"; echo x >"$F/x"',
    "empty directory": 'mkdir "$F"',
    "pipe": 'mkfifo "$F"',
    "pipe with a reader": 'mkfifo "$F"; cat "$F" >/dev/null &',
    "pipe with a writer": 'mkfifo "$F"; sleep 1000 7<>"$F" & sleep 0.1; echo \'{"a": 1}\' >>"$F" &',
    "link to /dev/zero": 'ln -s /dev/zero "$F"',
    "link to a file": 'ln -s /etc/passwd "$F"',
    "dangling link": 'ln -s /nowhere "$F"',
    "link to itself": 'ln -s "$F" "$F"',
    "socket": f"{sys.executable} -S -c '{_SOCKET}' \"$F\"",
    "device": 'mknod "$F" c 1 5 || ln -s /dev/full "$F"',
    "file that nobody may read": 'echo x >"$F"; chmod 000 "$F"',
    "large file": 'truncate -s 9G "$F"',
    "noise": 'head -c 100000 /dev/urandom >"$F"',
    "depth": "head -c 60000 /dev/zero | tr '\\0' '[' >\"$F\"",
    "long number": "head -c 60000 /dev/zero | tr '\\0' '9' >\"$F\"; echo ' a b' >>\"$F\"",
    "large pid": 'echo "9999999999 a b" >"$F"',
    "end": 'echo =0 >"$F"',
    "revocation": 'echo revoked >"$F"',
    "future": 'echo =0 >"$F"; touch -d @99999999999 "$F"',
    "past": 'echo =0 >"$F"; touch -d @-9999999999 "$F"',
    "file under a lease": f"{sys.executable} -S -c '{_HELD}' \"$F\"",
}
UNCHANGEABLE = 'echo x >"$F"; chattr +i "$F"'


def put(thing: str, path: str) -> str:
    """Shell text that puts it at `path`, which may hold variables."""
    return f'F="{path}"; rm -rf "$F"\n{THINGS[thing]}\n'


def clear(place: Path) -> None:
    """End what the commands below `place` have left, and make its files removable."""
    for pid in with_environment(str(place)):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def put_back(away: Path, place: Path) -> None:
    """Rename a directory to where it was; somebody may have made another there meanwhile."""
    while True:
        try:
            away.rename(place)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            shutil.rmtree(place, ignore_errors=True)
        else:
            return


def with_environment(text: str) -> list[int]:
    """The living processes, but for our own, that have this text in their environment or command line."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) != os.getpid():
            with contextlib.suppress(OSError):
                known = Path(f"/proc/{name}/environ").read_bytes() + Path(f"/proc/{name}/cmdline").read_bytes()
                if text.encode() in known:
                    found.append(int(name))
    return found
