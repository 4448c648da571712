"""A whole deployment in virtual time: real engine, real SQLite, simulated processes, seeded faults.

`Simulation(seed).run()` plays a few hundred steps of ticks, crashes, freezes, late reports, clock jumps and people's
requests, checks the invariants of docs/semantics.md after each, then heals everything and demands that all work ends.

    python -m gnomon.testing.simulator --seeds 300          # all must pass
    python -m gnomon.testing.simulator --bug no_fence       # must fail, and prints the seed
"""

from .bugs import BUGS
from .simulation import Simulation, Violation

__all__ = ["BUGS", "Simulation", "Violation"]
