"""How an attempt ended, from what its files say. Exit codes to outcomes, codes to words."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gnomon.core.attempts import AttemptSpec, Ended, Failure, Outcome
from gnomon.core.handover import RESULT_LIMIT, Unkept, parsed, said_by, type_name
from gnomon.core.reports import BAD_RESULT
from gnomon.core.substitution import as_text
from gnomon.core.values import Json
from gnomon.system.plainfiles import read_plain

from .files import SAID, Claim, Exit, Intent, Reason

NO_FILE = 125
"""The code of a shim that could not make its files."""
EXECUTOR_FAILED = "executor_failed"
_SILENT = (signal.SIGINT, signal.SIGPIPE)  # no shell reports these


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known at the end.

    Attributes:
        wait_code: exit status of the shim as we were told by the kernel; negative for a signal; None: not our child.
        measured_s: duration by the monotonic clock, about 20 ms too long at rest and more under load; or None.
        survivors: what could not be stopped, for the message.
    """

    claim: Claim | None
    exit: Exit | None
    intent: Intent | None
    now: datetime
    log_bytes: int = 0
    wait_code: int | None = None
    measured_s: float | None = None
    survivors: str = ""


def ended(spec: AttemptSpec, base: str, facts: Facts) -> Ended:
    """The one `Ended` of an attempt that was claimed."""
    code = exit_code(facts)
    result, bad_result, blamed = read_result(base)
    outcome, failure = _judge(spec, facts, code, bad_result, blamed)
    started = min(facts.claim.at, facts.now) if facts.claim is not None else None
    finished = facts.exit.at if facts.exit is not None and facts.exit.code is not None else facts.now
    if finished > facts.now or (started is not None and finished < started):  # a file's time can be any
        finished = facts.now
    return Ended(
        spec.run_id,
        spec.number,
        spec.token,
        outcome,
        finished,
        started_at=started,
        duration_s=_duration(started, finished, facts.measured_s),
        exit_code=code,
        error=failure,
        result=result,
        log_bytes=facts.log_bytes,
    )


def never(spec: AttemptSpec, now: datetime, outcome: Outcome, code: str, message: str) -> Ended:
    """The end of an attempt that did not begin and never will."""
    failure = Failure(code, message)
    return Ended(spec.run_id, spec.number, spec.token, outcome, now, error=failure, never_started=True)


def unknown(spec: AttemptSpec, now: datetime, error: Exception) -> Ended:
    """The end of an attempt of which nothing more can be learnt: what was done for it raised."""
    text = f"nobody knows how it ended: what its executor did for it failed ({type_name(error)}: {said_by(error, 200)})"
    lost = Failure(EXECUTOR_FAILED, text)
    return Ended(spec.run_id, spec.number, spec.token, Outcome.LOST, now, error=lost)


def exit_code(facts: Facts) -> int | None:
    """The command's exit code, -N for signal N, None if nobody knows."""
    code, said = None, ""
    if facts.exit is not None:
        if facts.exit.bad_cwd:
            return None
        code, said = facts.exit.code, facts.exit.said
    if code is None:  # the disk was full, or the file is gone or spoilt: the shim ends with the same code
        if facts.wait_code is None or facts.wait_code < 0 or could_not_fork(facts):
            return None
        code = facts.wait_code
    if 128 < code <= 128 + signal.NSIG and (said or code - 128 in _SILENT):
        return 128 - code
    return code


def could_not_fork(facts: Facts) -> bool:
    """The shim ran, but could not start the command."""
    if facts.exit is None or facts.exit.code is not None or facts.exit.bad_cwd:
        return facts.exit is None and facts.wait_code == NO_FILE  # without even an exit file: it could not make one
    return "fork" in facts.exit.said


def read_result(base: str) -> tuple[Json, str, bool]:
    """The JSON the command left (None if none), what is wrong with it ("" if nothing), and whether the command is to
    blame: nobody sees what is in a folder that is away for a moment."""
    path = base + ".result"
    try:
        data = read_plain(path, RESULT_LIMIT + 1)
    except FileNotFoundError:  # one with secrets is left as it was said, when they could not be struck out of it
        return None, f"it can not be freed of secrets ({SAID})" if os.path.lexists(base + SAID) else "", True
    except OSError as error:
        blamed = error.errno != errno.ENOTDIR and os.path.lexists(path)
        return None, f"it can not be read ({error.strerror or error})", blamed
    try:
        return parsed(data), "", True
    except Unkept as why:
        return None, str(why), True


def _judge(
    spec: AttemptSpec, facts: Facts, code: int | None, bad_result: str, blamed: bool
) -> tuple[Outcome, Failure | None]:
    left = f"; {facts.survivors}" if facts.survivors else ""
    if facts.intent is not None and facts.intent.reason is Reason.TIMED_OUT:
        text = f"the command was stopped: it ran longer than {spec.timeout_s or 0:g} s{left}"
        return Outcome.TIMED_OUT, Failure("timed_out", text)
    if facts.intent is not None and facts.intent.reason is Reason.CANCELLED:
        return Outcome.CANCELLED, Failure("cancelled", f"the command was stopped: cancelled{left}")
    if facts.exit is not None and facts.exit.bad_cwd:
        text = f"the working directory {as_text(spec.arguments.get('cwd'))!r} can not be entered: {facts.exit.said}"
        return Outcome.FAILED, Failure("bad_cwd", text)
    if could_not_fork(facts):
        said = facts.exit.said if facts.exit is not None else "no file could be made in the state directory"
        return Outcome.FAILED, Failure("spawn_failed", f"the command could not be started: {said}")
    if code is None:
        began = f"it began at {facts.claim.at:%Y-%m-%d %H:%M:%S} UTC; " if facts.claim is not None else ""
        return Outcome.LOST, Failure("lost", f"{began}it is gone and nobody saw how it ended{left}")
    if code != 0:
        return Outcome.FAILED, _exit_failure(spec.arguments, code)
    if bad_result:
        said = f"the command ended well, but its result cannot be kept: {bad_result}"
        return (Outcome.FAILED if blamed else Outcome.SUCCEEDED), Failure(BAD_RESULT, said)
    return Outcome.SUCCEEDED, None


def _exit_failure(arguments: Mapping[str, Json], code: int) -> Failure:
    command = arguments.get("command")
    shell = isinstance(command, str)
    program = as_text(command[0]) if isinstance(command, Sequence) and command and not shell else "its program"
    if code < 0:
        name = _signal_name(-code)
        return Failure("signal", f"the command was killed by signal {-code}{name}")
    if code == 127:
        where = "a program of the shell command" if shell else repr(program)
        return Failure("command_not_found", f"{where} was not found (exit code 127); see the output, and PATH")
    if code == 126:
        where = "a program of the shell command" if shell else repr(program)
        return Failure("not_executable", f"{where} can not be executed (exit code 126); see the output")
    return Failure("exit_code", f"the command ended with exit code {code}")


def _signal_name(number: int) -> str:
    try:
        return f" ({signal.Signals(number).name})"
    except ValueError:
        return ""


def _duration(started: datetime | None, finished: datetime, measured_s: float | None) -> float | None:
    """By the files' times, which are exact to a tick, unless the wall clock was set meanwhile."""
    if started is None:
        return measured_s
    filed = (finished - started).total_seconds()
    if measured_s is not None and not -1.0 <= filed - measured_s <= 0.05:
        return max(0.0, measured_s)
    return max(0.0, filed)
