"""A former leader: a process that writes under an epoch that is over, and says what came of it.

A supervisor gives up by itself when its term is over, mostly; what it had sent before may still be
on its way, for as long as a network pleases.
"""

from __future__ import annotations

import sys

from coordq.engine import keys
from coordq.engine.connection import open_engine
from coordq.errors import CoordqError, Deposed
from coordq.fleet.tell import tell


def haunt(url: str, namespace: str) -> str:
    """Write under the epoch before the last: "refused", "accepted", or why neither."""
    try:
        with open_engine(url, namespace=namespace, patience_s=5.0, name="ghost") as engine:
            epoch = int(engine.execute(0, "GET", keys.epoch(keys.root(namespace, 0))) or 0)
            if not epoch:
                return "no leader was ever known"
            engine.run(tell(0, epoch - 1, [("healthy", "nobody", "written too late")]))
    except Deposed:
        return "refused"
    except CoordqError as error:
        return error.code
    return "accepted"


if __name__ == "__main__":
    sys.stdout.write(haunt(sys.argv[1], sys.argv[2]) + "\n")
