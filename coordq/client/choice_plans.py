"""Choosing among agents, written once for both clients: recommendations, and turns of a balancer.

The breaker of an agent is that of the subject `agent:<name>`. Only those are asked for that would
be chosen, and what was heard is believed for a second: a thousand agents are not asked one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from coordq.amounts import whole
from coordq.client import agent_plans
from coordq.client.plan import Plan
from coordq.clock import monotonic
from coordq.errors import AgentNotFound, InvalidOption
from coordq.fleet.balance.balancer import Balancer, Candidate
from coordq.fleet.directory import AgentView, Directory, Wanted
from coordq.fleet.recommend import CLOSED, OPEN, Recommendation, recommend
from coordq.names import check_name

BELIEVED_S: Final = 1.0
MOST: Final = 1000


def subject_of(agent: str) -> str:
    """What the breaker of an agent is called."""
    return f"agent:{agent}"


class Beliefs:
    """What was heard of breakers, by agent. Threads may share it: each word is replaced at once."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self._heard_s: dict[str, float] = {}

    def stale(self, chosen: Iterable[str]) -> list[str]:
        """Of which a word is due: those that would be chosen, and those that are kept from it."""
        now = monotonic()
        kept_off = [name for name, state in self.states.copy().items() if state != CLOSED]
        return [
            name
            for name in dict.fromkeys((*chosen, *kept_off))
            if now - self._heard_s.get(name, float("-inf")) >= BELIEVED_S
        ]

    def ask(self, agents: Collection[str]) -> Plan[None]:
        """Hear how their breakers stand."""
        from coordq.client import breaker_plans

        names = list(agents)[:MOST]
        found: Mapping[str, str] = yield from breaker_plans.states([subject_of(n) for n in names])
        now = monotonic()
        if len(self._heard_s) > 2 * MOST:
            self.states, self._heard_s = {}, {}
        for name in names:
            self.states[name] = found.get(subject_of(name), CLOSED)
            self._heard_s[name] = now


def best(
    directory: Directory,
    beliefs: Beliefs,
    n: int,
    *,
    preferred: Collection[str] = (),
    **given: Any,
) -> Plan[list[Recommendation]]:
    """The n best for it. Raises InvalidOption, InvalidName."""
    whole("n", n, 1, MOST)
    if isinstance(preferred, str) or not isinstance(preferred, Collection):
        raise InvalidOption(f"preferred={preferred!r} is no list of names.", option="preferred")
    welcome = frozenset(check_name("capability", one) for one in preferred)
    asked = agent_plans.wanted(**given)
    yield from agent_plans.learn(directory)
    views = directory.fitting(asked)
    while True:
        found = recommend(views, n, preferred=welcome, breakers=beliefs.states)
        stale = beliefs.stale(one.agent.name for one in found)
        if not stale:
            return found
        yield from beliefs.ask(stale)


class Pool:
    """Those among whom a balancer picks, as they were a second ago."""

    def __init__(
        self, directory: Directory, beliefs: Beliefs, balancer: Balancer, asked: Wanted
    ) -> None:
        self.balancer = balancer
        self._directory = directory
        self._beliefs = beliefs
        self._asked = asked
        self._views: dict[str, AgentView] = {}
        self._seen_s = float("-inf")

    def pick(self) -> Plan[AgentView]:
        """Whose turn it is. Raises AgentNotFound when nobody may."""
        if monotonic() - self._seen_s >= BELIEVED_S:
            yield from agent_plans.learn(self._directory)
            self._views = {view.name: view for view in self._directory.fitting(self._asked)}
            self._seen_s = monotonic()
        while True:
            views, states = self._views, self._beliefs.states
            name = self.balancer.pick([_candidate(view, states) for view in views.values()])
            try:
                stale = self._beliefs.stale([] if name is None else [name])
                yield from self._beliefs.ask(stale)
            except BaseException:
                self._undo(name)
                raise
            if name is not None and self._beliefs.states.get(name) != OPEN:
                return views[name]
            self._undo(name)
            if name is None and not stale:
                raise self._nobody(len(views))

    def _undo(self, name: str | None) -> None:
        if name is not None:
            self.balancer.undo(name)

    def _nobody(self, amount: int) -> AgentNotFound:
        if not amount:
            return AgentNotFound("No agent that is here fits what is asked for.")
        return AgentNotFound(f"None of {amount} agents may be picked: their breakers are open.")


def _candidate(view: AgentView, states: Mapping[str, str]) -> Candidate:
    return Candidate(view.name, view.weight, view.running, states.get(view.name, CLOSED))
