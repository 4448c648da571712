"""One file per resource. Each route is one operation, names the permission it needs, and has a stable operation id."""

from .jobs import router as jobs

ROUTERS = (jobs,)
"""What `/api/v1` consists of."""
