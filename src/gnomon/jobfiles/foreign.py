"""Task configurations with a `config_type`, as other schedulers write them: what their words are here."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gnomon.core.values import Json

from .readers import plain
from .report import folded_word
from .tree import Mapping_

CONFIG_TYPES = {
    "api_request": "http",
    "apirequest": "http",
    "api": "http",
    "rest": "http",
    "http_request": "http",
    "db": "sql",
    "database": "sql",
    "db_query": "sql",
    "file": "file",
    "files": "file",
}
"""Task types by what `config_type` calls them."""

CONFIG_ARGUMENTS: Mapping[str, Mapping[str, str]] = {
    "http": {
        **{name: name for name in ("url", "method", "headers", "query", "json", "form", "body", "auth", "verify")},
        "api_url": "url",
        "request_url": "url",
        "endpoint": "url",
        "http_method": "method",
        "request_method": "method",
        "http_headers": "headers",
        "request_headers": "headers",
        "params": "query",
        "http_body": "body",
        "request_body": "body",
        "payload": "body",
    },
    "sql": {
        **{name: name for name in ("url", "query", "statement", "statements", "parameters", "into")},
        **dict.fromkeys(("dsn", "connection_string", "connection_url", "connection", "db_url", "database_url"), "url"),
        **dict.fromkeys(("db_connection", "db_connection_string", "uri"), "url"),
        **dict.fromkeys(("sql", "sql_query", "db_query", "select"), "query"),
        **dict.fromkeys(("sql_statement", "db_statement"), "statement"),
        **dict.fromkeys(("params", "query_parameters", "sql_parameters", "query_params"), "parameters"),
        **dict.fromkeys(("user", "user_name", "username", "db_user", "db_username"), "username"),
        **dict.fromkeys(("password", "db_password"), "password"),
        **dict.fromkeys(("destination_table", "target_table", "save_to", "save_into", "into_table"), "into"),
    },
    "file": {
        **{name: name for name in ("path", "operation", "content", "encoding", "overwrite", "recursive", "parents")},
        "location": "path",
        "file_location": "path",
        "file_path": "path",
        "file_operation": "operation",
        "file_content": "content",
        "file_encoding": "encoding",
        "file_mode": "mode",
        "source": "from",
        "destination": "to",
        "file_destination": "to",
        "target": "to",
    },
}
"""Arguments by what configurations with a `config_type` call them; case, `-` and capitals inside do not count."""

_INNER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def type_of_config(word: str) -> str:
    """The task type that a `config_type` means; the word itself when it is none of theirs."""
    return CONFIG_TYPES.get(folded_word(word), word)


def arguments_of_config(value: Mapping_, kind: str, taken: tuple[str, ...]) -> tuple[dict[str, Json], dict[str, str]]:
    """The arguments in our words, and argument → key as it was written.

    A second spelling of the same argument stays as it is, for the task type to refuse.
    """
    names = CONFIG_ARGUMENTS.get(kind, {})
    arguments: dict[str, Json] = {}
    written: dict[str, str] = {}
    for key, item in value.items():
        if key in taken:
            continue
        name = names.get(folded_word(_INNER.sub("_", key)), key)
        if name in arguments:
            name = key
        given = plain(item)
        if kind == "http" and name == "body" and given in ("", {}, []):
            continue  # how they say that there is none
        arguments[name] = {"table": given} if kind == "sql" and name == "into" and isinstance(given, str) else given
        if name != key:
            written[name] = key
    return arguments, written
