"""What a producer is told to do, on its command line."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Order:
    """What one producer shall do."""

    url: str
    namespace: str
    folder: str
    seed: int
    number: int
    producers: int
    tasks: int
    rate: float
    """Tasks a second; what was missed in an outage is made up for."""
    lease_s: float
    durability: str = "primary"
    flows: float = 0.1
    """The share of the tasks that come in flows."""
    messages: float = 0.2
    """So many messages and turns are sent for each task."""

    def to_words(self) -> list[str]:
        """The command line of this producer."""
        module = "coordq.interfaces.chaos.producer"
        return [sys.executable, "-P", "-m", module, json.dumps(asdict(self))]

    @classmethod
    def from_text(cls, text: str) -> Self:
        """What the command line says."""
        return cls(**json.loads(text))
