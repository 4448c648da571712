"""The task type `command`: a program with its arguments, or one line for a shell.

Promise: what `validate` accepts can be handed to the system as it is; parameters reach a shell only through
its environment, never as text of the script. Pure: users, directories and programs are looked up at start.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Mapping, Sequence

from gnomon.core.errors import Problem, UsageError
from gnomon.core.substitution import references_in
from gnomon.core.texts import HALF, is_whole
from gnomon.core.values import Json

KEYS = ("command", "args", "env", "cwd", "stdin", "run_as", "shell", "log_limit")
RESERVED = frozenset(
    f"GNOMON_{name}" for name in ("RUN_ID", "JOB_ID", "ATTEMPT", "FENCE", "FIRE_TIME", "TIMEOUT", "RESULT", "SCOPE")
)
MAX_ELEMENT = 128 * 1024 - 1  # execve(2): MAX_ARG_STRLEN is 32 pages, the final NUL included
MAX_STDIN = 16 * 1024 * 1024
_HEADROOM = 64 * 1024  # what the supervising shell and the inherited environment take of ARG_MAX
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\$?")
_NEEDS_SHELL = re.compile(r"[\s;&|<>()$`\"'*?#~]")


class Command:
    """Supervised processes; `docs/commands.md` is the manual of every key."""

    name = "command"
    aliases = ("execute_command", "shell")
    executor = "commands"
    secrets = ("env", "stdin")

    def validate(self, arguments: Mapping[str, Json]) -> dict[str, Json]:
        """The canonical arguments: `command` as argv list or as shell string, other keys only when given.

        References in argv, env, cwd and stdin are left alone: they are filled per run.

        Raises:
            UsageError: one problem per mistake, keys relative to the arguments: `command`, `env.NAME`, ….
        """
        problems: list[Problem] = [_unknown_key(key) for key in arguments if key not in KEYS]
        canonical: dict[str, Json] = {}
        command = _command(arguments, problems)
        if command is not None:
            canonical["command"] = command
        if arguments.get("env") is not None:
            canonical["env"] = _env(arguments["env"], problems)
        for key in ("cwd", "stdin", "run_as", "shell"):
            text = arguments.get(key)
            if text is not None and _check_text(text, key, problems):
                canonical[key] = text
        _check_words(canonical, problems)
        if arguments.get("log_limit") is not None:
            canonical["log_limit"] = _log_limit(arguments["log_limit"], problems)
        if not problems:
            _check_total(canonical, problems)
        if problems:
            raise UsageError(*problems)
        return canonical

    def describe(self, arguments: Mapping[str, Json]) -> str:
        """One line for lists, at most 200 characters: the command as a person would type it."""
        command = arguments.get("command")
        if isinstance(command, Sequence) and not isinstance(command, str):
            text = shlex.join(str(part) for part in command)
        else:
            text = " ".join(str(command).split())
        return text if len(text) <= 200 else text[:199] + "…"


def placeholders_in_shell(script: str) -> list[Problem]:
    """One problem per gnomon reference in a shell string: quoting can not make those safe."""
    return [
        Problem(
            "reference_in_shell",
            f"${{{name}}} stands inside a shell string",
            "command",
            _shell_hint(name),
        )
        for name in dict.fromkeys(references_in(script))
    ]


def _shell_hint(name: str) -> str:
    variable = re.sub(r"\W+", "_", name).strip("_").upper() or "VALUE"
    simple = re.fullmatch(r"[A-Za-z_]\w*", name) is not None
    own = f"; for the shell's own variable write ${name} or $${{{name}}}" if simple else f"; literally: $${{{name}}}"
    return (
        f"give it through the environment, env: {{{variable}: '${{{name}}}'}} with \"${variable}\" in the script, "
        f"or write the command as a list, [program, '${{{name}}}']{own}"
    )


def _unknown_key(key: str) -> Problem:
    near = difflib.get_close_matches(key, KEYS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(KEYS)}"
    return Problem("unknown_key", f"a command has no key {key!r}", key, hint)


def _command(arguments: Mapping[str, Json], problems: list[Problem]) -> Json:
    command, args = arguments.get("command"), arguments.get("args")
    extra = _words(args, "args", problems) if args is not None else None
    if command is None or command == "" or command == []:
        problems.append(Problem("missing_key", "a command needs something to run", "command", "e.g. [date, -u]"))
        return None
    if isinstance(command, str):
        return _script(command, problems) if extra is None else _program(command, extra, problems)
    words = _words(command, "command", problems)
    if "shell" in arguments:
        problems.append(Problem("bad_value", "`shell` is for a command written as a string", "shell"))
    return None if words is None else [*words, *(extra or [])]


def _script(script: str, problems: list[Problem]) -> str | None:
    if not script.strip():
        problems.append(Problem("missing_key", "the command is blank", "command"))
        return None
    problems.extend(placeholders_in_shell(script))
    return script if _check_text(script, "command", problems) else None


def _program(program: str, args: list[str], problems: list[Problem]) -> list[str] | None:
    """`command: NAME` with `args:` is a program without a shell."""
    if _NEEDS_SHELL.search(program) and not references_in(program):
        hint = f"write a list: command: [{', '.join([*program.split(), '…'])}]"
        problems.append(Problem("bad_value", f"with `args`, {program!r} must be one program", "command", hint))
        return None
    return [program, *args] if _check_text(program, "command", problems) else None


def _words(value: Json, key: str, problems: list[Problem]) -> list[str] | None:
    if not isinstance(value, Sequence) or isinstance(value, str):
        problems.append(Problem("bad_type", f"expected a list of strings, not {value!r:.60}", key))
        return None
    words: list[str] = []
    for index, item in enumerate(value):
        place = f"{key}[{index}]"
        if isinstance(item, bool) or not isinstance(item, str | int | float):
            problems.append(Problem("bad_type", f"expected a string, not {item!r:.60}", place, "put it in quotes"))
        elif _check_text(str(item), place, problems):
            words.append(str(item))
    if key == "command" and words and (not words[0] or words[0].startswith("-")):
        problems.append(Problem("bad_value", f"{words[0]!r} is no program", "command[0]"))
    return words


def _env(value: Json, problems: list[Problem]) -> dict[str, Json]:
    if not isinstance(value, Mapping):
        problems.append(Problem("bad_type", f"expected a map of names to texts, not {value!r:.60}", "env"))
        return {}
    canonical: dict[str, Json] = {}
    for name, item in value.items():
        key = f"env.{name}"
        if not _ENV_NAME.fullmatch(name):
            problems.append(Problem("bad_name", f"{name!r} is no name for a variable", key, "letters, digits and _"))
        elif name in RESERVED:
            problems.append(Problem("reserved_name", f"{name} is set by gnomon", key, "choose another name"))
        elif isinstance(item, bool) or not isinstance(item, str | int | float):
            problems.append(Problem("bad_type", f"expected a text, not {item!r:.60}", key, "put it in quotes"))
        elif _check_text(str(item), key, problems):
            canonical[name] = str(item)
    return canonical


def _check_text(value: Json, key: str, problems: list[Problem]) -> bool:
    """Whether the system can take `value` as one text."""
    if not isinstance(value, str):
        problems.append(Problem("bad_type", f"expected a text, not {value!r:.60}", key))
        return False
    limit = MAX_STDIN if key == "stdin" else MAX_ELEMENT
    if not is_whole(value):
        problems.append(Problem("bad_value", HALF, key))
        return False
    size = len(value.encode())
    if "\0" in value and key != "stdin":
        problems.append(Problem("bad_value", "holds a NUL byte, which no process can take", key))
    elif size > limit:
        problems.append(Problem("too_long", f"{size} bytes; the system takes {limit}", key, "pass it through a file"))
    else:
        return True
    return False


def _check_words(canonical: Mapping[str, Json], problems: list[Problem]) -> None:
    for key in ("cwd", "shell"):
        path = canonical.get(key)
        if isinstance(path, str) and not path.startswith(("/", "${")):
            problems.append(Problem("bad_value", f"{path!r} is not absolute", key, "start it with /"))
    user = canonical.get("run_as")
    if isinstance(user, str) and not _USER.fullmatch(user) and not references_in(user):
        problems.append(Problem("bad_value", f"{user!r} is no user name", "run_as"))


def _log_limit(value: Json, problems: list[Problem]) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1_000 <= value <= 1_000_000_000:
        problems.append(Problem("bad_value", f"{value!r:.60}: expected bytes, 1000 to 1000000000", "log_limit"))
        return 0
    return value


def _check_total(canonical: Mapping[str, Json], problems: list[Problem]) -> None:
    """argv and env together against ARG_MAX (execve(2): each costs its bytes, a NUL and a pointer)."""
    command, env = canonical["command"], canonical.get("env")
    texts = [command] if isinstance(command, str) else [str(word) for word in command]  # type: ignore[union-attr]
    texts += [f"{name}={value}" for name, value in env.items()] if isinstance(env, Mapping) else []
    total, limit = sum(len(text.encode()) + 9 for text in texts), os.sysconf("SC_ARG_MAX") - _HEADROOM
    if total > limit:
        hint = "pass it through a file or stdin"
        problems.append(Problem("too_long", f"{total} bytes in all; the system takes {limit}", "command", hint))


COMMAND = Command()
