"""Play seeds from the command line."""

from __future__ import annotations

import argparse
import logging
import sys

from .bugs import BUGS
from .simulation import Simulation, Violation


def main() -> int:
    """Exit code 1 at the first seed that fails, with the way to see it again."""
    parser = argparse.ArgumentParser(prog="python -m gnomon.testing.simulator", description=__doc__)
    parser.add_argument("--seed", type=int, help="play only this one")
    parser.add_argument("--seeds", type=int, default=300, help="play 0 to N-1 (default 300)")
    parser.add_argument("--bug", choices=sorted(BUGS), help="take out a guard: some seed must fail")
    options = parser.parse_args()
    logging.disable()
    for seed in range(options.seeds) if options.seed is None else [options.seed]:
        simulation = Simulation(seed, options.bug)
        try:
            simulation.run()
        except Violation as violation:
            again = f"--seed {seed}" + (f" --bug {options.bug}" if options.bug else "")
            print(f"seed {seed}: {violation}\n  again: python -m gnomon.testing.simulator {again}")
            print("  history: " + " ".join(simulation.history[-40:]))
            return 1
    print(f"{options.seeds if options.seed is None else 1} seeds, no violation")
    return 0


if __name__ == "__main__":
    sys.exit(main())
