"""Flow files: a flow as YAML or JSON, for the command line.

    name: audit
    options: {queue: audits}             # of all tasks that do not say otherwise
    tasks:
      list_files:
        args: {repository: "${repository}"}
      check:
        map: {over: list_files.changed, into: file}
      summarize:
        inputs: {findings: check}
        if_failed: continue
      deep_audit:
        inputs: {report: summarize}
        when: quality_score < 0.8
        timeout: 5m
        fallback: [{task: quick_audit, inputs: {report: summarize, why: $error}}]
      ship: {approval: "Ship it?", after: deep_audit}
    on_failure: {task: page}

A task's key is its name unless `task` says another. `inputs` are results of other tasks: `key`,
`key.field.0`, `key!` for the error, `key?` for the result or null, `key=` for how it ended,
`a | b` for the first of both, and lists of such; YAML wants those with a ? or ! in quotes when they
stand in braces. `verdict: {synthesize: [ada, bob]}`, or `{synthesize: {of: ask, same: casefold}}`,
puts answers side by side. Tasks may stand in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from coordq.work.flow.build import Flow
from coordq.work.flow.building import EDGE_WORDS
from coordq.work.flow.order import ordered
from coordq.work.flow.plan import ON, POLICIES
from coordq.work.flow.step import ERROR, Either, Group, Input, Step
from coordq.work.flow.told import Told, nearest
from coordq.work.flow.written import fill, read_data, read_text
from coordq.work.flow.written import refuse as refuse_file
from coordq.work.options import NAMES

_TOP: Final = (
    "name", "description", "labels", "ttl", "options", "parameters", "tasks", "returns",
    "on_success", "on_failure", "milestones",
)  # fmt: skip
_KINDS: Final = ("approval", "signal", "timer", "map", "synthesize")
_TASK: Final = ("task", "args", "inputs", "fallback", *_KINDS, *EDGE_WORDS, *NAMES)
_FALLBACK: Final = ("task", "args", "inputs", "key", *NAMES)
_CALLBACK: Final = ("task", "args", "inputs", "key", *NAMES)
_LINK: Final = ("task", "on", "if_failed", "when")
_MAP: Final = ("over", "into")
_MILESTONE: Final = ("name", "needs", "by")
_SYNTHESIZE: Final = ("of", "same", "at_least")
_MARKS: Final = ("?", "!", "=")
_ERROR_WORD: Final = "$error"


def read_file(path: Path, given: Mapping[str, str] | None = None) -> Flow:
    """The flow that a file describes; `given` stands for its ${name}s. Raises InvalidInput."""
    return parse_file(read_text(path), path, given)


def parse_file(text: str, path: Path, given: Mapping[str, str] | None = None) -> Flow:
    """Like `read_file`, for a text that was read from `path`."""
    data = read_data(text, path)
    defaults = data.pop("parameters", {})
    if not isinstance(defaults, dict) or not all(isinstance(v, str) for v in defaults.values()):
        refuse_file(path, 'parameters: write names with texts, such as {depth: "2"}')
    filled = fill(data, {**defaults, **(given or {})}, path)
    return _Reader(path).read(filled)


class _Reader(Told):
    """Turns the data of one file into a flow."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.tasks: dict[str, dict[str, Any]] = {}
        self.made: dict[str, Step | Group] = {}

    def read(self, data: dict[str, Any]) -> Flow:
        self.known("", data, _TOP)
        if not isinstance(data.get("name"), str):
            self.refuse("name", "write what the flow is called")
        tasks = data.get("tasks")
        if not isinstance(tasks, dict) or not tasks:
            self.refuse("tasks", "write at least one task, by its key")
        self.tasks = {key: self._task(key, value) for key, value in tasks.items()}
        flow = self.tried("", lambda: self._flow(data))
        before = {key: self._before(key, task) for key, task in self.tasks.items()}
        for key in self.tried("tasks", lambda: ordered(flow.name, before, str)):
            place = f"tasks.{key}"
            self.made[key] = self.tried(place, lambda: self._make(flow, key, self.tasks[key]))  # noqa: B023 - used at once
        for word, add in (("on_success", flow.on_success), ("on_failure", flow.on_failure)):
            if word in data:
                self.tried(word, lambda: self._callback(add, word, data[word]))  # noqa: B023 - used at once
        for at, milestone in enumerate(self.listed("milestones", data.get("milestones", []))):
            self._milestone(flow, f"milestones[{at}]", milestone)
        if data.get("returns") is not None:
            returned: Any = self.made[self._key("returns", data["returns"])]
            self.tried("returns", lambda: flow.returns(returned))
        return flow

    def _flow(self, data: dict[str, Any]) -> Flow:
        options = self.options("options", self.mapping("options", data.get("options", {})), NAMES)
        ttl = {"ttl": self.span("ttl", data["ttl"])} if "ttl" in data else {}
        return Flow(
            data["name"],
            description=data.get("description", ""),
            labels=self.mapping("labels", data.get("labels", {})),
            **ttl,
            **options,
        )

    # -- tasks ---------------------------------------------------------------------------------

    def _task(self, key: str, value: Any) -> dict[str, Any]:
        place = f"tasks.{key}"
        task: dict[str, Any] = {} if value is None else self.mapping(place, value)
        self.known(place, task, _TASK)
        kinds = [kind for kind in _KINDS if kind in task]
        if len(kinds) > 1:
            self.refuse(place, f"it cannot be {' and '.join(kinds)} at once")
        return task

    def _before(self, key: str, task: Mapping[str, Any]) -> list[str]:
        """The keys of all that has to be made before a task."""
        place = f"tasks.{key}"
        found = [self._link_key(place, one) for one in self.several(task.get("after", ()))]
        found += [self._key(place, task["of"])] if "of" in task else []
        found += self._input_keys(place, task.get("inputs", {}))
        for one in self.several(task.get("fallback", ())):
            if isinstance(one, str) and one in self.tasks:
                found.append(one)
            elif isinstance(one, dict):
                found += self._input_keys(place, one.get("inputs", {}))
        found += [self._key(place, one) for one in self.several(self._answering(place, task)["of"])]
        over = task["map"].get("over") if isinstance(task.get("map"), dict) else None
        if isinstance(over, str):
            found.append(self._ref(f"{place}.map.over", over)[0])
        return found

    def _make(self, flow: Flow, key: str, task: dict[str, Any]) -> Step | Group:
        place = f"tasks.{key}"
        edges: dict[str, Any] = {word: task[word] for word in EDGE_WORDS if word in task}
        if "after" in edges:
            edges["after"] = [self._link(place, one) for one in self.several(edges["after"])]
        if "of" in edges:
            edges["of"] = self.made[self._key(place, edges["of"])]
        options = {**edges, **self.options(place, task, (*_TASK,))}
        own = self._own(flow, key, task, options)
        if own is not None:
            return own
        name, args = task.get("task", key), self._args(place, task)
        fallback = [self._fallback(place, one) for one in self.several(task.get("fallback", ()))]
        if fallback:
            options["fallback"] = fallback
        if "map" not in task:
            return flow.task(name, args, key=key, **options)
        mapped = self.mapping(f"{place}.map", task["map"])
        self.known(f"{place}.map", mapped, _MAP)
        over: Any = mapped.get("over")
        return flow.map(
            name,
            self._input(f"{place}.map.over", over) if isinstance(over, str) else over,
            args,
            into=mapped.get("into"),
            key=key,
            **options,
        )

    def _own(
        self, flow: Flow, key: str, task: Mapping[str, Any], options: dict[str, Any]
    ) -> Step | None:
        """A step that needs no handler; None for others."""
        place = f"tasks.{key}"
        if "approval" in task:
            return flow.approval(key, task["approval"], **options)
        if "timer" in task:
            return flow.timer(self.span(f"{place}.timer", task["timer"]), key=key, **options)
        if "signal" in task:
            return flow.signal(task["signal"], key=key, **options)
        if "synthesize" not in task:
            return None
        asked = self._answering(place, task)
        made = [self.made[one] for one in self.several(asked["of"])]
        of = made[0] if len(made) == 1 else made
        terms = {word: asked[word] for word in _SYNTHESIZE[1:] if word in asked}
        return flow.synthesize(key, of, **terms, **options)

    def _answering(self, place: str, task: Mapping[str, Any]) -> dict[str, Any]:
        """Whose answers are put side by side, and how."""
        told = task.get("synthesize", ())
        asked: dict[str, Any] = told if isinstance(told, dict) else {"of": told}
        self.known(f"{place}.synthesize", asked, _SYNTHESIZE)
        return {"of": (), **asked}

    def _fallback(self, place: str, one: Any) -> Any:
        if isinstance(one, str):
            return self.made.get(one, one)
        place = f"{place}.fallback"
        task = self.mapping(place, one)
        self.known(place, task, _FALLBACK)
        if "task" not in task:
            self.refuse(place, "it has no task: write {task: <name>}")
        args = self._args(place, task) if "args" in task or "inputs" in task else None
        key = {"key": task["key"]} if "key" in task else {}
        return task["task"], args, {**key, **self.options(place, task, _FALLBACK)}

    def _callback(self, add: Callable[..., Step], word: str, value: Any) -> Step:
        task = {"task": value} if isinstance(value, str) else self.mapping(word, value)
        self.known(word, task, _CALLBACK)
        if "task" not in task:
            self.refuse(word, "it has no task: write {task: <name>}")
        key = {"key": task["key"]} if "key" in task else {}
        return add(
            task["task"], self._args(word, task), **key, **self.options(word, task, _CALLBACK)
        )

    def _milestone(self, flow: Flow, place: str, value: Any) -> None:
        told = self.mapping(place, value)
        self.known(place, told, _MILESTONE)
        needs = [self.made[self._key(place, one)] for one in self.several(told.get("needs", ()))]
        by = told.get("by")
        if isinstance(by, str):
            by = self.tried(f"{place}.by", lambda: _moment(told["by"]))
            if by is None:
                self.refuse(f"{place}.by", "write a moment with a zone: 2026-01-31T18:00:00+01:00")
        self.tried(place, lambda: flow.milestone(told.get("name", ""), needs=needs, by=by))

    # -- values --------------------------------------------------------------------------------

    def _args(self, place: str, task: Mapping[str, Any]) -> dict[str, Any]:
        args = self.mapping(f"{place}.args", task.get("args") or {})
        inputs = self.mapping(f"{place}.inputs", task.get("inputs") or {})
        for name in inputs:
            if name in args:
                self.refuse(f"{place}.inputs.{name}", "it stands in args as well")
        return {
            **args,
            **{name: self._input(f"{place}.inputs.{name}", one) for name, one in inputs.items()},
        }

    def _input(self, place: str, value: Any) -> Any:
        if isinstance(value, list):
            return [self._input(place, one) for one in value]
        if value == _ERROR_WORD:
            return ERROR
        found = [self._single(place, one) for one in str(value).split("|")]
        if len(found) == 1:
            return found[0]
        inputs = [one.result if isinstance(one, Step) else one for one in found]
        if not all(isinstance(one, Input) for one in inputs):
            self.refuse(place, "a map cannot stand beside others: give it alone")
        return Either(tuple(one for one in inputs if isinstance(one, Input)))

    def _single(self, place: str, text: str) -> Step | Group | Input:
        key, mark, path = self._ref(place, text)
        made = self.made[key]
        if isinstance(made, Group):
            if mark or path:
                if mark == "=" and not path:
                    return made.settled
                self.refuse(place, f"{key} is many tasks: take all of it, as {key}")
            return made
        return Input(made, mark, path) if mark or path else made

    def _ref(self, place: str, text: Any) -> tuple[str, str, tuple[str, ...]]:
        """Key, mark and path of an input. The longest key counts, since keys may hold dots."""
        if not isinstance(text, str):
            self.refuse(place, "write the key of a task")
        bare = text.strip()
        mark = bare[-1] if bare.endswith(_MARKS) else ""
        words = bare.removesuffix(mark).split(".")
        for length in range(len(words), 0, -1):
            key = ".".join(words[:length])
            own = key[-1] if key.endswith(_MARKS) else ""
            if key.removesuffix(own) in self.tasks:
                return key.removesuffix(own), mark or own, tuple(words[length:])
        return self.refuse(place, f"there is no task {words[0]!r}{nearest(words[0], self.tasks)}")

    def _input_keys(self, place: str, inputs: Any) -> list[str]:
        return [
            self._ref(f"{place}.inputs.{name}", one)[0]
            for name, value in self.mapping(f"{place}.inputs", inputs or {}).items()
            for text in self.several(value)
            for one in str(text).split("|")
            if one != _ERROR_WORD
        ]

    def _key(self, place: str, key: Any) -> str:
        if not isinstance(key, str) or key not in self.tasks:
            self.refuse(place, f"there is no task {key!r}{nearest(key, self.tasks)}")
        return key

    def _link_key(self, place: str, one: Any) -> str:
        return self._key(f"{place}.after", one.get("task") if isinstance(one, dict) else one)

    def _link(self, place: str, one: Any) -> Any:
        made = self.made[self._link_key(place, one)]
        if not isinstance(one, dict):
            return made
        place = f"{place}.after"
        self.known(place, one, _LINK)
        if not isinstance(made, Step):
            self.refuse(place, f"{one['task']} is many tasks: write on and if_failed beside after")
        self.word(place, "on", one.get("on"), ON)
        self.word(place, "if_failed", one.get("if_failed"), POLICIES)
        return made.link(on=one.get("on"), if_failed=one.get("if_failed"), when=one.get("when"))


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
