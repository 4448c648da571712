"""What all tests share."""

from __future__ import annotations

import atexit
import os
import tempfile

from hypothesis import HealthCheck, settings

# Machines differ in speed: pytest-timeout guards against hanging, a deadline per example would only flake.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# No test may read or write the settings and the database of whoever runs it.
for name in [name for name in os.environ if name.startswith("GNOMON_")]:
    del os.environ[name]
_state = tempfile.TemporaryDirectory(prefix="gnomon-tests-", ignore_cleanup_errors=True)
atexit.register(_state.cleanup)
os.environ["XDG_STATE_HOME"] = os.environ["XDG_CONFIG_HOME"] = _state.name
