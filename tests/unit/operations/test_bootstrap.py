"""The first token, and the file it is in."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from gnomon.core.access import Role
from gnomon.core.errors import Conflict, Unauthenticated
from gnomon.operations import tokens, users
from gnomon.operations.access import authenticate, bootstrap, has_admin, session, sign_in
from tests.unit.engine.deployment import Deployment

ONE = """
import sys
from pathlib import Path
from gnomon.app import open_parts
from gnomon.operations.access import authenticate, bootstrap
from gnomon.operations.settings import load_settings

with open_parts(load_settings({"db": sys.argv[1]}, {}, search=False), upgrade=True) as parts:
    print("ready", flush=True)
    sys.stdin.readline()
    desk = parts.desk()
    token = bootstrap(desk, parts.directory)
    assert authenticate(desk, token).name == "bootstrap"
    print(token, flush=True)
"""


@pytest.fixture
def d(tmp_path: Path) -> Deployment:
    made = Deployment()
    made.desk.directory = tmp_path / "g.db.d"
    return made


def start(d: Deployment) -> str | None:
    """What a service does when it starts."""
    assert d.desk.directory is not None
    return bootstrap(d.desk, d.desk.directory)


def file(d: Deployment) -> Path:
    assert d.desk.directory is not None
    return d.desk.directory / "bootstrap-token"


def first(d: Deployment) -> str:
    text = start(d)
    assert text is not None
    return text


def test_a_first_start_makes_an_admin_whose_token_only_its_owner_reads(d: Deployment) -> None:
    assert not has_admin(d.desk)
    text = first(d)
    assert file(d).read_text() == text + "\n"
    assert stat.S_IMODE(file(d).stat().st_mode) == 0o600
    assert stat.S_IMODE(file(d).parent.stat().st_mode) == 0o700
    who = authenticate(d.desk, text)
    assert (who.name, who.role, who.actor) == ("bootstrap", Role.ADMIN, "rest:bootstrap")
    assert not has_admin(d.desk)
    made = d.read(lambda r: r.audit())
    assert [(change.action, change.object) for change in made] == [("token.create", "bootstrap")]


def test_a_restart_takes_the_same_file(d: Deployment) -> None:
    text = first(d)
    assert first(d) == text
    assert len(tokens.list_tokens(d.desk).items) == 1


def test_an_admin_of_ones_own_replaces_it(d: Deployment) -> None:
    text = first(d)
    secret, _ = sign_in(d.desk, text)
    tokens.create_token(d.desk, "ci", Role.AUTHOR)
    assert file(d).exists()
    own = str(tokens.create_token(d.desk, "root", Role.ADMIN)["token"])
    assert has_admin(d.desk)
    assert not file(d).exists()
    assert start(d) is None
    assert session(d.desk, secret).name == "bootstrap"  # the person is not thrown out in the middle
    d.clock.advance(3600)
    for work in (lambda: authenticate(d.desk, text), lambda: session(d.desk, secret)):
        with pytest.raises(Unauthenticated):
            work()
    assert authenticate(d.desk, own).role is Role.ADMIN
    with pytest.raises(Conflict):
        tokens.revoke_token(d.desk, "root")


def test_the_leaving_one_does_not_count_as_an_admin(d: Deployment) -> None:
    first(d)
    tokens.create_token(d.desk, "root", Role.ADMIN)
    with pytest.raises(Conflict) as caught:
        tokens.delete_token(d.desk, "root")
    assert caught.value.code == "last_admin"
    tokens.revoke_token(d.desk, "bootstrap")


def test_it_cannot_be_revoked_while_it_is_the_only_one(d: Deployment) -> None:
    text = first(d)
    with pytest.raises(Conflict):
        tokens.revoke_token(d.desk, "bootstrap")
    assert file(d).exists()
    assert authenticate(d.desk, text).name == "bootstrap"


def test_a_user_who_becomes_admin_replaces_it_too(d: Deployment) -> None:
    first(d)
    users.create_user(d.desk, "ann", Role.VIEWER)
    tokens.create_token(d.desk, "ann-1", Role.ADMIN, user="ann")
    assert file(d).exists()
    users.set_role(d.desk, "ann", Role.ADMIN)
    assert not file(d).exists()


def test_when_the_last_admin_expired_the_next_start_makes_another(d: Deployment) -> None:
    old = first(d)
    tokens.create_token(d.desk, "root", Role.ADMIN, expires_at=d.clock.now() + timedelta(days=1))
    assert start(d) is None
    d.clock.advance(86400)
    assert not has_admin(d.desk)
    text = first(d)
    assert text != old
    assert authenticate(d.desk, text).role is Role.ADMIN
    with pytest.raises(Unauthenticated):
        authenticate(d.desk, old)


@pytest.mark.parametrize("damage", ["lost", "empty", "other", "readable", "link"])
def test_a_file_that_is_not_to_be_believed_is_made_anew(d: Deployment, damage: str) -> None:
    old, path = first(d), file(d)
    if damage == "lost":
        path.unlink()
    elif damage == "empty":
        path.write_text("")
    elif damage == "other":
        path.write_text(str(first(another(path.parent / "other"))))
    elif damage == "readable":
        path.chmod(0o644)
    else:
        path.rename(path.with_name("elsewhere"))
        path.symlink_to("elsewhere")
    text = first(d)
    assert text != old
    assert authenticate(d.desk, text).name == "bootstrap"
    assert not path.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(Unauthenticated):
        authenticate(d.desk, old)


def another(directory: Path) -> Deployment:
    """Another service."""
    other = Deployment()
    other.entropy.bits(8)
    other.desk.directory = directory
    return other


def test_a_crash_between_file_and_commit_is_made_good_by_the_next_start(d: Deployment) -> None:
    d.store.fails = "before"
    with pytest.raises(Exception, match="no space"):
        start(d)
    assert file(d).exists()
    d.store.fails = None
    text = first(d)
    assert authenticate(d.desk, text).name == "bootstrap"
    assert file(d).read_text() == text + "\n"


@pytest.mark.slow
def test_processes_that_start_at_once_get_the_same_token(tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path / 'g.db'}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ONE, db],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        answers = []
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in processes:
            out, _ = process.communicate(timeout=30)
            assert process.returncode == 0
            answers.append(out.strip())
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert len(set(answers)) == 1
    assert (tmp_path / "g.db.d" / "bootstrap-token").read_text().strip() == answers[0]
