"""From `after`, `on`, `if_failed`, `when`, `need` and `first` to edges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from coordq.amounts import is_whole
from coordq.names import check_name
from coordq.work.flow.condition import Condition, parse
from coordq.work.flow.plan import EDGES_INTO_MAX, ON, POLICIES
from coordq.work.flow.refusal import refuse
from coordq.work.flow.step import Group, Link, Maker, Step, Tie, Value, inputs_of

_BY_PEOPLE: Final = POLICIES[:3]
"""`ignore` is spelled need= or first=."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """When a task may start, as it was asked for."""

    after: Any = ()
    of: Any = None
    on: str | None = None
    if_failed: str | None = None
    when: Condition | str | None = None
    unless: Condition | str | None = None
    need: int | None = None
    first: int | None = None
    cancel_losers: bool = False


class Tying:
    """Makes the edges into one new step."""

    def __init__(self, flow: Maker, key: str, wanted: Wanted) -> None:
        self.flow = flow
        self.key = key
        self.wanted = wanted
        self.ties: dict[Step, Tie] = {}

    def tie(self, inputs: Mapping[str, Value]) -> dict[Step, Tie]:
        """The edges: those asked for, and one from each step that an argument comes from.

        Raises InvalidFlow, InvalidCondition.
        """
        self._check_words(self.wanted.on, self.wanted.if_failed)
        for link in links(self.flow, self.key, self.wanted.after):
            self._follow(link)
        for step, marks in _marks(inputs).items():
            check_owner(self.flow, self.key, step)
            if step not in self.ties:
                self.ties[step] = self._tie(self.wanted.on or _implied(marks), None)
        self._add_condition()
        return self.ties

    @property
    def want(self) -> int:
        """How many edges have to be met; 0 for all that count. Raises InvalidFlow."""
        need, first = self.wanted.need, self.wanted.first
        if need is not None and first is not None:
            self._refuse("need and first say the same in two ways: give one")
        for what, amount in (("need", need), ("first", first)):
            if amount is not None and not _is_amount(amount):
                self._refuse(f"{what}={amount!r}: give a number of parents, from 1")
        if not isinstance(self.wanted.cancel_losers, bool):
            self._refuse(f"cancel_losers={self.wanted.cancel_losers!r}: say True or False")
        if self.wanted.cancel_losers and first is None:
            self._refuse("cancel_losers is about those that first= does not wait for: say both")
        return need or first or 0

    def _follow(self, link: Link) -> None:
        if link.step in self.ties:
            self._refuse(f"it comes after {link.step.key!r} twice: say it once, perhaps with on=")
        self._check_words(link.on, link.if_failed)
        when = parse(link.when) if isinstance(link.when, str) else link.when
        on = link.on or self.wanted.on or "success"
        self.ties[link.step] = self._tie(on, link.if_failed)
        if when is not None:
            self._attach(link.step, when)

    def _tie(self, on: str, if_failed: str | None) -> Tie:
        asked = if_failed or self.wanted.if_failed
        if on != "success":
            if if_failed:
                self._refuse(f"if_failed={if_failed!r} goes with on='success', not with on={on!r}")
            return Tie(on)
        if self.wanted.need is None and self.wanted.first is None:
            return Tie(on, asked or "fail")
        if asked:
            self._refuse("need and first say what failed parents mean: leave if_failed out")
        return Tie(on, "ignore")

    def _check_words(self, on: str | None, if_failed: str | None) -> None:
        if on is not None and on not in ON:
            self._refuse(f"on={on!r}: use one of {', '.join(ON)}")
        if if_failed is not None and if_failed not in _BY_PEOPLE:
            hint = "write need=1" if if_failed == "ignore" else f"use {', '.join(_BY_PEOPLE)}"
            self._refuse(f"if_failed={if_failed!r}: {hint}")

    def _add_condition(self) -> None:
        wanted = self.wanted
        if wanted.when is not None and wanted.unless is not None:
            self._refuse("when and unless are given both: write one, with `and not`")
        given = wanted.when if wanted.when is not None else wanted.unless
        if given is None:
            if wanted.of is not None:
                self._refuse("of= says whose result a condition is about: give when= or unless=")
            return
        condition = parse(given) if not isinstance(given, Condition) else given
        self._attach(self._subject(), condition.negated() if wanted.when is None else condition)

    def _subject(self) -> Step:
        """Whose result the condition is about."""
        if self.wanted.of is None:
            if not self.ties:
                self._refuse("a condition is about a parent's result: give after= or of=")
            return next(iter(self.ties))
        step = self.wanted.of
        if not isinstance(step, Step):
            self._refuse(f"of={step!r:.60}: give one step")
        check_owner(self.flow, self.key, step)
        if step not in self.ties:
            self.ties[step] = self._tie(self.wanted.on or "success", None)
        return step

    def _attach(self, step: Step, condition: Condition) -> None:
        attach(self.flow, self.key, step, self.ties[step], condition)

    def _refuse(self, why: str) -> NoReturn:
        refuse(self.flow.name, self.key, why)


def attach(flow: Maker, key: str, parent: Step, tie: Tie, condition: Condition) -> None:
    """Let an edge count only where a condition holds. Raises InvalidFlow."""
    if tie.on != "success":
        refuse(flow.name, key, f"a condition on {parent.key!r} needs its result: use on='success'")
    if tie.condition is not None:
        refuse(
            flow.name, key, f"its edge from {parent.key!r} has a condition: {tie.condition.text}"
        )
    if flow.is_expander(parent):
        refuse(
            flow.name, key, f"{parent.key!r} is many tasks: put the condition on a task after it"
        )
    if parent.kind == "timer":
        refuse(flow.name, key, f"timer {parent.key!r} has no result to be asked about")
    tie.condition = condition


def links(flow: Maker, key: str, after: Any) -> Iterator[Link]:
    """Every step of an `after`, groups taken apart. Raises InvalidFlow for what is none."""
    listed: Iterable[Any] = after if isinstance(after, list | tuple | set) else (after,)
    for one in listed:
        if isinstance(one, Group):
            for step in one.ends:
                check_owner(flow, key, step)
                yield Link(step)
            continue
        link = Link(one) if isinstance(one, Step) else one
        if not isinstance(link, Link):
            refuse(flow.name, key, f"after={one!r:.60}: give steps and groups of this flow")
        check_owner(flow, key, link.step)
        yield link


def check_owner(flow: Maker, key: str, step: Step) -> None:
    """Raise InvalidFlow for a step of another flow."""
    if step.flow is not flow:
        refuse(
            flow.name,
            key,
            f"{step.key!r} belongs to flow {step.flow.name!r}: bring that in with include()",
            parent=step.key,
        )


def check_key(flow: str, key: object) -> str:
    """`key` itself when it may name a step. Raises InvalidName, InvalidFlow."""
    if not isinstance(key, str):
        refuse(flow, "", f"key={key!r:.60} is not text")
    return check_name("key", key)


def _marks(inputs: Mapping[str, Value]) -> dict[Step, set[str]]:
    found: dict[Step, set[str]] = {}
    for value in inputs.values():
        for one in inputs_of(value):
            found.setdefault(one.step, set()).add(one.mark)
    return found


def _implied(marks: set[str]) -> str:
    """After which end of a step a task comes that takes these things from it."""
    if marks == {""}:
        return "success"
    return "failure" if marks == {"!"} else "always"


def _is_amount(value: object) -> bool:
    return is_whole(value, 1, EDGES_INTO_MAX)
