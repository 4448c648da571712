"""One file per resource. Each route is one operation, names the permission it needs, and has a stable operation id."""

from .access import router as access
from .events import router as events
from .flows import router as flows
from .jobs import router as jobs
from .logs import router as logs
from .nodes import router as nodes
from .runs import router as runs

ROUTERS = (jobs, runs, logs, flows, nodes, access, events)
"""What `/api/v1` consists of."""
