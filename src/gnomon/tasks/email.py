"""The task type `email`: one message, handed to an SMTP server.

Promise: what `validate` accepts is one message to the recipients that are written; nothing that is filled in later adds
a header or a recipient. Pure: names are resolved and attachments read by the worker (`email_run`).
"""

from __future__ import annotations

from collections.abc import Mapping

from gnomon.core.values import Json

from .email_arguments import read
from .net_checks import Checks
from .performing import shared_order


class Email:
    """A message by SMTP; `docs/tasks-email.md` is the manual of every key."""

    name = "email"
    aliases = ("send_email", "mail", "smtp")
    executor = "shared"
    isolated = True
    secrets = ("host", "username", "password")

    def validate(self, arguments: Mapping[str, Json]) -> dict[str, Json]:
        """The canonical arguments: recipients as lists, other keys only when given.

        Raises:
            UsageError: one problem per mistake, keys relative to the arguments as written.
        """
        checks = Checks("an email task")
        canonical = read(arguments, checks)
        checks.finish()
        return canonical

    def describe(self, arguments: Mapping[str, Json]) -> str:
        """One line for lists, at most 200 characters: to whom, and the subject."""
        to = arguments.get("to") or arguments.get("cc") or arguments.get("bcc")
        people = ", ".join(str(each) for each in to) if isinstance(to, list | tuple) else str(to)
        text = " ".join(f"to {people}: {arguments.get('subject', '')}".split())
        return text if len(text) <= 200 else text[:199] + "…"

    def order(self, arguments: Mapping[str, Json]) -> dict[str, Json]:
        """What the executor is given."""
        return shared_order("gnomon.tasks.email_run:run", arguments, self.secrets)


EMAIL = Email()
