"""Task types: what a job can do. One file per type; validation is pure, imports no user code, opens nothing.

May import: gnomon.core, gnomon.system. A new type is one file and one entry of `BUILTIN` (`registry.py`); those of
others come from `register` and from the entry points `gnomon.tasks`.
"""

from __future__ import annotations

from .registry import BUILTIN, TaskTypeCatalogue, register

__all__ = ["BUILTIN", "TaskTypeCatalogue", "register"]
