"""What an agent is told to be: its role, domain, voice and limits, as handlers want to have it.

Nothing is done with it here. A handler puts `ctx.persona.prompt()` before what it asks a model, or
takes out what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_OWN: Final = ("role", "domain", "voice", "limits", "text")


@dataclass(frozen=True, slots=True)
class Persona:
    """One persona. All of it is optional."""

    role: str = ""
    """What it is: "a careful reviewer"."""
    domain: str = ""
    """What it knows about: "Python and its packaging"."""
    voice: str = ""
    """How it speaks: "short sentences, no praise"."""
    limits: tuple[str, ...] = ()
    """What it does not do: "changes no code"."""
    text: str = ""
    """Whatever else it is told."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What the definition has under other names."""

    def prompt(self) -> str:
        """All of it in words, for a model: one line for each part that is there."""
        lines = [self.text] if self.text else []
        lines += [f"You are {self.role}."] if self.role else []
        lines += [f"Your domain: {self.domain}."] if self.domain else []
        lines += [f"Your voice: {self.voice}."] if self.voice else []
        lines += [f"Your limits: {'; '.join(self.limits)}."] if self.limits else []
        return "\n".join(lines)


def read_persona(given: str | Mapping[str, Any] | None) -> Persona | None:
    """A persona out of what an agent's definition says; None for none."""
    if not given:
        return None
    if isinstance(given, str):
        return Persona(text=given)
    limits = given.get("limits", ())
    return Persona(
        **{name: str(given.get(name, "")) for name in ("role", "domain", "voice", "text")},
        limits=(limits,) if isinstance(limits, str) else tuple(str(one) for one in limits or ()),
        more={name: value for name, value in given.items() if name not in _OWN},
    )
