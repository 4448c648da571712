"""Bytes of a job file → plain values that know where they stand. Nothing a file holds can do more than be refused.

Every format gives `Document`: JSON values (`Mapping_`, `Seq` and scalars) in which each key and value has a line
and a column. Limits are the same for all: 1 MB, depth 20, 200,000 values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from gnomon.core.errors import Problem

from . import read_json, read_toml, read_yaml
from .tree import MAX_BYTES, Mapping_, Place, Refused, Seq, Value

READERS: dict[str, Callable[[str], Value]] = {
    ".yaml": read_yaml.read,
    ".yml": read_yaml.read,
    ".json": read_json.read,
    ".toml": read_toml.read,
}
"""By extension (lower case)."""

Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says. `root` is the whole of it; `file` is how problems name it."""

    root: Value
    file: str | None = None

    def place(self, path: Path_, *, of_key: bool = False) -> Place:
        """Where the value (or, `of_key`, its key) at `path` stands; the deepest part that exists, if it does not."""
        place: Place = (1, 1)
        here: Value = self.root
        if isinstance(here, (Mapping_, Seq)):
            place = here.place
        for depth, step in enumerate(path):
            if isinstance(here, Mapping_) and isinstance(step, str) and step in here:
                last = depth == len(path) - 1
                place = here.key_places[step] if last and of_key else here.value_places[step]
                here = here[step]
            elif isinstance(here, Seq) and isinstance(step, int) and step < len(here):
                place = here.places[step]
                here = here[step]
            else:
                break
        return place


def read(data: bytes, file: str) -> Document | list[Problem]:
    """The values of a file's bytes, or all that is wrong with its syntax. Never raises.

    `file` names the format by its extension, and is put into every problem.
    """
    try:
        return Document(_read(data, file), file)
    except Refused as refused:
        return [
            Problem(item.code, item.message, item.key, item.hint, file, item.line, item.column)
            for item in refused.problems
        ]
    except RecursionError:
        return [Problem("too_deep", "values are nested too deeply", "", "use at most 20 levels", file, 1, 1)]


def _read(data: bytes, file: str) -> Value:
    reader = READERS.get(PurePath(file).suffix.lower())
    if reader is None:
        raise Refused.one("unknown_format", f"{PurePath(file).name!r} is no job file by its name", (1, 1), _FORMATS)
    if len(data) > MAX_BYTES:
        size = f"{len(data):,} bytes"
        raise Refused.one("file_too_large", f"a job file has at most 1 MB, this one {size}", (1, 1), "split the file")
    text = _text(data)
    if not text.strip():
        raise Refused.one("empty_file", "the file is empty", (1, 1), "write a job, or delete the file")
    return reader(text)


_FORMATS = "name it *.yaml, *.yml, *.json or *.toml"


def _text(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Refused.one("not_utf8", "the file is UTF-16", (1, 1), "save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise Refused.one(
            "not_utf8", f"byte 0x{data[error.start]:02x} is not UTF-8", place, "save it as UTF-8"
        ) from None
    nul = text.find("\x00")
    if nul >= 0:
        place = (text.count("\n", 0, nul) + 1, nul - text.rfind("\n", 0, nul))
        raise Refused.one("control_character", "the file holds a NUL character", place, "is it a text file?")
    return text
