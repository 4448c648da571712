"""What may go to a terminal. Output of jobs can hold sequences that move the cursor, set titles or answer back:
of all of them only colours (SGR, ECMA-48 8.3.117) pass."""

from __future__ import annotations

import re
from typing import TextIO

from gnomon.core.texts import json_text

_SGR = rb"\x1b\[[0-9;:]{0,64}m"
_STRING = rb"\x1b[PX\]^_][^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)?"
_CSI = rb"\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]?"
_TOKENS = re.compile(
    rb"(" + _SGR + rb")|" + _STRING + rb"|" + _CSI + rb"|\x1b[ -/]{0,8}[0-~]?|[\x00-\x08\x0b-\x1f\x7f]"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_UNSEEN = re.compile(r"[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")  # what JSON leaves as it is
_C1 = re.compile(r"[\x80-\x9f]")
RESET = b"\x1b[0m"


def colours_only(data: bytes) -> bytes:
    """`data` without control characters and sequences but tab, newline and SGR; `\\r\\n` becomes `\\n`.

    Bytes that are not UTF-8 become U+FFFD, C1 controls (also encoded ones) are removed.
    """
    cleaned = _TOKENS.sub(lambda found: found[1] or b"", data.replace(b"\r\n", b"\n"))
    return _C1.sub("", cleaned.decode("utf-8", "replace")).encode()


def held_back(data: bytes) -> int:
    """How many bytes at the end may be the beginning of a sequence or of a character that goes on in the next block."""
    escape = data.rfind(b"\x1b", max(0, len(data) - 64))
    if escape >= 0 and _SEQUENCE_OPEN.fullmatch(data, escape):
        return len(data) - escape
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            return back if back < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4) else 0
        if byte < 0x80:
            return 1 if back == 1 and byte == 0x0D else 0
    return 0


_SEQUENCE_OPEN = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|[PX\]^_][^\x07\x1b\x9c]*)?", re.DOTALL)


def json_for(stream: TextIO, value: object, indent: int | None = None) -> str:
    """JSON for a stream, whatever its encoding; what would drive a terminal, or hide on it, is an escape."""
    text = json_text(value, getattr(stream, "encoding", None) or "utf-8", indent)
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def plain(text: str) -> str:
    """One line of text without any control or direction character."""
    return _CONTROLS.sub("", text)
