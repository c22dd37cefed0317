"""What an agent says of itself: who it is, what it can do, and how it wants to be treated.

An agent in a worker says so in its code, one outside of workers when it registers. Some of it an
operator may say otherwise; that is kept apart, and stronger.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from coordq.amounts import is_number, is_whole
from coordq.errors import CoordqError, ForeignData, InvalidAgent
from coordq.names import check_name

Persona = Mapping[str, Any]

NAMES_MAX: Final = {"capabilities": 100, "tasks": 1000, "stand_ins": 8}
TEXT_MAX: Final = 4_000
"""Characters of what an agent is interested in."""
PERSONA_MAX: Final = 16_384
"""Bytes of a persona as JSON."""
LOAD_MAX: Final = 1_000_000
WEIGHT_MAX: Final = 1000.0
WEIGHT_MIN: Final = 0.01
TTL_S: Final = 30.0
TTL_MAX_S: Final = 86_400.0
SAYABLE: Final = ("interests", "zone", "max_load", "weight", "stand_ins")
"""What an operator may say of any agent; the rest comes from its code, or from itself."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One agent as it is described. Everything has been checked."""

    role: str = ""
    capabilities: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()
    """Names of the tasks that it can do."""
    persona: Persona = field(default_factory=dict)
    """What it is told to be: role, domain, voice, limits, text, and whatever else."""
    interests: str = ""
    """What it wants to hear of, in words."""
    zone: str = ""
    """Where it is; empty: where its workers are."""
    max_load: int = 0
    """How many tasks it should have at once; 0: as many as its workers have slots."""
    weight: float = 1.0
    """Its share, beside others, of what balancers give out."""
    stand_ins: tuple[str, ...] = ()
    """Who acts for it when it is away: the first of them that is there."""
    ttl_ms: int = 0
    """Outside workers: for how long it counts as there after each word of it. 0: in workers."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, all of it."""
        return {
            "role": self.role,
            "capabilities": sorted(self.capabilities),
            "tasks": sorted(self.tasks),
            "persona": dict(self.persona),
            "interests": self.interests,
            "zone": self.zone,
            "max_load": self.max_load,
            "weight": self.weight,
            "stand_ins": list(self.stand_ins),
        }

    def text(self) -> str:
        """One line of JSON without what goes without saying; equal profiles have equal lines."""
        usual, facts = Profile().to_json() | {"ttl_ms": 0}, self.to_json()
        facts["ttl_ms"] = self.ttl_ms
        return _line({name: value for name, value in facts.items() if value != usual[name]})


def make_profile(agent: object, **given: Any) -> Profile:
    """A profile out of what somebody says, see `Profile`; `persona` may be text.

    ttl: seconds, of an agent outside workers. Raises InvalidAgent.
    """
    name = agent_name(agent)
    facts = check_facts(name, given)
    return Profile(**facts)


def agent_name(given: object) -> str:
    """`given` when it may name an agent. Raises InvalidAgent."""
    return _named("agent", "agent", given)


def check_facts(agent: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, as a Profile holds it. Raises InvalidAgent."""
    for name in given:
        if name not in _CHECKS:
            known = ", ".join(sorted(_CHECKS))
            raise InvalidAgent(f"agent {agent!r} has no {name!r}; there are: {known}.", field=name)
    facts: dict[str, Any] = {
        name: _CHECKS[name](agent, name, value) for name, value in given.items()
    }
    deputies: Collection[str] = facts.get("stand_ins", ())
    if agent in deputies:
        raise InvalidAgent(f"agent {agent!r} cannot stand in for itself.", field="stand_ins")
    if "ttl" in facts:
        facts["ttl_ms"] = facts.pop("ttl")
    return facts


def said_text(agent: str, before: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """All that an operator says of an agent, after a change; None takes a word back.

    Raises InvalidAgent.
    """
    for name in given:
        if name not in SAYABLE:
            raise InvalidAgent(
                f"agent {agent!r}: {name} cannot be said by others: it comes from the agent's "
                f"code, or from who registers it. What can be said: {', '.join(SAYABLE)}.",
                field=name,
            )
    dropped = {name for name, value in given.items() if value is None}
    facts = check_facts(agent, {k: v for k, v in given.items() if k not in dropped})
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in facts.items()}
    return _line({k: v for k, v in (dict(before) | plain).items() if k not in dropped})


def read_profile(agent: str, base: str | bytes, said: str | bytes = "{}") -> Profile:
    """A profile as the registry holds it. Raises ForeignData for what coordq did not write."""
    try:
        facts = {**read_said(base), **read_said(said)}
        ttl_ms = facts.pop("ttl_ms", 0)
        return Profile(**check_facts(agent, facts), ttl_ms=int(ttl_ms))
    except (ValueError, TypeError, CoordqError) as error:
        raise ForeignData(
            f"What the registry knows of agent {agent!r} is not coordq's.", agent=agent
        ) from error


def read_said(text: str | bytes) -> dict[str, Any]:
    """One of the two lines. Raises ValueError for what is no JSON object."""
    return dict(json.loads(text))


def _line(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, separators=(",", ":"), sort_keys=True)


# -- each of them, checked -------------------------------------------------------------------------


def _named(kind: str, field: str, given: object) -> str:
    try:
        return check_name(kind, given)
    except CoordqError as error:
        raise InvalidAgent(str(error), field=field, name=given) from error


def _name_or_nothing(_agent: str, field: str, given: object) -> str:
    return "" if given == "" else _named(field, field, given)


def _names(agent: str, field: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Collection):
        raise InvalidAgent(
            f"agent {agent!r}: {field}={given!r:.80} is no list of names.", field=field
        )
    most = NAMES_MAX[field]
    if len(given) > most:
        raise InvalidAgent(
            f"agent {agent!r}: {len(given):,} {field} are more than {most:,}.", field=field
        )
    kind = {"capabilities": "capability", "tasks": "task", "stand_ins": "agent"}[field]
    return tuple(dict.fromkeys(_named(kind, field, one) for one in given))


def _set(agent: str, field: str, given: Any) -> frozenset[str]:
    return frozenset(_names(agent, field, given))


def _persona(agent: str, field: str, given: Any) -> Persona:
    if given is None or given == "":
        return {}
    persona = {"text": given} if isinstance(given, str) else given
    if not isinstance(persona, Mapping) or not all(isinstance(key, str) for key in persona):
        raise InvalidAgent(
            f"agent {agent!r}: a persona is text or a mapping with text as keys.", field=field
        )
    try:
        size = len(_line(persona))
    except (TypeError, ValueError) as error:
        raise InvalidAgent(
            f"agent {agent!r}: the persona is not JSON: {error}.", field=field
        ) from error
    if size > PERSONA_MAX:
        raise InvalidAgent(
            f"agent {agent!r}: the persona has {size:,} bytes; the registry keeps {PERSONA_MAX:,}.",
            field=field,
        )
    return dict(persona)


def _text(agent: str, field: str, given: Any) -> str:
    if not isinstance(given, str):
        raise InvalidAgent(f"agent {agent!r}: {field}={given!r:.80} is not text.", field=field)
    if len(given) > TEXT_MAX:
        raise InvalidAgent(
            f"agent {agent!r}: {field} has {len(given):,} characters; use up to {TEXT_MAX:,}.",
            field=field,
        )
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise InvalidAgent(f"agent {agent!r}: {field} is not Unicode.", field=field) from error
    return given


def _load(agent: str, field: str, given: Any) -> int:
    if not is_whole(given, 0, LOAD_MAX):
        raise InvalidAgent(
            f"agent {agent!r}: {field}={given!r}: give a whole number of tasks up to {LOAD_MAX:,},"
            " 0 for as many as its workers have slots.",
            field=field,
        )
    return given


def _weight(agent: str, field: str, given: Any) -> float:
    if not is_number(given, WEIGHT_MIN, WEIGHT_MAX):
        raise InvalidAgent(
            f"agent {agent!r}: {field}={given!r}: give a number from {WEIGHT_MIN} to "
            f"{WEIGHT_MAX:g}; others have 1.",
            field=field,
        )
    return float(given)


def _ttl(agent: str, field: str, given: Any) -> int:
    if not is_number(given, 1, TTL_MAX_S):
        raise InvalidAgent(
            f"agent {agent!r}: {field}={given!r}: give from 1 second to a day.", field=field
        )
    return round(given * 1000)


_CHECKS: Final[dict[str, Callable[[str, str, Any], Any]]] = {
    "role": _name_or_nothing,
    "capabilities": _set,
    "tasks": _set,
    "persona": _persona,
    "interests": _text,
    "zone": _name_or_nothing,
    "max_load": _load,
    "weight": _weight,
    "stand_ins": _names,
    "ttl": _ttl,
}
assert {one.name for one in fields(Profile)} - {"ttl_ms"} <= set(_CHECKS)
