"""One file per resource. Each route is one operation, names the permission it needs, and has a stable operation id."""

from .events import router as events
from .jobs import router as jobs
from .logs import router as logs

ROUTERS = (
    jobs,
    logs,
    events,
)
"""What `/api/v1` consists of."""
