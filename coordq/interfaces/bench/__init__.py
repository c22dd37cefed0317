"""What coordq costs and how fast it is, measured beside the raw limits of the same Redis.

`coordq bench` and `scripts/bench.py` run this. Every figure is taken `reps` times, interleaved with
probes of the raw limits, and shown as median (minimum-maximum). Only ratios inside one run travel:
shared machines drift by a factor of two between minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code, 1 when a goal was missed."""
    from coordq.interfaces.bench.run import LONG, STEPS, run

    parser = argparse.ArgumentParser(prog="coordq bench", description=__doc__)
    parser.add_argument("--reps", type=int, default=5, help="how often each figure is taken")
    names = ",".join(STEPS)
    parser.add_argument("--only", default="", help=f"some of {names}; all but {', '.join(LONG)}")
    parser.add_argument("--out", type=Path, help="write the single figures there, as JSON")
    chosen = parser.parse_args(argv)
    only = [name for name in chosen.only.split(",") if name]
    if unknown := [name for name in only if name not in STEPS]:
        parser.error(f"there is no figure called {unknown[0]!r}; there are: {', '.join(STEPS)}")
    return 0 if run(only, reps=chosen.reps, out=chosen.out) else 1
