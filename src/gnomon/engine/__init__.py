"""The scheduler proper: services that each look at the facts, decide with `core`, and write the decisions.

One step of a node: everything that has happened or become due since the last one goes into one transaction;
only after its commit do processes start. `loop.py` alone waits. May import: core, system.
"""
