"""Striking secrets out of what a task says: texts, JSON, and streams of bytes.

A secret is looked for as *shapes*. A shape is a row of places, each with the spellings it may have: of the secret
itself, a character may be written as it is, percent-encoded, or escaped (JSON, shell); of its base64, only as it is.
Base64 depends on what stands before it, so there is one shape for each of the three alignments; of the first and the
last character, which the neighbours have a share in, only those bits are left that say nothing alone. Lines of base64
may be broken anywhere, as `base64` and MIME break them.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from .values import Json

Shape: TypeAlias = "tuple[tuple[bytes, ...], ...]"

SHORTEST = 4
"""Characters of the shortest secret that is struck out: shorter ones would strike out half of everything."""

_LINE = 8  # of a secret of several lines, each line this long is a secret too
STRUCK = b"***"
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\0": "\\0", "\\": "\\\\"}
_ESCAPES |= {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_URL_PASSWORD = re.compile(r"[A-Za-z][\w+.-]*://[^/\s:@]*:([^/\s]*)@")
_HEAD = 6  # places of a shape that are searched for before the rest of it is compared


class Redactor:
    """Strikes out these secrets. Without any, everything stays as it is.

    A regular expression finds where a secret may begin; the rest is compared in Python: one of all shapes of a long key
    takes seconds to compile.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self.secrets = tuple(dict.fromkeys(secrets))
        self.shapes = _shapes(self.secrets)
        heads = dict.fromkeys(shape[:_HEAD] for shape in self.shapes)
        self.reach = max(map(_length, heads), default=0)
        self.head = re.compile(b"(?=" + b"|".join(map(_pattern, heads)) + b")") if heads else None

    def __bool__(self) -> bool:
        """Whether there is anything to strike out."""
        return self.head is not None

    def data(self, data: bytes) -> bytes:
        """`data` without the secrets."""
        if self.head is None:
            return data
        pieces, done, at = [], 0, 0
        while found := self.head.search(data, at):
            start = found.start()
            end = next((end for shape in self.shapes if (end := _compare(shape, data, start)[0])), 0)
            at = end or start + 1
            if end:
                pieces += [data[done:start], STRUCK]
                done = end
        return b"".join([*pieces, data[done:]]) if pieces else data

    def text(self, text: str) -> str:
        """`text` without the secrets."""
        if self.head is None:
            return text
        return self.data(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def json(self, value: Json) -> Json:
        """`value` without the secrets, in texts, keys and numbers, at any depth."""
        if self.head is None or value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (int, float)):
            said = str(value)
            return value if self.text(said) == said else STRUCK.decode()
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.json(item) for key, item in value.items()}
        return [self.json(item) for item in value]

    def stream(self) -> Stream:
        """For output that comes in pieces."""
        return Stream(self)


class Stream:
    """Strikes secrets out of output that comes in pieces; what may be the beginning of one is held back."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor, self._kept = redactor, b""
        self._longest = max(map(_length, redactor.shapes), default=0)
        self._first = {spelling[:1] for shape in redactor.shapes for spelling in shape[0]}

    def feed(self, data: bytes) -> bytes:
        """What may be passed on, now that `data` has come too."""
        data = self._redactor.data(self._kept + data)
        cut = self._open(data)
        self._kept = data[cut:]
        return data[:cut]

    def end(self) -> bytes:
        """The rest: there is no more."""
        kept, self._kept = self._kept, b""
        return kept

    def _open(self, data: bytes) -> int:
        """Where the earliest possible beginning of a secret stands that more data may complete."""
        end = len(data)
        start = max(0, end - self._longest)
        for found in self._redactor.head.finditer(data, start) if self._redactor.head is not None else ():
            if self._begins(data, found.start()):
                end = found.start()
                break
        for at in range(max(start, len(data) - self._redactor.reach), end):  # what is too short to show a head
            if data[at : at + 1] in self._first and self._begins(data, at):
                return at
        return end

    def _begins(self, data: bytes, at: int) -> bool:
        line_end = data.endswith(b"\n") and len(data) - at <= _HEAD  # of an ordinary line, not a break in base64
        return any(
            _compare(shape, data, at)[1] for shape in self._redactor.shapes if not (line_end and _is_breakable(shape))
        )


def _compare(shape: Shape, data: bytes, at: int) -> tuple[int, bool]:
    """Where something of this shape that begins at `at` ends (0: nowhere); and whether more data might make one."""
    places, open_ = {at}, False
    for spellings in shape:
        following = set()
        for place in places:
            for spelling in spellings:
                if data.startswith(spelling, place):
                    following.add(place + len(spelling))
                elif len(data) - place < len(spelling) and spelling.startswith(data[place:]):
                    open_ = True
        places = following
        if not places:
            return 0, open_
    return max(places), open_


def _length(shape: Shape) -> int:
    return sum(max(map(len, spellings)) for spellings in shape)


def _pattern(shape: Shape) -> bytes:
    return b"".join(
        re.escape(spellings[0]) if len(spellings) == 1 else b"(?:" + b"|".join(map(re.escape, spellings)) + b")"
        for spellings in shape
    )


def _shapes(secrets: Sequence[str]) -> tuple[Shape, ...]:
    """Of all secrets, the longest first, so that the whole of one is struck out and not a part of it."""
    found: dict[Shape, None] = {}
    for secret in secrets:
        within = _URL_PASSWORD.match(secret)
        parts = [secret, secret.strip(), *([within[1], _unquoted(within[1])] if within else [])]
        lines = [line.strip() for line in secret.splitlines() if len(line.strip()) >= _LINE]
        for text in dict.fromkeys([*parts, *lines]):
            if len(text) >= SHORTEST:
                found[tuple(_spellings(character) for character in text)] = None
                if text in parts:
                    found.update(dict.fromkeys(_encoded(text.encode("utf-8", "surrogatepass"))))
    return tuple(sorted(found, key=_length, reverse=True))


def _unquoted(text: str) -> str:
    raw = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode("utf-8", "surrogatepass"))
    return raw.decode("utf-8", "replace")


def _spellings(character: str) -> tuple[bytes, ...]:
    """How one character may be written; longer ones first, so that none is the beginning of one behind it."""
    raw = character.encode("utf-8", "surrogatepass")
    upper = "".join(f"%{byte:02X}" for byte in raw)
    units = character.encode("utf-16-be", "surrogatepass")
    escaped = "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
    said = {upper, upper.lower(), escaped, "\\u" + escaped[2:].upper().replace("\\U", "\\u")}
    if not character.isascii() or not character.isprintable():  # Python's repr() of bytes and ascii(); octal, in shells
        said |= {"".join(f"\\x{byte:02x}" for byte in raw), "".join(f"\\{byte:03o}" for byte in raw)}
        said.add(character.encode("ascii", "backslashreplace").decode())
        if ord(character) < 256:
            said.add(f"\\x{ord(character):02x}")
    if character == " ":
        said.add("+")
    if character in "\"'/$`! ":
        said.add("\\" + character)
    if character in _ESCAPES:
        said.add(_ESCAPES[character])
    if character == '"':
        said |= {"&quot;", "&#34;"}
    if character == "'":
        said |= {"&#39;", "&#x27;"}
    return tuple(sorted({*(one.encode() for one in said), raw}, key=lambda one: (-len(one), one)))


def _encoded(data: bytes) -> list[Shape]:
    """Its base64: whole, and the part that is the same whatever stands around it, at each alignment."""
    found = []
    for before in range(3):
        text = binascii.b2a_base64(bytes(before) + data, newline=False)
        start = (0, 2, 3)[before]
        end = len(data) + before
        sure = text[start : end // 3 * 4 + (0, 1, 2)[end % 3]]
        whole = text[start:].rstrip(b"=")
        found += [text[start:], whole, sure] if before == 0 else [whole + text[len(text.rstrip(b"=")) :], whole, sure]
    found += [text.translate(bytes.maketrans(b"+/", b"-_")) for text in found]
    return [_breakable(text) for text in dict.fromkeys(found) if len(text) >= SHORTEST]


def _is_breakable(shape: Shape) -> bool:
    return len(shape) > 1 and shape[1][0].startswith(b"\r\n")


def _breakable(text: bytes) -> Shape:
    """Base64 with or without an end of line before any character but the first."""
    letters = [text[at : at + 1] for at in range(len(text))]
    return ((letters[0],), *((b"\r\n" + one, b"\\n" + one, b"\n" + one, one) for one in letters[1:]))
