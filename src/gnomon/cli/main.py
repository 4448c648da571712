"""`gnomon`: runs a command and turns whatever it raises into readable lines and an exit code.

0 done · 1 a job failed · 2 the caller's mistake · 3 unavailable, try again · 70 a bug · 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from functools import cache

import typer.core
from typer.exceptions import Abort, TyperException

from gnomon.core.errors import GnomonError
from gnomon.core.texts import judge_whole
from gnomon.system.streams import hold_streams

from .application import make_app
from .failures import report, report_bug, report_os_error, report_usage

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `gnomon` with `arguments` (default: those of the process); returns the exit code, never raises."""
    hold_streams()
    logging.getLogger("gnomon").addHandler(logging.NullHandler())  # only `serve` has a log
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words[: words.index("--") if "--" in words else None]
    try:
        code = _run(words, as_json)
        sys.stdout.flush()
    except BrokenPipeError:
        _close_stdout()
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _run(words: list[str], as_json: bool) -> int:
    try:
        for number, word in enumerate(words, 1):
            judge_whole(word, f"argument {number}")
        code: object = _command().main(words or ["--help"], prog_name="gnomon", standalone_mode=False)
    except GnomonError as error:
        report(error, as_json)
        return error.exit_code
    except TyperException as error:
        report_usage(error, as_json)
        return error.exit_code
    except SystemExit as stop:  # shell completion, or nobody reads
        unread = isinstance(stop.__context__, BrokenPipeError)
        return 0 if unread else stop.code if isinstance(stop.code, int) else 1
    except (KeyboardInterrupt, Abort):
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:
        report_os_error(error, as_json)
        return 3
    except Exception as error:
        report_bug(error, as_json)
        return 70
    return code if isinstance(code, int) else 0


@cache
def _command() -> typer.core.TyperGroup:
    """All commands. Made once: it takes longer than most of them, when many run in one process."""
    made = typer.main.get_command(make_app())
    assert isinstance(made, typer.core.TyperGroup)
    return made


def _close_stdout() -> None:
    """Nobody reads: point stdout elsewhere, so that the interpreter's last flush does not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
