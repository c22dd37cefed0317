"""Messages for whom they concern: a text says what one is about, the nearest agents are sent it.

An errand goes on until somebody has been sent the message: candidates are those of a decision, in
its order; who cannot be sent to is passed over, with the reason. Written once for both clients:
they decide, and carry out the plan, in turns.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coordq.bus.topic import mailbox
from coordq.client import agent_plans, arranged, asking, posting
from coordq.client.plan import Plan
from coordq.errors import (
    AgentNotFound,
    ChannelFull,
    InvalidMessage,
    NoRoute,
    NotConnected,
)
from coordq.fleet.directory import AWAY
from coordq.fleet.recommend import CLOSED, HALF_OPEN, ON_TRIAL, OPEN
from coordq.fleet.topology.view import View

if TYPE_CHECKING:
    from coordq.client.compass import Compass
    from coordq.client.posting import Published, Terms
    from coordq.fleet.semantic.decision import Candidate, Decision


@dataclass(frozen=True, slots=True)
class Sent:
    """One message that was sent."""

    to: str
    """An agent; or the topic that was declared as a route or as the fall-back."""
    id: str
    receivers: int
    """How many groups will be given it; of a mailbox one."""
    shed: bool
    """The channel was full and it was left out, as when_full="shed" asks."""
    score: float | None
    """How near it is, -1 to 1; None for the fall-back."""
    reasons: tuple[str, ...]
    """In sentences."""

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "to": self.to,
            "id": self.id,
            "receivers": self.receivers,
            "shed": self.shed,
            "score": self.score,
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True, slots=True)
class Routed:
    """To whom a message was sent, and why."""

    sent: tuple[Sent, ...]
    """Nearest first; or the fall-back alone."""
    fallback: bool
    """Whether it went to the fall-back."""
    passed: Mapping[str, str]
    """Who was as near as those, or near enough when it went to the fall-back; and why not to it."""
    decision: Decision
    """Who is near, and near what."""

    def explain(self) -> list[str]:
        """In sentences: who got it and why, and who did not."""
        told = [f"{one.to}: {reason}" for one in self.sent for reason in one.reasons]
        return told + [f"{name} was passed over: {why}" for name, why in self.passed.items()]

    def to_json(self) -> dict[str, Any]:
        """For programs, and `coordq bus publish --nearest --json`."""
        return {
            "sent": [one.to_json() for one in self.sent],
            "fallback": self.fallback,
            "passed": dict(self.passed),
            "decision": self.decision.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller asks for, checked before anybody is asked."""

    text: str
    body: Any
    top: int
    threshold: float | None
    fallback: str
    """A topic, or an agent; "": what the router says."""
    how: Terms
    envelope: dict[str, Any]

    @property
    def sender(self) -> str:
        """The agent that sends; "" for who is none."""
        return str(self.envelope.get("sender") or "")


def wish(
    text: str,
    body: Any,
    envelope: dict[str, Any],
    how: Terms,
    *,
    top: int,
    threshold: float | None,
    fallback: str | None,
) -> Wish:
    """What is asked for. Raises what each part of it would raise later, before anything is sent."""
    from coordq.fleet.semantic.router import check_top
    from coordq.fleet.semantic.routes import check_text, check_threshold

    check_text(text)
    check_top(top)
    if threshold is not None:
        check_threshold(threshold)
    if fallback is not None:
        asking.channel_of(fallback)
    if envelope.get("id") is not None:
        raise InvalidMessage("What goes to the nearest has an id for each of them: give none.")
    posting.draft(1, "*", body, envelope)
    return Wish(text, body, top, threshold, fallback or "", how, envelope)


class Errand:
    """One message on its way to those whom it concerns. view: of the topology; None: not asked."""

    def __init__(self, wish: Wish, compass: Compass, view: View | None) -> None:
        self.wish = wish
        self.among: Collection[str] | None = None
        """Whom the next decision is to look at; None: all."""
        self.routed: Routed | None = None
        """What became of it; None while somebody may be left."""
        self._directory = compass.directory
        self._beliefs = compass.beliefs
        self._router = compass.guide.router
        self._view = view
        self._fallback = wish.fallback or self._router.fallback or ""
        self._sent: list[Sent] = []
        self._passed: dict[str, str] = {}
        self._scores: dict[str, float] = {}
        self._barred: dict[str, NotConnected] = {}
        self._full: ChannelFull | None = None

    def carry_out(self, decision: Decision, where: tuple[str, int]) -> Plan[None]:
        """Send to the nearest of a decision; where: namespace and number of shards.

        When those who were passed over hid others, `among` says whom to decide about next.
        Raises NoRoute, NotConnected, ChannelFull when nobody could be sent to.
        """
        yield from self._meet(decision)
        while len(self._sent) < self.wish.top:
            able = self._able(decision)[: self.wish.top - len(self._sent)]
            stale = self._beliefs.stale(one.route for one in able)
            if stale:
                yield from self._beliefs.ask(stale)
                continue
            if not able:
                break
            for one in able:
                yield from self._send(one, decision, where)
        if len(self._sent) < self.wish.top and self._hides(decision):
            done = self._done
            self.among = [name for name in self._router.routes if name not in done]
            if self.among:
                return
        if not self._sent:
            yield from self._fall_back(decision, where)
        least = min(-2.0 if one.score is None else one.score for one in self._sent)
        self.routed = Routed(
            sent=tuple(self._sent),
            fallback=self._sent[0].score is None,
            passed={name: why for name, why in self._passed.items() if self._scores[name] >= least},
            decision=decision,
        )

    @property
    def _done(self) -> set[str]:
        return {one.to for one in self._sent} | set(self._passed)

    def _meet(self, decision: Decision) -> Plan[None]:
        """Know who the candidates are, also when routes were declared and nobody was asked."""
        if any(self._directory.get(one.route) is None for one in decision.candidates):
            yield from agent_plans.learn(self._directory)

    def _near(self, one: Candidate) -> bool:
        return one.near if self.wish.threshold is None else one.score >= self.wish.threshold

    def _hides(self, decision: Decision) -> bool:
        """Whether there may be others that are near enough."""
        from coordq.fleet.semantic.router import TOP_MAX

        found = decision.candidates
        return len(found) >= TOP_MAX and self._near(found[-1])

    def _able(self, decision: Decision) -> list[Candidate]:
        """Who is near enough and can be sent to, best first; the others are passed over."""
        done = self._done
        able = []
        for one in decision.candidates:
            if not self._near(one) or one.route in done:
                continue
            self._scores[one.route] = one.score
            why = self._obstacle(one.route)
            if why:
                self._passed[one.route] = why
            else:
                able.append(one)
        return sorted(able, key=self._rank)

    def _rank(self, one: Candidate) -> float:
        return -one.score * (ON_TRIAL if self._state(one.route) == HALF_OPEN else 1.0)

    def _state(self, agent: str) -> str:
        return self._beliefs.states.get(agent, CLOSED)

    def _obstacle(self, route: str) -> str:
        """Why nothing can be sent there; "" when nothing is known."""
        agent = self._directory.get(route)
        if agent is None:
            return "" if _is_topic(route) else "no agent of this name is registered"
        if route == self.wish.sender:
            return "it is the sender"
        if agent.state == AWAY and agent.stood_in_by is None:
            return "it is away, and nobody stands in for it"
        if self._state(route) == OPEN:
            return f"its breaker, agent:{route}, is open"
        verdict = self._view.may_talk(self.wish.sender, route) if self._view else None
        if verdict is None or verdict:
            return ""
        self._barred[route] = NotConnected(
            verdict.reason, sender=self.wish.sender, receiver=route, version=verdict.version
        )
        return verdict.reason

    def _send(self, one: Candidate, decision: Decision, where: tuple[str, int]) -> Plan[None]:
        try:
            published = yield from self._post(one.route, where)
        except AgentNotFound:
            self._passed[one.route] = "it has no mailbox"
        except ChannelFull as error:
            self._full = error
            self._passed[one.route] = "too many of its messages have not been acknowledged"
        else:
            if not published.receivers and not published.shed:
                self._passed[one.route] = "nobody reads this topic"
                return
            reasons = self._reasons(one, decision)
            self._sent.append(Sent(one.route, *published, one.score, reasons))

    def _post(self, to: str, where: tuple[str, int]) -> Plan[Published]:
        channel = mailbox(to) if self._directory.get(to) is not None else asking.channel_of(to)
        envelope = self.wish.envelope
        if self._view is not None:
            envelope = arranged.allowed(self._view, channel, envelope)
        parcel = posting.draft(where[1], channel, self.wish.body, envelope)
        return (yield from posting.post(*where, [parcel], self.wish.how))[0]

    def _reasons(self, one: Candidate, decision: Decision) -> tuple[str, ...]:
        agent = self._directory.get(one.route)
        least = one.threshold if self.wish.threshold is None else self.wish.threshold
        reasons = [f'{one.score:.2f} near "{one.phrase}", at least {least:g} is asked for']
        if decision.cached == "similar":
            reasons.append(
                f"remembered of a text with similarity {decision.similarity:.2f}, whose score it is"
            )
        if self._state(one.route) == HALF_OPEN:
            reasons.append("its breaker is half open: it is on trial, and counts half")
        if agent is not None and agent.state == AWAY and agent.stood_in_by is not None:
            reasons.append(f"it is away, and {agent.stood_in_by.by} stands in for it")
        return tuple(reasons)

    def _fall_back(self, decision: Decision, where: tuple[str, int]) -> Plan[None]:
        """Send to the fall-back. Raises for why nobody could be sent to, when there is none."""
        if not self._fallback:
            raise self._nobody(decision)
        published = yield from self._post(self._fallback, where)
        if not published.receivers and not published.shed:
            raise self._nobody(decision, f" Nor does anybody read {self._fallback}, the fall-back.")
        why = (
            "nobody who is near enough can be sent to" if self._passed else "nobody is near enough"
        )
        reasons = (f"{why}, and this is the fall-back",)
        self._sent.append(Sent(self._fallback, *published, None, reasons))

    def _nobody(self, decision: Decision, besides: str = "") -> Exception:
        if self._full is not None:
            return self._full
        barred = [error for name, error in self._barred.items() if name in self._passed]
        if barred and len(barred) == len(self._passed):
            return barred[0]
        nearest = decision.candidates[0] if decision.candidates else None
        if self._passed:
            name, why = next(iter(self._passed.items()))
            others = f", and {len(self._passed) - 1} more" if len(self._passed) > 1 else ""
            told = f"Nobody who is near enough can be sent to: {name}, because {why}{others}."
        elif nearest is not None:
            told = (
                f"Nobody is near enough: {nearest.route} is nearest with {nearest.score:.2f}. Name "
                "a fallback, lower the threshold, or let agents say more of their interests."
            )
        else:
            told = "No agent says what it is interested in, so nobody is near."
        return NoRoute(
            told + besides,
            nearest=nearest.route if nearest else None,
            score=decision.score,
            passed=dict(self._passed),
        )


def _is_topic(route: str) -> bool:
    return "." in route or route.startswith(asking.TOPIC)
