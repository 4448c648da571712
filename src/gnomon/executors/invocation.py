"""From canonical arguments to what is executed: argv, environment, directory, input, user."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gnomon.core.attempts import AttemptSpec
from gnomon.core.secrets import is_reference
from gnomon.core.substitution import as_text
from gnomon.core.values import Json

from .files import SAID

KEPT_FOR_OTHERS = ("PATH", "LANG", "LANGUAGE", "TZ")
WORKER_SETTINGS = ("GNOMON_FILE_ROOTS", "GNOMON_HTTP_PRIVATE")
"""What file and network tasks may touch; no argument of a job can change it."""

_SERVICE = (  # the service manager's own
    *("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC"),
    *("JOURNAL_STREAM", "CREDENTIALS_DIRECTORY", "MANAGERPID", "INVOCATION_ID"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where secrets come from. `look_up` gives that of a reference, or raises LookupError with words for people."""

    look_up: Callable[[str], str]
    providers: Callable[[], Sequence[str]]

    def fill(self, text: str, secrets: list[str]) -> str:
        """The secret that `text` refers to, noted in `secrets`; or `text`, if it is no reference."""
        if not is_reference(text, self.providers()):
            return text
        found = self.look_up(text)
        if not text.startswith("literal:"):
            secrets.append(found)
        return found


NO_SECRETS = Source(str, tuple)


class Refused(Exception):
    """The attempt can not even be tried. `code` is stable, the text is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class User:
    """Whom to become."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str


@dataclass(frozen=True, slots=True)
class Invocation:
    """What is executed: `argv`, for `program`. `user` is None where there is nobody else to become."""

    program: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    cwd: str | None
    stdin: bytes | None
    user: User | None
    secrets: Sequence[str] = ()


def scope_of(directory: Path) -> str:
    """A short name for one directory of attempts: run ids need not be unique over all schedulers of a machine."""
    return hashlib.sha256(os.path.realpath(directory).encode()).hexdigest()[:16]


def identity(spec: AttemptSpec, scope: str) -> dict[str, str]:
    """The variables by which an attempt's processes are recognised, and what the engine adds."""
    own = {"GNOMON_RUN_ID": spec.run_id, "GNOMON_ATTEMPT": str(spec.number), "GNOMON_SCOPE": scope}
    return {"GNOMON_JOB_ID": spec.job_id, "GNOMON_FENCE": str(spec.token), **spec.environment, **own}


def invocation(spec: AttemptSpec, base: str, scope: str, inherited: Mapping[str, str], source: Source) -> Invocation:
    """What to execute for this attempt.

    Args:
        base: path of the attempt's files, for GNOMON_RESULT.
        inherited: the environment of the scheduler; what is gnomon's own or secret stays behind.
        source: where the secrets are that `env` and `stdin` refer to.

    Raises:
        Refused: with codes `bad_arguments`, `unknown_user`, `run_as_needs_root`, `run_as_unavailable`, `bad_secret`.
    """
    arguments = spec.arguments
    argv = _argv(arguments)
    user = _user(arguments.get("run_as"))
    environment = _environment(inherited, user)
    stdin = arguments.get("stdin")
    secrets: list[str] = []

    def filled(key: str, text: str) -> str:
        try:
            return source.fill(text, secrets)
        except LookupError as error:
            raise Refused("secret_not_found", f"{key}: {error.args[0]}") from None

    given = {name: filled(f"env.{name}", text) for name, text in _texts(arguments.get("env")).items()}
    text = None if stdin is None else filled("stdin", as_text(stdin)).encode()
    environment |= given | identity(spec, scope)
    environment["GNOMON_RESULT"] = base + (SAID if secrets else ".result") if user is None else "/dev/fd/3"
    cwd = arguments.get("cwd")
    started = argv if user is None else _becoming(user, argv)
    call = Invocation(argv[0], started, environment, _optional(cwd), text, user, secrets)
    for name, part in (("command", "".join(call.argv)), ("cwd", call.cwd or ""), *environment.items()):
        if "\0" in name + part:
            raise Refused("bad_arguments", f"the task holds a NUL byte, which no process can take, in {name!r:.80}")
    return call


def without_own(environment: Mapping[str, str]) -> dict[str, str]:
    """What of the scheduler's environment may be seen by commands: nothing of gnomon's, nothing of its service's."""
    return {k: v for k, v in environment.items() if not k.startswith("GNOMON_") and k not in _SERVICE}


def for_workers(environment: Mapping[str, str]) -> dict[str, str]:
    """What worker processes inherit: the same, and the settings that task types read there."""
    return without_own(environment) | {name: environment[name] for name in WORKER_SETTINGS if name in environment}


def _environment(inherited: Mapping[str, str], user: User | None) -> dict[str, str]:
    if user is None:
        return without_own(inherited)
    kept = {k: v for k, v in inherited.items() if k in KEPT_FOR_OTHERS or k.startswith("LC_")}
    return kept | {"HOME": user.home, "USER": user.name, "LOGNAME": user.name, "SHELL": user.shell}


def _argv(arguments: Mapping[str, Json]) -> list[str]:
    command = arguments.get("command")
    if isinstance(command, str):
        return [_optional(arguments.get("shell")) or "/bin/sh", "-c", command]
    if isinstance(command, Sequence) and command and as_text(command[0]) and not as_text(command[0]).startswith("-"):
        return [as_text(word) for word in command]
    raise Refused("bad_arguments", f"nothing to run: command is {command!r:.80}")


def _user(name: Json) -> User | None:
    if not name:
        return None
    try:
        entry = pwd.getpwnam(as_text(name))
    except KeyError:
        raise Refused("unknown_user", f"run_as: there is no user {name!r} on this machine") from None
    if os.geteuid() != 0:
        if entry.pw_uid == os.geteuid() == os.getuid():
            return None
        raise Refused(
            "run_as_needs_root", f"run_as {name!r}: only a scheduler that runs as root can become another user"
        )
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir, entry.pw_shell or "/bin/sh")


def _becoming(user: User, argv: Sequence[str]) -> list[str]:
    """Every id, every group, every capability, for good (setpriv(1)); a child hook would make spawning fork."""
    setpriv = shutil.which("setpriv", path="/usr/bin:/bin:/usr/sbin:/sbin")
    if setpriv is None:
        raise Refused("run_as_unavailable", "run_as needs the program setpriv (package util-linux)")
    options = ["--init-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
    return [setpriv, f"--reuid={user.uid}", f"--regid={user.gid}", *options, "--", *argv]


def _texts(value: Json) -> dict[str, str]:
    return {name: as_text(item) for name, item in value.items()} if isinstance(value, Mapping) else {}


def _optional(value: Json) -> str | None:
    return as_text(value) if value else None
