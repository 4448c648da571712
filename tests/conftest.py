"""What all tests share."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Machines differ in speed: pytest-timeout guards against hanging, a deadline per example would only flake.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# No test may read or write the settings and the database of whoever runs it.
for name in [name for name in os.environ if name.startswith("GNOMON_")]:
    del os.environ[name]
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:  # by nohup, by `make test &` in a script: what is tested would, too
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
_state = tempfile.TemporaryDirectory(prefix="gnomon-tests-", ignore_cleanup_errors=True)
atexit.register(_state.cleanup)
os.environ["XDG_STATE_HOME"] = os.environ["XDG_CONFIG_HOME"] = _state.name


VERSION = "{}.{}".format(*sys.version_info)
TRIED = f'"Programming Language :: Python :: {VERSION}"' in (Path(__file__).parents[1] / "pyproject.toml").read_text()


def pytest_configure(config: pytest.Config) -> None:
    """On a Python that nobody has tried, what it has come to deprecate is news, not an error."""
    if not TRIED:
        for category in ("DeprecationWarning", "PendingDeprecationWarning"):
            config.addinivalue_line("filterwarnings", f"default::{category}")


def pytest_report_header() -> str:
    """Where this is, since tests ought to say the same everywhere."""
    names = [f"{name}={os.environ[name]!r}" for name in ("TZ", "LANG", "LC_ALL") if name in os.environ]
    return " ".join(["uid", str(os.geteuid()), *names, *([] if TRIED else [f"NOTE: not tried on Python {VERSION}"])])
