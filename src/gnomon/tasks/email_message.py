"""Writing a message: every text is encoded, so none can end a header or begin another. Pure but for attachments."""

from __future__ import annotations

import mimetypes
import os
import re
from base64 import b64encode, encodebytes
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.charset import BASE64, Charset
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime
from typing import Any

from gnomon.core.substitution import as_text
from gnomon.core.values import Json, JsonObject

from .email_arguments import split_address
from .http_request import open_file
from .performing import TaskFailed

MAX_ATTACHMENTS = 25 * 1024 * 1024
_SIMPLE = re.compile(r"(?!.*=\?)(?!.*  )[!-~](?:[ -~]{0,900}[!-~])?")
_POLICY = policy.compat32.clone(linesep="\r\n", max_line_length=900)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message ready to go: envelope and bytes."""

    sender: str
    recipients: Sequence[str]
    data: bytes
    message_id: str


def letter_of(arguments: JsonObject, run_id: str, now: datetime) -> Letter:
    """The message of an email task (canonical, filled).

    Raises:
        TaskFailed: `attachment_missing`, `attachment_too_large`.
    """
    sender = _parsed(arguments["from"])[1]
    message = _content(arguments)
    domain = sender.rpartition("@")[2]
    message_id = f"<{re.sub(r'[^A-Za-z0-9.-]', '.', run_id)}@{domain}>"
    message["Date"] = format_datetime(now)
    message["Message-ID"] = message_id
    message["From"] = _shown(arguments["from"])
    people: list[str] = []
    for key, name in (("to", "To"), ("cc", "Cc"), ("bcc", ""), ("reply_to", "Reply-To")):
        items = _list(arguments.get(key))
        if items and name:
            message[name] = ",\r\n ".join(_shown(each) for each in items)
        if key != "reply_to":
            people += [_parsed(each)[1] for each in items]
    if "to" not in arguments and "cc" not in arguments:
        message["To"] = "undisclosed-recipients:;"
    message["Subject"] = _encoded(as_text(arguments.get("subject")))
    headers = arguments.get("headers")
    for name, value in headers.items() if isinstance(headers, Mapping) else ():
        message[name] = _encoded(as_text(value))
    data = message.as_bytes(policy=_POLICY)
    return Letter(sender, list(dict.fromkeys(_wire(each) for each in people)), data, message_id)


def _content(arguments: JsonObject) -> MIMEBase:
    """Text, HTML, both as alternatives; attachments around them."""
    texts = [
        _text(as_text(arguments[key]), kind) for key, kind in (("body", "plain"), ("html", "html")) if key in arguments
    ] or [_text("", "plain")]
    inner: MIMEBase = texts[0] if len(texts) == 1 else MIMEMultipart("alternative", _subparts=texts)
    attached = _attachments(arguments.get("attachments"))
    return MIMEMultipart("mixed", _subparts=[inner, *attached]) if attached else inner


def _text(text: str, kind: str) -> MIMEText:
    """Plain ASCII stays readable on the wire; everything else goes as base64, which changes nothing."""
    plain = re.fullmatch(r"(?:[\t -~]{0,900}\n)*[\t -~]{0,900}", text) is not None
    charset: Any = "us-ascii" if plain else _utf8()
    return MIMEText(text, kind, charset, policy=_POLICY)


def _utf8() -> Charset:
    """UTF-8 in base64, whatever a library in this process has told `email.charset` of it."""
    charset = Charset("utf-8")
    charset.body_encoding = charset.header_encoding = BASE64
    return charset


def _encoded(text: str) -> str:
    """The value of a header, as encoded words (RFC 2047) where it needs them, one a line."""
    if _SIMPLE.fullmatch(text) or not text:
        return text
    words, piece = [], b""
    for character in text:
        data = character.encode()
        if len(piece) + len(data) > 42:
            words.append(piece)
            piece = b""
        piece += data
    return "\r\n ".join(f"=?utf-8?b?{b64encode(each).decode()}?=" for each in (*words, piece))


def _shown(value: Json) -> str:
    name, address = _parsed(value)
    address = _wire(address)
    if not name:
        return address
    if _SIMPLE.fullmatch(name):
        quoted = (
            name
            if re.fullmatch(r"[A-Za-z0-9 !#$%&'*+/=?^_`{|}~-]+", name)
            else '"{}"'.format(re.sub(r'(["\\])', r"\\\1", name))
        )
        return f"{quoted} <{address}>"
    return f"{_encoded(name)} <{address}>"


def _parsed(value: Json) -> tuple[str, str]:
    found = split_address(as_text(value))
    assert found is not None  # it was checked
    return found


def _wire(address: str) -> str:
    """The address as servers take it: its domain in ASCII."""
    local, _, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        raise TaskFailed("bad_arguments", f"{domain!r:.80} is no domain") from None


def _attachments(value: Json) -> list[MIMEBase]:
    parts: list[MIMEBase] = []
    room = MAX_ATTACHMENTS
    for index, item in enumerate(_list(value)):
        given = item if isinstance(item, Mapping) else {"path": item}
        data = _data(given, f"attachments[{index}]", room)
        room -= len(data)
        name = as_text(given.get("name")) or os.path.basename(as_text(given.get("path")))
        guessed = "text/plain" if "content" in given else "application/octet-stream"
        kind = as_text(given.get("content_type")) or mimetypes.guess_type(name)[0] or guessed
        part = MIMEBase(*kind.split("/", 1))
        if "content" in given and kind.startswith("text/"):
            part.set_param("charset", "utf-8")
        part.set_payload(data)
        _to_base64(part, data)
        plain = re.fullmatch(r"[A-Za-z0-9._ -]{1,100}", name) is not None
        part.add_header("Content-Disposition", "attachment", filename=name if plain else ("utf-8", "", name))
        parts.append(part)
    return parts


def weight_of(arguments: JsonObject) -> int:
    """Bytes of the attachments that are files, as far as they can be known before they are read."""
    weight = 0
    for item in _list(arguments.get("attachments")):
        path = item.get("path") if isinstance(item, Mapping) else item
        with suppress(OSError):
            weight += os.stat(path).st_size if isinstance(path, str) else 0
    return weight


def _to_base64(part: MIMEBase, data: bytes) -> None:
    part.set_payload(encodebytes(data).decode("ascii"))
    part["Content-Transfer-Encoding"] = "base64"


def _data(given: Mapping[str, Json], key: str, room: int) -> bytes:
    if "content" in given:
        data = as_text(given["content"]).encode()
    else:
        try:
            with open_file(as_text(given.get("path")), key) as file:
                data = file.read(room + 1)
        except TaskFailed as failure:
            if failure.task_code != "file_missing":
                raise
            raise TaskFailed("attachment_missing", failure.message) from None
    if len(data) > room:
        text = f"{key}: the attachments are larger than {MAX_ATTACHMENTS >> 20} MiB together"
        raise TaskFailed("attachment_too_large", text)
    return data


def _list(value: Json) -> Sequence[Json]:
    if value is None:
        return []
    return value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
