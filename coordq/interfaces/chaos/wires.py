"""The stage's end of the wires: orders to the program that carries them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from coordq import settings
from coordq.errors import CoordqError
from coordq.interfaces.chaos import leash


class Wires:
    """All wires of a stage. An order has been carried out when its method returns."""

    def __init__(self, folder: Path) -> None:
        self._process = leash.spawn(
            [sys.executable, "-P", "-m", "coordq.interfaces.chaos.wire"],
            output=folder / "wires.log",
            env=settings.environment(),
            talks=True,
        )

    def open(self, name: str, ports: list[int], *, sentinel: bool = False) -> list[int]:
        """Wires for one process to the servers on these ports; on which ports they listen.

        sentinel: the first server names the others in what it answers.
        """
        answer = self._order(do="open", name=name, ports=ports, sentinel=sentinel)
        return [int(port) for port in answer["ports"]]

    def hold(self, name: str) -> None:
        """Let nothing pass."""
        self._order(do="hold", name=name)

    def heal(self, name: str) -> None:
        """Let everything pass again, beginning with what was sent meanwhile."""
        self._order(do="heal", name=name)

    def delay(self, name: str, seconds: float) -> None:
        """Let replies come so much later."""
        self._order(do="delay", name=name, amount=seconds)

    def lose(self, name: str, amount: int) -> None:
        """Lose the replies to the next calls of scripts, after they were carried out."""
        self._order(do="lose", name=name, amount=amount)

    def reset(self, name: str) -> None:
        """Break all connections."""
        self._order(do="reset", name=name)

    def lost(self, name: str) -> int:
        """How many replies were lost so far."""
        return int(self._order(do="count", name=name)["lost"])

    def _order(self, **order: Any) -> dict[str, Any]:
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None
        assert pipe_out is not None
        pipe_in.write(json.dumps(order).encode() + b"\n")
        pipe_in.flush()
        line = pipe_out.readline()
        if not line:
            raise CoordqError("the wires of the stage have gone.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Take the wires down."""
        leash.end(self._process)
