"""Flows: a graph of tasks, described in Python and submitted at once.

    flow = Flow("audit")
    files = flow.task("list_files", {"repository": url})
    checked = flow.map("check", over=files["changed"], into="file")
    report = checked.reduce("summarize", into="findings")
    deep = flow.task("deep_audit", {"report": report}, when="quality_score < 0.8",
                     fallback=[("quick_audit", {"report": report})])
    flow.on_failure("page_somebody", {"flow": "audit"})
    handle = client.flows.run(flow)

A step given as an argument is its result, and an edge. Nothing is sent before the flow is run;
whatever cannot be carried out is refused here, with an InvalidFlow that names the node.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from coordq.names import check_name
from coordq.work.flow.answers import question
from coordq.work.flow.building import EDGE_WORDS, Building, listed, take_wanted
from coordq.work.flow.condition import Condition, all_of, parse
from coordq.work.flow.described import Described, about
from coordq.work.flow.graft import graft
from coordq.work.flow.orders import Asked
from coordq.work.flow.plan import FlowPlan
from coordq.work.flow.refusal import refuse
from coordq.work.flow.reserved import APPROVAL, EXPAND, SIGNAL, SYNTHESIZE, TIMER
from coordq.work.flow.step import ERROR, Either, Group, Input, Link, Step, Tie
from coordq.work.flow.ties import Tying, Wanted, attach, check_key, check_owner, links
from coordq.work.flow.weave import Weaver
from coordq.work.options import Seconds, seconds

TTL_S: Final = 3600
Task = Any
"""A task's name, or a function made with @agent.task."""


class Flow(Described, Building):
    """A graph of tasks that is being built.

    name: as `coordq.names` allows it; several flows may have the same.
    ttl: how long the flow and its tasks can be looked at after its end; seconds or a timedelta.
    description, labels: for people.
    options: what holds for all tasks that do not say otherwise, as in coordq.Options.

    Raises InvalidName, InvalidFlow, InvalidOption, InvalidTime.
    """

    ERROR = ERROR
    """In the arguments of a fallback: why the task before it failed."""

    def __init__(
        self,
        name: str,
        *,
        ttl: Seconds = TTL_S,
        description: str = "",
        labels: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(check_name("flow", name), options)
        self.ttl_s = math.ceil(seconds("ttl", ttl))
        self.about = about(name, description, labels)

    # -- tasks ---------------------------------------------------------------------------------

    def task(
        self,
        task: Task,
        /,
        args: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        fallback: Any = (),
        **options: Any,
    ) -> Step:
        """Add a task; arguments that are steps become inputs, and edges.

        key: its name in the flow; by default the task's own, with a number when that is taken.
        after: steps, groups and `step.link(...)`s that come first.
        on: after which end of its parents it runs: success (default), failure, always.
        if_failed: what a failed parent means: fail (it ends as cancelled), skip, continue (it
            runs, with null for the result).
        when, unless: a condition on the result of `of`, by default the first parent; where it does
            not hold the task is skipped.
        need: at least so many parents must succeed, the failures of others are ignored.
        first: it runs as soon as so many succeeded, without waiting for the others.
        cancel_losers: with `first`, the others are cancelled then; who runs is asked to stop.
        fallback: what runs in its place when it fails for good: a task, a (task, args) pair, a
            step, or a list of such, to be tried in order. Without arguments it gets the same.
        delay: seconds to wait after the parents.
        options: as in coordq.Options.

        Raises InvalidFlow, InvalidCondition, InvalidArguments, InvalidOption, InvalidName.
        """
        wanted = take_wanted(options)
        label = self._label(key, task)
        step = self._add(self._orders.ask(label, task, args, options), key, wanted)
        self._fall_back(step, fallback, args)
        return step

    def map(
        self,
        task: Task,
        /,
        over: Iterable[Any] | Step | Input,
        args: Mapping[str, Any] | None = None,
        *,
        into: str | None = None,
        key: str | None = None,
        **options: Any,
    ) -> Group:
        """Add a task for each member of a list, or of a parent's result once that is there.

        into: the parameter that takes the member; without it a member is a mapping of arguments.
        args: what all of them get. The keys are those of a list: "audit.0", "audit.1", ...
        options: as for `task`, for each of them. Of a map over a result, `after` and its like say
            when it is looked at.
        """
        label = self._label(key, task)
        if isinstance(over, Step | Input):
            return self._map_later(task, over, args, into=into, key=key, options=options)
        if isinstance(over, Either | str | bytes | Mapping) or not isinstance(over, Iterable):
            refuse(self.name, label, f"over={over!r:.60} is neither a list nor a step")
        prefix = self._map_key(key, task)
        steps = [
            self.task(task, self._own(prefix, one, args, into), key=f"{prefix}.{at}", **options)
            for at, one in enumerate(over)
        ]
        return Group(self, steps)

    def _own(self, key: str, member: Any, shared: Any, into: str | None) -> dict[str, Any]:
        """The arguments of one task of a map."""
        if into is not None:
            return {**(shared or {}), into: member}
        if not isinstance(member, Mapping):
            refuse(self.name, key, f"{member!r:.60} is no mapping of arguments: give into=")
        return {**(shared or {}), **member}

    def _map_later(
        self, task: Any, over: Any, args: Any, *, into: str | None, key: str | None, options: Any
    ) -> Group:
        """One node that makes the others once the parent's result is there, see `expand.py`."""
        label = self._label(key, task)
        if options.pop("fallback", ()):
            refuse(self.name, label, "a map over a result has no fallback: give its tasks retries")
        wanted = take_wanted(options)
        each = self._orders.ask(label, task, args, options, later=into or "*")
        spec = each.template.spec
        places = {"queue": spec.queue, "priority": spec.priority}
        template, _ = self._orders.template(label, EXPAND, places)
        inputs = {"over": over.result if isinstance(over, Step) else over}
        asked = Asked(EXPAND, template, 0, b"{}", inputs)
        step = self._add(asked, self._map_key(key, task, node=True), wanted, more=each.inputs)
        member = self._members[step]
        member.each_inputs = each.inputs
        member.each = {
            "key": step.key,
            "spec": each.template.text,
            "delay_ms": each.delay_ms,
            "args": json.loads(each.args),
            "into": into,
        }
        return Group(self, (), over=step)

    def join(
        self,
        task: Task,
        /,
        of: Any,
        args: Mapping[str, Any] | None = None,
        *,
        into: str | None = None,
        **options: Any,
    ) -> Step:
        """Add a task after several; with `into` it takes the list of their results, in order.

        of: a group, or a list of steps. Options as for `task`, among them need and first.
        """
        if into is None:
            after = [*listed(of), *listed(options.pop("after", ()))]
            return self.task(task, args, after=after, **options)
        return self.task(task, {**(args or {}), into: of}, **options)

    def synthesize(
        self,
        key: str,
        /,
        of: Any,
        *,
        same: str = "json",
        at_least: int | None = None,
        **options: Any,
    ) -> Step:
        """Add a step that puts the answers of others side by side: coordq.synthesize, as JSON.

        of: a group, or a list of steps, each an agent by its key. Who does not succeed is silent.
        same: what makes answers equal: json, or casefold for texts. Options as for `task`.
        at_least: how many must answer, else the step fails; one unless said, 0 to go on anyhow.
        """
        args, inputs = question(self.name, check_key(self.name, key), of, same, at_least)
        wanted = take_wanted(options)
        return self._add(self._orders.own(key, SYNTHESIZE, args, inputs, options), key, wanted)

    def chain(self, *parts: Any, into: str | None = None, **options: Any) -> Group:
        """Let steps come one after the other; what is not a step yet becomes one.

        parts: steps, tasks, or (task, args) and (task, args, options). With `into` each of the
        latter takes the result of the one before under that parameter. The options hold for all
        that become steps; `after` is for the first.
        """
        after = options.pop("after", ())
        made: list[Step] = []
        for part in parts:
            before = made[-1] if made else None
            if isinstance(part, Step):
                for link in links(self, part.key, before or after):
                    self.edge(link.step, part)
                made.append(part)
                continue
            task, args, own = self._part(part)
            taken = {into: before} if into is not None and before is not None else {}
            own = {"after": before or after, **options, **own}
            made.append(self.task(task, {**taken, **(args or {})}, **own))
        return Group(self, made)

    def group(self, *parts: Any, **options: Any) -> Group:
        """Put steps together, side by side; what is not a step yet becomes one, as in `chain`."""
        made: list[Step] = []
        for part in parts:
            if isinstance(part, Group):
                made += part
            elif isinstance(part, Step):
                made.append(part)
            else:
                task, args, own = self._part(part)
                made.append(self.task(task, args, **{**options, **own}))
        for step in made:
            check_owner(self, self.name, step)
        return Group(self, made)

    # -- edges ---------------------------------------------------------------------------------

    def edge(
        self,
        parent: Step,
        child: Step,
        /,
        *,
        on: str = "success",
        if_failed: str = "fail",
        when: Condition | str | None = None,
    ) -> None:
        """Let `child` come after `parent` as well. Raises InvalidFlow, InvalidCondition."""
        check_owner(self, self.name, child)
        link = Link(parent, on, if_failed if on == "success" else None, when)
        tie = Tying(self, child.key, Wanted(after=link)).tie({})[parent]
        ties = self._members[child].ties
        if ties.get(parent, Tie()) != Tie():
            refuse(self.name, child.key, f"it has an edge from {parent.key!r} already")
        ties[parent] = tie

    def branch(
        self, step: Step, /, *cases: tuple[Condition | str, Any], otherwise: Any = None
    ) -> Group:
        """Run the first of several whose condition holds for the result of `step`.

        cases: (condition, what to run), in order; `otherwise` runs when none holds. What to run is
        a step, a group, or a task as in `chain`. The rest is skipped.
        """
        refused: list[Condition] = []
        ways: list[Step] = []
        for given, way in cases:
            condition = parse(given) if not isinstance(given, Condition) else given
            ways += self._go(step, way, all_of([*refused, condition]))
            refused.append(condition.negated())
        if not refused:
            refuse(self.name, step.key, "a branch needs a case: (condition, what to run)")
        if otherwise is not None:
            ways += self._go(step, otherwise, all_of(refused))
        return Group(self, ways)

    def _go(self, step: Step, way: Any, condition: Condition) -> list[Step]:
        check_owner(self, self.name, step)
        if isinstance(way, Group) and way.over is not None:
            refuse(self.name, way.over.key, "a map over a result goes its own way: give it when=")
        targets = list(self.group(way))
        for target in targets:
            tie = self._members[target].ties.setdefault(step, Tie())
            attach(self, target.key, step, tie, condition)
        return targets

    # -- waits ---------------------------------------------------------------------------------

    def approval(self, key: str, /, message: str = "", **options: Any) -> Step:
        """Add a node that waits for somebody to approve it: `coordq approve`.

        It succeeds with the value that is given with the approval, and fails when it is rejected
        or, with `timeout`, not answered in time. Options are the edges of `task`.
        """
        if not isinstance(message, str):
            refuse(self.name, key, f"message={message!r:.60} is not text")
        return self._wait(key, APPROVAL, "approval", {"message": message}, options)

    def signal(self, name: str, /, *, key: str | None = None, **options: Any) -> Step:
        """Add a node that waits for a signal, and succeeds with its value.

        With `timeout` it fails when none has come by then. Options are the edges of `task`.
        """
        check_name("signal", name)
        return self._wait(key or name, SIGNAL, "signal", {"signal": name}, options, signal=name)

    def timer(self, delay: Seconds, /, *, key: str = "timer", **options: Any) -> Step:
        """Add a node that succeeds so many seconds after its parents, with null."""
        seconds("delay", delay, zero=False)
        return self._wait(self._free(key), TIMER, "timer", {}, {**options, "delay": delay})

    # -- other flows, and the end --------------------------------------------------------------

    def include(self, other: Flow, /, *, key: str | None = None, after: Any = ()) -> Group:
        """Add all steps of another flow, with "<its name>." before their keys.

        Those without parents come after `after`. The group has all of them, by their old keys;
        `other` stays as it is, and may be included again under another `key`.
        """
        prefix = key or self._free(
            other.name, lambda name: any(f"{name}.{one}" in self._keys for one in other.keys)
        )
        made = graft(self, prefix, other.members, tuple(links(self, prefix, after)))
        for member in made:
            self._take(member)
        return Group(self, [member.step for member in made])

    def on_success(
        self, task: Task, /, args: Mapping[str, Any] | None = None, **options: Any
    ) -> Step:
        """Add a task that runs once everything else has succeeded."""
        return self._callback("success", task, args, options)

    def on_failure(
        self, task: Task, /, args: Mapping[str, Any] | None = None, **options: Any
    ) -> Step:
        """Add a task that runs once something has failed for good, and all else has ended.

        It hears of the failure and does not mend it: the flow fails all the same.
        """
        return self._callback("failure", task, args, options)

    def plan(self, shard: int = 0) -> FlowPlan:
        """The flow as it is submitted, with ids: each plan is a flow of its own.

        Raises InvalidFlow, with the path of a cycle; PayloadTooLarge.
        """
        told = {what: value for what, value in self.about.items() if value}
        return Weaver(self.name, self._members).weave(told, self.ttl_s, shard)

    def _callback(self, hears: str, task: Task, args: Any, options: dict[str, Any]) -> Step:
        label = self._label(options.get("key"), task)
        for word in (*EDGE_WORDS, "fallback"):
            if word in options:
                refuse(self.name, label, f"on_{hears} has no {word}=: it comes after everything")
        step = self.task(task, args, **options)
        member = self._members[step]
        member.hears = hears
        for parent, tie in member.ties.items():
            if tie.on != hears:
                what = "results" if hears == "success" else "errors, such as step.error"
                refuse(self.name, step.key, f"from {parent.key!r} on_{hears} may take only {what}")
            tie.policy = "skip" if hears == "success" else "ignore"
        return step
