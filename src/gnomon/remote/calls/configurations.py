"""Configurations, and job files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from gnomon.remote.answers import Configuration, ConfigurationVersion, Confirmed, Deletion, JobFile, Validation

from .call import Call, Listed, Words, edit, get, listed, post, words

_ONE = "/configurations/{name}"


def list_configurations(
    *, type: Words = (), unused: bool = False, q: str | None = None, limit: int = 50
) -> Listed[Configuration]:
    """Configurations by name. `unused`: only those that no job uses."""
    said: dict[str, Any] = {"type": words(type), "unused": unused or None, "q": q, "limit": limit}
    return listed("list_configurations", "/configurations", **said)


def get_configuration(name: str) -> Call[Configuration]:
    """One configuration."""
    return get("get_configuration", _ONE, {"name": name})


def put_configuration(
    name: str,
    arguments: Mapping[str, Any],
    *,
    type: str | None = None,
    if_match: Configuration | str | None = None,
) -> Call[Configuration]:
    """Make these arguments the configuration, or add it. `type`: the task type it is for; None: any."""
    body = {"type": type, "arguments": dict(arguments)}
    return edit("put_configuration", "PUT", _ONE, {"name": name}, body, if_match)


def delete_configuration(name: str, *, if_match: Configuration | str | None = None) -> Call[None]:
    """Delete a configuration that no job uses."""
    return edit("delete_configuration", "DELETE", _ONE, {"name": name}, None, if_match)


def list_configuration_versions(name: str, *, limit: int = 50) -> Listed[ConfigurationVersion]:
    """The versions that are kept, newest first; at most so many."""
    return listed("list_configuration_versions", _ONE + "/versions", {"name": name}, limit=limit)


def get_configuration_version(name: str, version: int) -> Call[ConfigurationVersion]:
    """A configuration as it was."""
    return get("get_configuration_version", _ONE + "/versions/{version}", {"name": name, "version": version})


def delete_configurations(*, names: Sequence[str] = (), unused: bool = False, dry_run: bool = False) -> Call[Deletion]:
    """Delete configurations that are named, or all that no job uses; says which stay, and why."""
    body = {"names": list(names) or None, "unused": unused or None, "dry_run": dry_run or None}
    return post("delete_configurations", "/configurations/delete", body=body, repeatable=dry_run)


def list_files(*, limit: int = 50) -> Listed[JobFile]:
    """Job files as the scheduler last saw them, and what is wrong with them."""
    return listed("list_files", "/files", limit=limit)


def confirm_empty_files() -> Call[Confirmed]:
    """The jobs directory is meant to be as empty as it is."""
    return post("confirm_empty_files", "/files/confirm-empty", repeatable=True)


def validate_text(text: str, format: Literal["yaml", "json", "toml"] = "yaml") -> Call[Validation]:
    """What is wrong with the text of a job file."""
    return post("validate_text", "/validate", body={"text": text, "format": format}, repeatable=True)
