from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gnomon.executors import processes
from gnomon.executors.adoption import Fate, look
from gnomon.executors.attempt import Trace
from gnomon.executors.files import (
    AttemptFiles,
    Intent,
    Reason,
    read_claim,
    read_exit,
    read_intent,
    record_intent,
    revoke,
)

BOOT, SPACE = processes.boot_id(), processes.namespace()
NOBODY = Trace()


@pytest.fixture
def base(tmp_path: Path) -> str:
    return AttemptFiles(tmp_path).prepare("run", 1)


def claim(base: str, pid: int, boot: str = BOOT, space: str = SPACE) -> None:
    Path(base + ".claim").write_text(f"{pid} {boot} {space}\n")


@pytest.fixture
def shim(base: str) -> Iterator[subprocess.Popen[bytes]]:
    call = ["/bin/sh", "-c", "echo up; read line; exit 0", base]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield process
        process.kill()


def test_unclaimed_is_revoked_and_a_shim_can_not_claim_then(base: str) -> None:
    assert look(base, NOBODY, BOOT, SPACE).fate is Fate.NEVER_BEGAN
    assert look(base, NOBODY, BOOT, SPACE).fate is Fate.NEVER_BEGAN
    assert not revoke(base)
    late = ["/bin/sh", "-c", 'set -C; echo $$ >"$0.claim"', base]
    assert subprocess.run(late, check=False, stderr=subprocess.DEVNULL).returncode != 0


def test_a_living_shim_is_known_by_its_path(base: str, shim: subprocess.Popen[bytes]) -> None:
    claim(base, shim.pid)
    finding = look(base, NOBODY, BOOT, SPACE)
    assert finding.fate is Fate.ALIVE
    assert finding.shim is not None
    assert finding.shim.pid == shim.pid


def test_a_reused_pid_is_not_taken_for_the_shim(base: str, shim: subprocess.Popen[bytes]) -> None:
    claim(base, os.getpid())
    assert look(base, NOBODY, BOOT, SPACE).fate is Fate.GONE
    claim(base, shim.pid)
    assert look(base, Trace(shim.pid, 12345, BOOT, SPACE), BOOT, SPACE).fate is Fate.GONE


def test_another_boot_and_another_namespace(base: str, shim: subprocess.Popen[bytes]) -> None:
    claim(base, shim.pid, boot="0000")
    assert look(base, NOBODY, BOOT, SPACE).fate is Fate.REBOOTED
    claim(base, shim.pid, space="pid:[1]")
    assert look(base, NOBODY, BOOT, SPACE).fate is Fate.ELSEWHERE
    Path(base + ".exit").write_text("=3\n")
    assert look(base, NOBODY, BOOT, SPACE).fate is Fate.ENDED


def test_a_shim_on_its_way_to_the_claim_is_waited_for(base: str, shim: subprocess.Popen[bytes]) -> None:
    process = processes.find(shim.pid)
    assert process is not None
    trace = Trace(shim.pid, process.start, BOOT, SPACE)
    assert look(base, trace, BOOT, SPACE).fate is Fate.UNCLEAR
    shim.kill()
    shim.wait()
    assert look(base, trace, BOOT, SPACE).fate is Fate.NEVER_BEGAN


def test_files_that_were_removed_prove_nothing(base: str) -> None:
    assert look(base, Trace(4_000_000, 1, BOOT, SPACE), BOOT, SPACE).fate is Fate.GONE
    assert look(base + "x", Trace(1, 1, "earlier", SPACE), BOOT, SPACE).fate is Fate.REBOOTED
    assert not os.path.exists(base + "x.claim")


@pytest.mark.parametrize("text", ["", "12", "12 boot", "12 boot ns", "x boot ns\n"])
def test_half_a_claim_is_no_claim(base: str, text: str) -> None:
    Path(base + ".claim").write_text(text)
    assert look(base, NOBODY, BOOT, SPACE).fate is Fate.UNCLEAR


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("=0\n", 0, ""),
        ("Killed\n=137\n", 137, "Killed"),
        ("=13", None, "=13"),
        ("", None, ""),
        ("sh: 1: Cannot fork\n", None, "sh: 1: Cannot fork"),
        ("x=5\n", None, "x=5"),
    ],
)
def test_an_exit_counts_only_when_its_line_is_whole(base: str, text: str, code: int | None, said: str) -> None:
    Path(base + ".exit").write_text(text)
    found = read_exit(base)
    assert found is not None
    assert (found.code, found.said) == (code, said)


def test_the_first_intent_stands(base: str) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    first = Intent(Reason.TIMED_OUT, at)
    assert record_intent(base, first) == first
    assert record_intent(base, Intent(Reason.CANCELLED, at + timedelta(1))) == first
    assert read_intent(base) == first


def test_leftovers_and_forgetting(tmp_path: Path) -> None:
    files = AttemptFiles(tmp_path)
    odd = "../a b/ü.1"
    claim(files.prepare(odd, 2), 1)
    claim(files.prepare("new", 1), 1)
    claim_of_odd = Path(files.base(odd, 2) + ".claim")
    os.utime(claim_of_odd, (1, 1))
    assert claim_of_odd.is_relative_to(tmp_path)
    assert claim_of_odd.resolve().is_relative_to(tmp_path.resolve())
    assert list(files.leftovers(datetime(2000, 1, 1, tzinfo=UTC))) == [(odd, 2)]
    files.forget(odd, 2)
    files.forget(odd, 2)
    assert read_claim(files.base(odd, 2)) is None
