"""Striking secrets out of what a task says: texts, JSON, and streams of bytes.

A secret is looked for as *shapes*. A shape is a row of places, each with the spellings it may have: of the secret
itself, a character may be written as it is, percent-encoded, or escaped (JSON, shell); of its base64, only as it is.
Base64 depends on what stands before it, so there is one shape for each of the three alignments; of the first and the
last character, which the neighbours have a share in, only those bits are left that say nothing alone.
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


class Redactor:
    """Strikes out these secrets. Without any, everything stays as it is."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self.secrets = tuple(dict.fromkeys(secrets))
        self.shapes = _shapes(self.secrets)
        whole = b"|".join(_pattern(shape) for shape in self.shapes)
        self._pattern = re.compile(whole) if self.shapes else None

    def __bool__(self) -> bool:
        """Whether there is anything to strike out."""
        return self._pattern is not None

    def data(self, data: bytes) -> bytes:
        """`data` without the secrets."""
        return data if self._pattern is None else self._pattern.sub(STRUCK, data)

    def text(self, text: str) -> str:
        """`text` without the secrets."""
        if self._pattern is None:
            return text
        return self.data(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def json(self, value: Json) -> Json:
        """`value` without the secrets, in texts, keys and numbers, at any depth."""
        if self._pattern is None or value is None or isinstance(value, bool):
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
        self._longest = max((_length(shape) for shape in redactor.shapes), default=0)
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
        for at in range(max(0, len(data) - self._longest), len(data)):
            if data[at : at + 1] in self._first:
                tail = data[at:]
                if any(_begins(shape, tail) for shape in self._redactor.shapes):
                    return at
        return len(data)


def _begins(shape: Shape, tail: bytes) -> bool:
    """Whether all of `tail` is the beginning of something that has this shape, and not the whole of it."""
    places = {0}
    for spellings in shape:
        following = set()
        for place in places:
            rest = tail[place:]
            for spelling in spellings:
                if len(rest) < len(spelling) and spelling.startswith(rest):
                    return True
                if rest.startswith(spelling):
                    following.add(place + len(spelling))
        places = following
        if not places:
            return False
    return False


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
        texts = [secret, *(line.strip() for line in secret.splitlines() if len(line.strip()) >= _LINE)]
        for text in dict.fromkeys(texts):
            if len(text) >= SHORTEST:
                found[tuple(_spellings(character) for character in text)] = None
                found.update(dict.fromkeys(_encoded(text.encode("utf-8", "surrogatepass"))))
    return tuple(sorted(found, key=_length, reverse=True))


def _spellings(character: str) -> tuple[bytes, ...]:
    """How one character may be written; longer ones first, so that none is the beginning of one behind it."""
    raw = character.encode("utf-8", "surrogatepass")
    upper = "".join(f"%{byte:02X}" for byte in raw)
    units = character.encode("utf-16-be", "surrogatepass")
    escaped = "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
    said = {upper, upper.lower(), escaped, "\\u" + escaped[2:].upper().replace("\\U", "\\u")}
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
    return [tuple((bytes([byte]),) for byte in text) for text in dict.fromkeys(found) if len(text) >= SHORTEST]
