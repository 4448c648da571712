"""The library's modules, which a call can change for everybody: what a worker does its own work with. Runs in a worker.

Others' modules are their own business: what one call leaves in them the next one finds.
"""

from __future__ import annotations

import builtins
import codecs
import contextlib
import fcntl
import gc
import io
import json
import json.decoder
import json.encoder
import json.scanner
import os
import posixpath
import signal
import socket
import sys
import time  # noqa: TID251 - not to be asked, but to be kept
from operator import is_
from types import BuiltinFunctionType, ModuleType
from typing import Any

_MODULES: tuple[ModuleType, ...] = (
    *(codecs, contextlib, fcntl, gc, io, json, json.decoder, json.encoder, json.scanner, os, posixpath),
    *(signal, socket, sys, time),
)
_HOOKS = frozenset({"excepthook", "unraisablehook", "displayhook", "breakpointhook"})
_BUILTINS = vars(builtins)


class Library:
    """As it was when the worker was new, and its modules had been imported.

    Everything that `put_back` needs is at hand: nothing of the library is asked for by name.
    """

    def __init__(self) -> None:
        self._builtins = _BUILTINS.copy()
        self._modules = sys.modules
        self._kept = [(vars(module), _names_of(module)) for module in _MODULES]
        self._kept.append((self._modules, dict(self._modules)))

    def put_back(self) -> bool:
        """Costs some 30 µs. False: what others have seen meanwhile is unknown, so this worker should not go on."""
        if self._builtins != _BUILTINS:  # first of all, and without any of them
            for name in _BUILTINS.keys() - self._builtins.keys():
                del _BUILTINS[name]
            _BUILTINS.update(self._builtins)
        whole = sys.modules is self._modules
        sys.modules = self._modules
        for names, kept in self._kept:
            if not all(map(is_, map(names.get, kept), kept.values())):
                names.update(kept)
                whole = False
        return whole

    def changes(self) -> tuple[Any, ...]:
        """For `keep`: how it is now."""
        return _BUILTINS.copy(), [dict(zip(kept, map(names.get, kept), strict=True)) for names, kept in self._kept]

    def keep(self, before: tuple[Any, ...]) -> None:
        """What has changed since stays: a module did it while it was imported."""
        patched, was = before
        if patched != _BUILTINS:
            self._builtins = _BUILTINS.copy()
        for (names, kept), old in zip(self._kept, was, strict=True):
            for name in [name for name in kept if names.get(name) is not old[name]]:
                if name in names:
                    kept[name] = names[name]
                else:
                    del kept[name]


def _names_of(module: ModuleType) -> dict[str, Any]:
    """What is to stay: functions and types. Of `sys` only its own functions: much in it changes all the time."""
    if module is sys:
        return {name: v for name, v in vars(sys).items() if type(v) is BuiltinFunctionType and name not in _HOOKS}
    return {name: value for name, value in vars(module).items() if callable(value) or type(value) is ModuleType}
