"""The composition root of a node: the one place that picks store, executors, task types and schedule kinds.

`parts` opens a database with everything around it · `running` is a node at work · `serve` the service ·
`pipeline` one file run to its end · `backup`, `checking` copy, restore and check databases. May import everything
below; nothing but the CLI imports it.
"""

from gnomon.schedules import load_zone, tzdata_versions

from .parts import MEMORY, Parts, open_parts, registries
from .pipeline import PipelineResult, run_file
from .running import Running, running
from .serve import serve
from .signals import signals
from .versions import kept_before, schema_versions

__all__ = [
    "MEMORY",
    "Parts",
    "PipelineResult",
    "Running",
    "kept_before",
    "load_zone",
    "open_parts",
    "registries",
    "run_file",
    "running",
    "schema_versions",
    "serve",
    "signals",
    "tzdata_versions",
]
