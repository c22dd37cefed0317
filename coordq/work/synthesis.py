"""Several agents have answered one question: what they said, side by side.

Every answer is kept, with who gave it and what it rests on. Equal answers stand together; agreement
and dissent are counts. Nothing is averaged and nothing is made up: where no answer has a majority
there is none, and scores that agents gave themselves are carried along but never reckoned with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from coordq.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Answer:
    """What one agent said."""

    agent: str
    value: Any
    """Anything JSON can say."""
    evidence: tuple[str, ...] = ()
    """What it rests on: quotations, addresses, file names. Kept as given."""
    task: str | None = None
    """The task in which it was given."""
    about: Mapping[str, Any] | None = None
    """Whatever else the agent said of it, such as its own score. Carried along, never counted."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON; what was not said is left out."""
        said = {
            "agent": self.agent,
            "value": self.value,
            "evidence": list(self.evidence),
            "task": self.task,
            "about": dict(self.about or {}),
        }
        return {name: part for name, part in said.items() if part or name in ("agent", "value")}


@dataclass(frozen=True, slots=True)
class Opinion:
    """One answer, and all who gave it."""

    value: Any
    """As the first of them put it."""
    answers: tuple[Answer, ...]

    @property
    def agents(self) -> tuple[str, ...]:
        """Who holds it, each once, in the order of their answers."""
        return tuple(dict.fromkeys(answer.agent for answer in self.answers))

    @property
    def evidence(self) -> tuple[str, ...]:
        """What it rests on, each piece once."""
        return tuple(dict.fromkeys(piece for one in self.answers for piece in one.evidence))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "value": self.value,
            "agents": list(self.agents),
            "answers": [answer.to_json() for answer in self.answers],
        }


@dataclass(frozen=True, slots=True)
class Synthesis:
    """All answers to a question, equal ones together."""

    opinions: tuple[Opinion, ...]
    """Held by the most agents first; among equals, the one that was heard first."""
    silent: tuple[str, ...] = ()
    """Agents that were asked and gave no answer."""

    @property
    def agents(self) -> tuple[str, ...]:
        """All who answered, each once."""
        named = (agent for opinion in self.opinions for agent in opinion.agents)
        return tuple(dict.fromkeys(named))

    @property
    def unanimous(self) -> bool:
        """Everybody who was asked gave the same answer."""
        return len(self.opinions) == 1 and not self.silent

    @property
    def majority(self) -> Opinion | None:
        """The answer of more than half of those who were asked, silent ones included; or None.

        An agent that gave two different answers stands behind neither.
        """
        asked = len(self.agents) + len(self.silent)
        for opinion in self.opinions:
            steady = [agent for agent in opinion.agents if agent not in self.torn]
            if 2 * len(steady) > asked:
                return opinion
        return None

    @property
    def dissent(self) -> tuple[Opinion, ...]:
        """Every opinion but that of the majority; all of them when there is none."""
        return tuple(opinion for opinion in self.opinions if opinion is not self.majority)

    @property
    def torn(self) -> tuple[str, ...]:
        """Agents that gave answers which differ."""
        return tuple(
            agent
            for agent in self.agents
            if sum(agent in opinion.agents for opinion in self.opinions) > 1
        )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, counts included."""
        majority = self.majority
        return {
            "asked": len(self.agents) + len(self.silent),
            "answered": len(self.agents),
            "unanimous": self.unanimous,
            "majority": None if majority is None else majority.value,
            "agree": 0 if majority is None else len(majority.agents),
            "opinions": [opinion.to_json() for opinion in self.opinions],
            "silent": list(self.silent),
            "torn": list(self.torn),
        }


def same_json(value: Any) -> Hashable:
    """What two answers have in common when they say the same in JSON: 1 and 1.0, keys in any order.

    True is not 1. Raises InvalidInput when `value` is not JSON.
    """
    try:
        return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"An answer must be JSON: {error}.") from error


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def same_words(value: Any) -> Hashable:
    """Like `same_json`, but two texts say the same whatever their case and the white space in them.

    Raises InvalidInput when `value` is not JSON.
    """
    words = " ".join(value.split()).casefold() if isinstance(value, str) else value
    return same_json(words)


SAMENESS: Final[Mapping[str, Callable[[Any], Hashable]]] = {
    "json": same_json,
    "casefold": same_words,
}
"""When answers are equal, by a name that can be sent."""


def synthesize(
    answers: Iterable[Answer],
    *,
    asked: Iterable[str] = (),
    same: Callable[[Any], Hashable] = same_json,
) -> Synthesis:
    """Put equal answers together, and count.

    asked: agents from whom an answer was expected; those that gave none are named as silent.
    same: what must be equal for two answers to be the same, `str.casefold` for words, say. It is
        asked of each answer by itself: likeness that is not transitive would invent agreement.

    Raises InvalidInput when an answer is no Answer, has no agent, or `same` cannot be asked.
    """
    by_sameness: dict[Hashable, list[Answer]] = {}
    for answer in answers:
        if not isinstance(answer, Answer) or not answer.agent:
            raise InvalidInput(
                f"{answer!r} is not an Answer with an agent: nobody stands behind it."
            )
        by_sameness.setdefault(_sameness(same, answer), []).append(answer)
    opinions = [Opinion(given[0].value, tuple(given)) for given in by_sameness.values()]
    opinions.sort(key=lambda opinion: -len(opinion.agents))  # stable: first heard, first named
    heard = {agent for opinion in opinions for agent in opinion.agents}
    silent = tuple(agent for agent in dict.fromkeys(asked) if agent not in heard)
    return Synthesis(tuple(opinions), silent)


def _sameness(same: Callable[[Any], Hashable], answer: Answer) -> Hashable:
    try:
        found = same(answer.value)
        hash(found)
    except InvalidInput:
        raise
    except Exception as error:
        raise InvalidInput(
            f"same= cannot tell what the answer of {answer.agent!r} is equal to: {error}."
        ) from error
    return found
