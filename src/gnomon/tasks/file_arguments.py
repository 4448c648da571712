"""The arguments of file tasks: every spelling, every mistake. Pure."""

from __future__ import annotations

import base64
import binascii
import codecs
import difflib
import re
from collections.abc import Callable, Mapping

from gnomon.core.texts import HALF, is_whole
from gnomon.core.values import Json, JsonObject, canonical_json

from .net_checks import Checks

SPELLINGS = {
    "location": "path",
    "url": "path",
    "source": "from",
    "src": "from",
    "destination": "to",
    "target": "to",
    "dst": "to",
    "file_operation": "operation",
    "action": "operation",
    "file_content": "content",
    "file_encoding": "encoding",
}
"""Other names of the keys."""

_BOTH = frozenset({"operation", "storage_options"})
_FACTS = frozenset({"missing", "sha256"})
_WRITE = frozenset({"path", "content", "encoding", "mode", "parents"})
_MOVE = frozenset({"from", "to", "overwrite", "recursive", "parents", "method", "to_storage_options", "missing"})
OPERATIONS: Mapping[str, frozenset[str]] = {
    "read": _BOTH | _FACTS | {"path", "encoding", "max_bytes"},
    "write": _BOTH | _WRITE | {"overwrite", "method"},
    "append": _BOTH | _WRITE,
    "copy": _BOTH | _MOVE | {"mode"},
    "move": _BOTH | _MOVE,
    "delete": _BOTH | {"path", "recursive", "missing"},
    "mkdir": _BOTH | {"path", "parents", "mode", "overwrite"},
    "rmdir": _BOTH | {"path", "recursive", "missing"},
    "list": _BOTH | {"path", "pattern", "recursive", "missing", "max_entries"},
    "stat": _BOTH | _FACTS | {"path"},
    "exists": _BOTH | {"path"},
}
"""What can be done, and with which keys."""

OPERATION_SPELLINGS = {
    "make_dir": "mkdir",
    "makedir": "mkdir",
    "makedirs": "mkdir",
    "make_directory": "mkdir",
    "create_dir": "mkdir",
    "create_directory": "mkdir",
    "remove": "delete",
    "unlink": "delete",
    "rm": "delete",
    "remove_dir": "rmdir",
    "remove_directory": "rmdir",
    "delete_dir": "rmdir",
    "delete_directory": "rmdir",
    "cp": "copy",
    "download": "copy",
    "upload": "copy",
    "mv": "move",
    "rename": "move",
    "ls": "list",
    "list_dir": "list",
    "info": "stat",
    "overwrite": "write",
}
KEYS = tuple(dict.fromkeys(key for keys in OPERATIONS.values() for key in sorted(keys)))
MOST_READ = 64 * 1024
MOST_ENTRIES = 1_000
BASE64 = "base64"
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(://|::.*://)", re.DOTALL)
_MODE = re.compile(r"(0o?)?[0-7]{3,4}")

Reader = Callable[[Json, str, Checks], Json]


def is_url(text: str) -> bool:
    """Whether a place is not simply a path of this machine."""
    return URL.match(text) is not None


def read(arguments: JsonObject, checks: Checks) -> dict[str, Json]:
    """The canonical arguments; mistakes are noted in `checks`."""
    found = checks.spelled(arguments, KEYS, SPELLINGS)
    operation = _operation(found, checks)
    if operation is not None and "from" in OPERATIONS.get(operation, ()) and "path" in found and "from" not in found:
        found["from"] = found.pop("path")
    canonical: dict[str, Json] = {}
    for name, (key, value) in found.items():
        allowed = OPERATIONS.get(operation or "")
        if allowed is not None and name not in allowed:
            checks.problem("unknown_key", f"`{operation}` takes no `{key}`", key, f"it takes: {_listed(allowed)}")
            continue
        canonical[name] = _READERS[name](value, key, checks)
    if operation is None:
        return canonical
    canonical["operation"] = operation
    if operation in ("delete", "rmdir") and not checks.filled:
        canonical["path"] = _without_slash(canonical.get("path"))
    _demand(canonical, found, operation, checks)
    _check_content(canonical, found, checks)
    return canonical


def data_of(content: Json, encoding: str) -> bytes:
    """The bytes that `content` stands for; what is no text is written as JSON.

    Raises:
        ValueError: it cannot be written in this encoding.
    """
    text = content if isinstance(content, str) else "" if content is None else canonical_json(content)
    if encoding != BASE64:
        return text.encode(encoding)
    return base64.b64decode("".join(text.split()), validate=True)


def _listed(keys: frozenset[str]) -> str:
    return ", ".join(sorted(keys - {"operation"}))


def _operation(found: dict[str, tuple[str, Json]], checks: Checks) -> str | None:
    key, value = found.get("operation", ("operation", None))
    if value is None:
        if "content" in found:
            return "write"
        checks.problem("missing_key", "a file task needs an operation", key, f"one of: {', '.join(OPERATIONS)}")
        return None
    if not isinstance(value, str):
        checks.bad_type(value, key, "the name of an operation")
        return None
    word = value.strip().lower().replace("-", "_").replace(" ", "_")
    word = OPERATION_SPELLINGS.get(word, word)
    if word not in OPERATIONS:
        near = difflib.get_close_matches(word, OPERATIONS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"one of: {', '.join(OPERATIONS)}"
        checks.problem("unknown_value", f"there is no operation {value!r:.60}", key, hint)
        return None
    return word


def _demand(canonical: JsonObject, found: JsonObject, operation: str, checks: Checks) -> None:
    wanted = ["from", "to"] if "from" in OPERATIONS[operation] else ["path"]
    if operation in ("write", "append"):
        wanted.append("content")
    for key in wanted:
        if key not in found and not (key == "content" and checks.filled):  # a reference may have brought null
            hint = "e.g. /srv/data/file.txt" if key != "content" else "the text to write; '' for an empty file"
            checks.problem("missing_key", f"`{operation}` needs `{key}`", key, hint)


def _without_slash(path: Json) -> Json:
    """A path as the job file has it, without slashes at its end: on the worker one means that a parameter was empty."""
    if not isinstance(path, str) or path.lower().startswith(("http://", "https://")):
        return path
    head, mark, rest = path.rpartition("://")
    return f"{head}{mark}{rest.rstrip('/')}" if rest.strip("/") else path


def _check_content(canonical: dict[str, Json], found: Mapping[str, tuple[str, Json]], checks: Checks) -> None:
    content, encoding = canonical.get("content"), canonical.get("encoding", "utf-8")
    if not isinstance(encoding, str) or checks.is_open(content) or checks.is_open(encoding) or checks.problems:
        return
    if "content" in canonical:
        key = found["content"][0]
        try:
            data_of(content, encoding)
        except (binascii.Error, ValueError) as error:
            what = "base64" if encoding == BASE64 else encoding
            checks.problem("bad_value", f"cannot be written as {what}: {error}"[:200], key)


def _place(value: Json, key: str, checks: Checks) -> Json:
    if isinstance(value, str) and re.match(r"file:/(?!/)", value):
        checks.problem("bad_value", f"{value!r:.120}: a file URL has three slashes", key, "write the path alone")
        return value
    if isinstance(value, str) and checks.is_open(value):
        return value
    if not isinstance(value, str):
        checks.bad_type(value, key, "a path or URL")
        return None
    if not is_whole(value):
        checks.problem("bad_value", HALF, key)
        return None
    if not value or "\0" in value:
        checks.problem("bad_value", f"{value!r:.120} is no path", key)
    elif value.startswith("~"):
        checks.problem("bad_value", f"{value!r:.120}: `~` is not expanded", key, "write the whole path")
    return value


def _content(value: Json, key: str, checks: Checks) -> Json:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    try:
        canonical_json(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        checks.problem("bad_value", f"cannot be written: {error}"[:200], key)
    return value


def _encoding(value: Json, key: str, checks: Checks) -> Json:
    text = checks.text(value, key)
    if text is None or checks.is_open(text):
        return text
    try:
        if text.lower() in (BASE64, "b64"):
            return BASE64
        "".encode(text)  # refuses codecs that make no bytes of texts
        return codecs.lookup(text).name
    except (LookupError, ValueError):
        checks.problem("unknown_value", f"there is no encoding {text!r:.60}", key, "e.g. utf-8, latin-1, base64")
        return None


def _mode(value: Json, key: str, checks: Checks) -> Json:
    """Permissions as four octal digits. A number is refused: what 640 means in base ten, nobody means."""
    if isinstance(value, str) and checks.is_open(value):
        return value
    if not isinstance(value, str) or not _MODE.fullmatch(value):
        checks.problem("bad_value", f"{value!r:.60} are no permissions", key, 'write "0640", in quotes')
        return None
    return value.replace("o", "").rjust(4, "0")[-4:]


def _missing(value: Json, key: str, checks: Checks) -> Json:
    text = checks.text(value, key)
    if text is not None and not checks.is_open(text) and text not in ("ok", "error"):
        checks.problem("unknown_value", f"{text!r:.60} is neither ok nor error", key)
    return text


def _method(value: Json, key: str, checks: Checks) -> Json:
    text = checks.text(value, key)
    if text is None or checks.is_open(text):
        return text
    if text.upper() not in ("PUT", "POST"):
        checks.problem("unknown_value", f"{text!r:.60} sends no file", key, "PUT or POST")
    return text.upper()


def _options(value: Json, key: str, checks: Checks) -> Json:
    return dict(checks.mapping(value, key, "options of the backend")) if not checks.is_open(value) else value


def _text(value: Json, key: str, checks: Checks) -> Json:
    return checks.text(value, key)


def _flag(value: Json, key: str, checks: Checks) -> Json:
    return value if checks.is_open(value) else checks.flag(value, key)


def _whole(low: int, high: int) -> Reader:
    return lambda value, key, checks: value if checks.is_open(value) else checks.whole(value, key, low, high)


_READERS: Mapping[str, Reader] = {
    "operation": _text,
    "path": _place,
    "from": _place,
    "to": _place,
    "content": _content,
    "encoding": _encoding,
    "mode": _mode,
    "parents": _flag,
    "overwrite": _flag,
    "recursive": _flag,
    "sha256": _flag,
    "missing": _missing,
    "pattern": _text,
    "method": _method,
    "max_bytes": _whole(0, MOST_READ),
    "max_entries": _whole(1, MOST_ENTRIES),
    "storage_options": _options,
    "to_storage_options": _options,
}
