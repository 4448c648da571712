"""One file per resource. Each route is one operation, names the permission it needs, and has a stable operation id."""

from .about import router as about
from .access import router as access
from .bulk import router as bulk
from .configurations import router as configurations
from .events import router as events
from .files import router as files
from .flows import router as flows
from .jobs import router as jobs
from .logs import router as logs
from .nodes import router as nodes
from .questions import router as questions
from .runs import router as runs
from .schedules import router as schedules
from .summary import router as summary
from .told import router as told

ROUTERS = (
    jobs,
    schedules,
    configurations,
    bulk,
    questions,
    files,
    runs,
    logs,
    flows,
    nodes,
    summary,
    told,
    access,
    events,
    about,
)
"""What `/api/v1` consists of."""
