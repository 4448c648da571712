"""`gnomon configurations …`"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gnomon.core.errors import UsageError, usage

from . import command as shared
from .choosing import confirm
from .command import command, group
from .jobs import nothing_yet
from .output import local_time, print_fields, print_json, print_page, print_table, shown
from .session import Session

if TYPE_CHECKING:
    from gnomon.core.values import Json

app = group("Configurations: arguments that tasks share (`use: NAME`); list, show, save, history, delete.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the configuration.", show_default=False)]
Unused = Annotated[bool, typer.Option("--unused", help="Only those that no job uses.")]


@command(app, "list")
def list_(session: Session, unused: Unused = False, limit: shared.Limit = 50, cursor: shared.Cursor = None) -> None:
    """Configurations, their versions, and how many jobs use them."""
    from gnomon.core.records import Page
    from gnomon.operations.configurations import list_configurations, unused_configurations

    if nothing_yet(session):
        return
    with session.desk() as desk:
        page = Page(tuple(unused_configurations(desk))) if unused else list_configurations(desk, limit, cursor)
    if print_page(page, session.json):
        return
    columns = ("configuration", "version", "type", "used by", f"updated ({session.settings.timezone})", "source")
    rows = [_row(cast(dict[str, Any], item), session) for item in page.items]
    print_table(columns, rows, flexible=("source",), optional=("source",))


def _row(item: Mapping[str, Any], session: Session) -> tuple[object, ...]:
    count = len(item["used_by"])
    used = "–" if not count else item["used_by"][0] if count == 1 else f"{count} jobs"
    updated = local_time(item["updated_at"], session.zone)
    return item["name"], item["version"], item["type"], used, updated, _source(item)


def _source(item: Mapping[str, Any]) -> str:
    return str(item["source"]["path"] or item["source"]["kind"])


@command(app, "show")
def show(
    session: Session,
    name: Name,
    version: Annotated[int | None, typer.Option("--version", metavar="N", help="As it was in this version.")] = None,
) -> None:
    """One configuration: its arguments, and the jobs that use it."""
    from gnomon.operations.configurations import show_configuration

    with session.desk() as desk:
        _print(session, cast(dict[str, Any], show_configuration(desk, name, version)))


def _print(session: Session, item: Mapping[str, Any]) -> None:
    if session.json:
        print_json(item)
        return
    changed = item.get("updated_at") or item.get("at")
    print_fields(
        {
            "configuration": item["name"],
            "version": item["version"],
            "type": item["type"],
            "arguments": "\n".join(f"{key}: {shown(value)}" for key, value in item["arguments"].items()),
            "used by": ", ".join(item.get("used_by", ())),
            "source": _source(item) if "source" in item else "",
            "saved by": item.get("actor"),
            "saved": local_time(changed, session.zone),
            "times are in": session.settings.timezone,
        }
    )


@command(app, "history")
def history(session: Session, name: Name, limit: shared.Limit = 50) -> None:
    """The versions that are kept, newest first: all that runs refer to, and the newest 50."""
    from gnomon.operations.configurations import configuration_history

    with session.desk() as desk:
        items = [cast(dict[str, Any], item) for item in configuration_history(desk, name, limit)]
    if session.json:
        print_json(items)
        return
    columns = ("version", f"saved ({session.settings.timezone})", "by", "type", "arguments")
    rows = [
        (item["version"], local_time(item["at"], session.zone), item["actor"], item["type"], item["arguments"])
        for item in items
    ]
    print_table(columns, rows, flexible=("arguments",))


@command(app, "save")
def save(
    session: Session,
    name: Name,
    type_: Annotated[str | None, typer.Option("--type", metavar="TYPE", help="The task type it is for.")] = None,
    argument: Annotated[
        list[str] | None,
        typer.Option(
            "--argument", "-a", metavar="NAME=VALUE", help="An argument; JSON, or else a text. Again for more."
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="YAML, JSON or TOML with the arguments.")
    ] = None,
) -> None:
    """Make these arguments the configuration: a new version if they differ. Secrets are references: env:NAME."""
    from gnomon.jobfiles.lint import doubts_about_secrets
    from gnomon.operations.configurations import save_configuration

    written = {} if file is None else _read_file(file)
    kind = type_ or written.pop("type", None)
    if kind is not None and not isinstance(kind, str):
        raise usage("wrong_type", f"type is {kind!r}: the name of a task type is wanted", key="type")
    arguments = {**written, **_read_arguments(argument or ())}
    for place, code, what in doubts_about_secrets(arguments):
        print(f"warning: {'.'.join(map(str, place))}: {what} [{code}]", file=sys.stderr)
    with session.desk(new=True) as desk:
        saved = cast(dict[str, Any], save_configuration(desk, name, kind, arguments))
    if session.json:
        print_json(saved)
    else:
        print(f"{name} is saved, version {saved['version']}")


def _read_arguments(texts: Sequence[str]) -> dict[str, Json]:
    answer: dict[str, Json] = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise usage("argument_invalid", f"{text!r} is no argument", key="-a", hint="write -a NAME=VALUE")
        try:
            answer[name] = json.loads(value)
        except ValueError:
            answer[name] = value
    return answer


def _read_file(path: Path) -> dict[str, Json]:
    from gnomon.jobfiles.readers import plain
    from gnomon.jobfiles.reading import read

    document = read(path.read_bytes(), str(path))
    if isinstance(document, list):
        raise UsageError(*document)
    content = plain(document.root)
    if not isinstance(content, dict):
        raise usage("wrong_type", f"{path} holds no mapping of arguments", key="--file", hint="write `url: …`")
    return content


@command(app, "delete")
def delete(
    session: Session,
    name: Annotated[list[str] | None, typer.Argument(metavar="NAME…", help="Names.", show_default=False)] = None,
    unused: Annotated[bool, typer.Option("--unused", help="All that no job uses and no file owns.")] = False,
    dry: shared.DryRun = False,
    yes: shared.Yes = False,
) -> None:
    """Delete configurations that no job uses; the versions that runs refer to can still be shown."""
    from gnomon.operations.configurations import delete_configuration, show_configuration, unused_configurations

    if bool(name) == unused:
        hint = "`gnomon configurations list` shows them"
        raise usage("nothing_named", "name configurations, or say --unused", hint=hint)
    kept: list[dict[str, str]] = []
    with session.desk() as desk:
        if unused:
            found = [cast(dict[str, Any], item) for item in unused_configurations(desk)]
            names = [item["name"] for item in found if item["source"]["kind"] != "file"]
            kept = [{"id": i["name"], "reason": f"{_source(i)} owns it"} for i in found if i["name"] not in names]
        else:
            names = list(dict.fromkeys(name or ()))
            for one in names:
                show_configuration(desk, one)
        if names and not dry:
            confirm(f"delete {', '.join(names)}", yes)
            for one in names:
                delete_configuration(desk, one)
    if session.json:
        print_json({"deleted": names, "kept": kept})
        return
    for one in names:
        print(f"{one} {'would be' if dry else 'is'} deleted")
    for item in kept:
        print(f"{item['id']} is kept: {item['reason']}")
    if not names and not kept:
        print("nothing is unused")
