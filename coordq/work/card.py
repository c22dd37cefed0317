"""What an agent says of itself beside what it can do: persona, interests, share, stand-ins.

The registry shows it; balancers and recommendations go by it. Checked when the agent is defined.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from coordq.amounts import is_number, is_whole
from coordq.errors import InvalidAgent, InvalidInput
from coordq.names import check_name
from coordq.work.persona import Persona, read_persona

WEIGHT_MIN: Final = 0.01
WEIGHT_MAX: Final = 1000.0
LOAD_MAX: Final = 1_000_000
STAND_INS_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Card:
    """Checked, and made by `make_card`."""

    given: str | Mapping[str, Any] | None
    """The persona as it was defined."""
    persona: Persona | None
    interests: str
    max_load: int
    weight: float
    stand_ins: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without the capabilities."""
        return {
            "persona": self.given,
            "interests": self.interests,
            "max_load": self.max_load,
            "weight": self.weight,
            "stand_ins": list(self.stand_ins),
        }


def make_card(
    agent: str,
    *,
    persona: Any,
    interests: Any,
    max_load: Any,
    weight: Any,
    stand_ins: Any,
) -> Card:
    """What an agent says of itself. Raises InvalidAgent."""
    given = _persona(agent, persona)
    if not isinstance(interests, str):
        raise InvalidAgent(f"agent {agent!r}: interests={interests!r:.80} is not text.")
    if not is_whole(max_load, 0, LOAD_MAX):
        raise InvalidAgent(
            f"agent {agent!r}: max_load={max_load!r}: give a whole number of tasks, 0 for as many "
            "as its workers have slots."
        )
    if not is_number(weight, WEIGHT_MIN, WEIGHT_MAX):
        raise InvalidAgent(
            f"agent {agent!r}: weight={weight!r}: give a number from {WEIGHT_MIN} to "
            f"{WEIGHT_MAX:g}; others have 1."
        )
    deputies = _names(agent, stand_ins)
    return Card(given, read_persona(given), interests, max_load, float(weight), deputies)


def _persona(agent: str, given: Any) -> str | dict[str, Any] | None:
    if given is None or isinstance(given, str):
        return given
    if not (isinstance(given, Mapping) and all(isinstance(key, str) for key in given)):
        raise InvalidAgent(f"agent {agent!r}: a persona is text or a mapping with text as keys.")
    try:
        json.dumps(dict(given))
    except (TypeError, ValueError) as error:
        raise InvalidAgent(f"agent {agent!r}: the persona is not JSON: {error}.") from error
    return dict(given)


def _names(agent: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Collection):
        raise InvalidAgent(f"agent {agent!r}: stand_ins={given!r:.80} is no list of agents.")
    try:
        names = tuple(check_name("agent", one) for one in given)
    except InvalidInput as error:
        raise InvalidAgent(f"agent {agent!r}: {error}") from error
    if agent in names or len(names) > STAND_INS_MAX:
        raise InvalidAgent(
            f"agent {agent!r}: stand_ins names up to {STAND_INS_MAX} other agents, not itself."
        )
    return names
