"""`type = "email"`: a mail by SMTP."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses
from typing import Any, cast

from gnomon.core.errors import Problem, UsageError
from gnomon.core.values import JsonObject

from .channel import TIMEOUT_S, Message, Undelivered, choice, number, read_keys, text, texts

_KEYS = {
    "host": text,
    "port": number(1, 65535),
    "from": text,
    "to": texts,
    "username": text,
    "password": text,
    "tls": choice("starttls", "tls", "none"),
}
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class Email:
    """See docs/alerts.md."""

    name = "email"
    secrets = ("username", "password")

    def validate(self, arguments: Mapping[str, object]) -> JsonObject:
        """See `ChannelType`. Encrypted unless `tls = "none"` says otherwise; a password is never sent in clear."""
        found = read_keys(arguments, _KEYS, ("host", "from", "to"))
        problems = []
        for key, place in (("from", str(found["from"])), *(("to", one) for one in cast(list[str], found["to"]))):
            if not _is_address(place):
                problems.append(Problem("channel_invalid", f"{place!r} is no mail address", key))
        tls = str(found.setdefault("tls", "tls" if found.get("port") == 465 else "starttls"))
        if tls == "none" and "password" in found:
            text_ = "a password would be sent in clear"
            problems.append(Problem("channel_invalid", text_, "tls", 'use tls = "starttls" or "tls"'))
        found.setdefault("port", _PORTS[tls])
        if problems:
            raise UsageError(*problems)
        return found

    def describe(self, arguments: JsonObject) -> str:
        """Addresses and server."""
        to = ", ".join(cast(list[str], arguments["to"]))
        return f"mail to {to} by {arguments['host']}:{arguments['port']}"

    async def send(self, arguments: JsonObject, message: Message, http: Any) -> None:
        """See `ChannelType`."""
        import aiosmtplib

        mail = mail_of(arguments, message)
        name, password = arguments.get("username"), arguments.get("password")
        try:
            refused, _ = await aiosmtplib.send(
                mail,
                hostname=str(arguments["host"]),
                port=cast(int, arguments["port"]),
                username=None if name is None else str(name),
                password=None if password is None else str(password),
                use_tls=arguments["tls"] == "tls",
                start_tls=arguments["tls"] == "starttls",
                timeout=TIMEOUT_S,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            said = "; ".join(f"{one.recipient}: {one.code} {one.message}" for one in error.recipients)
            hopeless = all(one.code >= 500 for one in error.recipients)
            raise Undelivered(f"recipients refused: {said}", permanent=hopeless) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Undelivered(f"{type(error).__name__}: {error}") from None
        if refused:
            said = "; ".join(f"{place}: {one.code} {one.message}" for place, one in refused.items())
            raise Undelivered(f"arrived, but not with all: {said}", permanent=True)


def _is_address(text: str) -> bool:
    """`ops@example.org`, or `Ops <ops@example.org>`: one of them."""
    found = getaddresses([text])
    bare = found[0][1] if len(found) == 1 else ""
    inside = not any(ord(letter) < 32 for letter in text) and not any(letter.isspace() for letter in bare)
    return inside and "@" in bare.strip("@") and (bare in text)


def mail_of(arguments: JsonObject, message: Message) -> EmailMessage:
    """The mail of a message."""
    mail = EmailMessage()
    mail["From"] = str(arguments["from"])
    mail["To"] = ", ".join(cast(list[str], arguments["to"]))
    mail["Subject"] = " ".join(message.title.split())[:200]
    mail["Date"] = format_datetime(message.at)
    mail["Message-ID"] = f"<{message.key}@gnomon.invalid>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    return mail


EMAIL = Email()
