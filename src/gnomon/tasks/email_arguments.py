"""The keys of an email task, each with its mistakes: where files are read, and on the worker when they are filled."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gnomon.core.values import Json

from .net_checks import Checks

KEYS = (
    "host",
    "port",
    "tls",
    "verify",
    "username",
    "password",
    "from",
    "to",
    "cc",
    "bcc",
    "reply_to",
    "subject",
    "body",
    "html",
    "attachments",
    "headers",
    "connect_timeout",
)
SPELLINGS = {
    "server": "host",
    "smtp_host": "host",
    "smtp_server": "host",
    "smtp_port": "port",
    "user": "username",
    "sender": "from",
    "from_address": "from",
    "recipient": "to",
    "recipients": "to",
    "to_addresses": "to",
    "title": "subject",
    "text": "body",
    "message": "body",
    "html_body": "html",
    "files": "attachments",
    "verify_tls": "verify",
}
TLS = {
    "none": "none",
    "plain": "none",
    "false": "none",
    "starttls": "starttls",
    "true": "starttls",
    "implicit": "implicit",
    "ssl": "implicit",
    "smtps": "implicit",
}
PORTS = {"none": 25, "starttls": 587, "implicit": 465}
MAX_RECIPIENTS = 1_000
_ADDRESS = re.compile(r"[^\s@<>()\[\],;:\"\\\x00-\x1f\x7f]{1,64}@[^\s@<>()\[\],;:\"\\\x00-\x1f\x7f]{1,253}")
_NAMED = re.compile(r"\s*(.*?)\s*<([^<>]*)>\s*", re.DOTALL)
_OURS = frozenset(
    ("from", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "mime-version", "sender", "return-path")
)


def read(arguments: Mapping[str, Json], checks: Checks) -> dict[str, Json]:
    """The canonical arguments, and every mistake noted."""
    found = checks.spelled(arguments, KEYS, SPELLINGS)
    canonical: dict[str, Json] = {}
    for name, (key, value) in found.items():
        if name in ("to", "cc", "bcc", "reply_to"):
            canonical[name] = _addresses(value, key, checks)
        elif name == "from":
            canonical[name] = _address(value, key, checks)
        elif name == "attachments":
            canonical[name] = _attachments(value, key, checks)
        elif name == "headers":
            canonical[name] = _headers(value, key, checks)
        else:
            canonical[name] = _simple(name, value, key, checks)
    for name, example in (("host", "smtp.example.com"), ("from", "Jobs <jobs@example.com>")):
        if name not in found:
            checks.problem("missing_key", f"an email task needs `{name}`", name, f"e.g. {example}")
    if not any(name in found for name in ("to", "cc", "bcc")):
        checks.problem("missing_key", "an email task needs somebody it goes to", "to", "e.g. [ops@example.com]")
    if ("password" in found) != ("username" in found):
        missing = "username" if "password" in found else "password"
        checks.problem("missing_key", "`username` and `password` go together", missing)
    return canonical


def security(arguments: Mapping[str, Json]) -> tuple[str, int]:
    """How the connection is secured (`none`, `starttls`, `implicit`) and its port; passwords are never sent in clear
    unless `tls: none` is written.
    """
    tls, port = arguments.get("tls"), arguments.get("port")
    if not isinstance(tls, str):
        if port in (None, 587):
            tls = "starttls"
        elif port == 465:
            tls = "implicit"
        else:
            tls = "starttls" if "username" in arguments else "none"
    return tls, port if isinstance(port, int) else PORTS[tls]


def split_address(text: str) -> tuple[str, str] | None:
    """Name and address of `Name <address>` or `address`; None: it is neither, or more than one."""
    if len(text) > 1_000:
        return None
    named = _NAMED.fullmatch(text)
    name, address = (named[1], named[2].strip()) if named else ("", text.strip())
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    elif re.search(r'[<>@"]', name):
        return None
    if not _ADDRESS.fullmatch(address) or address.startswith("-") or ".." in address or re.search(r"[\x00-\x1f]", name):
        return None
    return name, address


def _simple(name: str, value: Json, key: str, checks: Checks) -> Json:
    if name == "port":
        return value if checks.is_open(value) else checks.whole(value, key, 1, 65535)
    if name == "connect_timeout":
        return value if checks.is_open(value) else checks.seconds(value, key)
    if name == "tls":
        if checks.is_open(value):
            return value
        word = TLS.get(str(value).strip().lower())
        if word is None:
            checks.problem("bad_value", f"{checks.shown(value)}: expected none, starttls or implicit", key)
        return word
    if name == "verify":
        if isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in ("true", "false")):
            return checks.flag(value, key)
        return checks.path(value, key)
    if name in ("body", "html"):
        return checks.text(value, key, one_line=False)
    text = checks.text(value, key)
    bad = r"[\s/@\x00-\x1f]|^[^:]*:[^:]*$"  # two colons and more: an IPv6 address
    if name == "host" and text is not None and not checks.is_open(text) and re.search(bad, text.strip()):
        checks.problem(
            "bad_value", f"{checks.shown(text)} is no host", key, "e.g. smtp.example.com, the port in `port`"
        )
    return text.strip() if name == "host" and text is not None else text


def _addresses(value: Json, key: str, checks: Checks) -> Json:
    """A list. Texts are split at commas where files are read; never on the worker, where it could add recipients."""
    if isinstance(value, str) and not checks.filled and not checks.is_open(value):
        items: list[Json] = list(_split(value))
        single = len(items) == 1
    else:
        listed = isinstance(value, Sequence) and not isinstance(value, str)
        items = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        single = not listed
        items = [each for item in items for each in (item if isinstance(item, list | tuple) else [item])]
    if not items:
        checks.problem("missing_key", "nobody is named", key)
    if len(items) > MAX_RECIPIENTS:
        checks.problem("too_long", f"{len(items)} addresses; at most {MAX_RECIPIENTS}", key)
    return [_address(item, key if single else f"{key}[{index}]", checks) for index, item in enumerate(items)]


def _split(text: str) -> list[str]:
    """At commas and semicolons that are not inside quotes."""
    parts = re.findall(r'(?:"(?:\\.|[^"\\])*"|[^,;"])+', text)
    return [part.strip() for part in parts if part.strip()]


def _address(value: Json, key: str, checks: Checks) -> Json:
    text = checks.text(value, key)
    if text is None or checks.is_open(text):
        return text
    if split_address(text) is None:
        checks.problem(
            "bad_value", f"{checks.shown(text)} is not one address", key, "e.g. ops@example.com, or Ops <ops@…>"
        )
    return text.strip()


def _attachments(value: Json, key: str, checks: Checks) -> Json:
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    items = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return [_attachment(item, f"{key}[{index}]" if listed else key, checks) for index, item in enumerate(items)]


def _attachment(value: Json, key: str, checks: Checks) -> Json:
    if isinstance(value, str):
        return value if checks.is_open(value) else {"path": checks.path(value, key)}
    if not isinstance(value, Mapping):
        checks.bad_type(value, key, "a path, or {path, name, content_type}, or {content, name}")
        return None
    given = checks.spelled(value, ("path", "content", "name", "content_type"), {"filename": "name"}, f"{key}.")
    if ("path" in given) == ("content" in given):
        checks.problem("missing_key", "an attachment needs `path` or `content`, one of them", key)
    if "content" in given and "name" not in given:
        checks.problem("missing_key", "an attachment with `content` needs a name", f"{key}.name")
    canonical: dict[str, Json] = {}
    for name, (place, item) in given.items():
        if name == "path":
            canonical[name] = checks.path(item, place)
        elif name == "content":
            canonical[name] = checks.text(item, place, one_line=False)
        else:
            text = canonical[name] = checks.header(item, place)
            good = text is None or checks.is_open(text) or _good_part(name, text)
            if not good:
                checks.problem("bad_value", f"{checks.shown(text)} cannot be used", place, "e.g. text/csv, report.csv")
    return canonical


def _good_part(name: str, text: str) -> bool:
    if name == "name":
        return bool(text) and "/" not in text
    return re.fullmatch(r"[A-Za-z0-9!#$&^_.+-]{1,80}/[A-Za-z0-9!#$&^_.+-]{1,80}", text) is not None


def _headers(value: Json, key: str, checks: Checks) -> Json:
    canonical: dict[str, Json] = {}
    for name, item in checks.mapping(value, key, "names to texts").items():
        place = f"{key}.{name}"
        if not checks.field(name, place):
            continue
        if name.lower() in _OURS or name.lower().startswith("content-"):
            checks.problem(
                "reserved_name", f"{name} is set by gnomon", place, "there is a key for it, or it is counted"
            )
        elif item is not None:
            canonical[name] = checks.header(item, place)
    return canonical
