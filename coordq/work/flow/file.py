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
      publish: {flow: site/publish.yaml, set: {where: "${repository}"}, after: ship}
    returns: summarize
    on_failure: {task: page}

A task's key is its name unless `task` says another. `inputs` are results of other tasks: `key`,
`key.field.0`, `key!` for the error, `key?` for the result or null, `key=` for how it ended,
`a | b` for the first of both, and lists of such; YAML wants those with a ? or ! in quotes when they
stand in braces. `verdict: {synthesize: [ada, bob]}`, or `{synthesize: {of: ask, same: casefold}}`,
puts answers side by side. Tasks may stand in any order.

`flow` takes in another file of this folder or of one in it (see `within.py`), or a flow that stands
right there: `{flow: {tasks: {...}, returns: ...}}`. Its tasks are `publish.<key>` here; as an input
`publish` is what it `returns`, and after `publish` is after all of it. The options of this file
hold for a flow that stands in it, not for other files; their ttl and labels do not count here.
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
from coordq.work.flow.within import Part, Shelf
from coordq.work.flow.written import fill, read_data, read_text
from coordq.work.flow.written import refuse as refuse_file
from coordq.work.options import NAMES

_TOP: Final = (
    "name", "description", "labels", "ttl", "options", "parameters", "tasks", "returns",
    "on_success", "on_failure", "milestones",
)  # fmt: skip
_KINDS: Final = ("approval", "signal", "timer", "map", "synthesize", "flow")
_TASK: Final = ("task", "args", "inputs", "fallback", "set", *_KINDS, *EDGE_WORDS, *NAMES)
_PART: Final = ("flow", "set", "after")
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
    return _Reader(path, Shelf.of(path)).read(_filled(text, path, given or {}))


def _filled(
    text: str, path: Path, given: Mapping[str, str], *, by: str = "--set {}=..."
) -> dict[str, Any]:
    data = read_data(text, path)
    defaults = data.pop("parameters", {})
    if not isinstance(defaults, dict) or not all(isinstance(v, str) for v in defaults.values()):
        refuse_file(path, 'parameters: write names with texts, such as {depth: "2"}')
    found: dict[str, Any] = fill(data, {**defaults, **given}, path, by=by)
    return found


class _Reader(Told):
    """Turns the data of one file, or of a flow that stands in it, into a flow."""

    def __init__(self, path: Path, shelf: Shelf, within: str = "") -> None:
        super().__init__(path, within)
        self.shelf = shelf
        self.tasks: dict[str, dict[str, Any]] = {}
        self.parts: dict[str, Part] = {}
        self.inner: dict[str, str] = {}
        """Names of tasks of parts, and whose they are."""
        self.made: dict[str, Step | Group] = {}
        self.ends: dict[str, Group] = {}
        """Of each part, what has to end before it has."""

    def read(self, data: dict[str, Any]) -> Flow:
        self.known("", data, _TOP)
        if not isinstance(data.get("name"), str):
            self.refuse("name", "write what the flow is called")
        tasks = data.get("tasks")
        if not isinstance(tasks, dict) or not tasks:
            self.refuse("tasks", "write at least one task, by its key")
        self.tasks = {key: self._task(key, value) for key, value in tasks.items()}
        self._read_parts(data)
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

    # -- flows in the flow ---------------------------------------------------------------------

    def _read_parts(self, data: dict[str, Any]) -> None:
        for key, task in self.tasks.items():
            if "flow" in task:
                self.known(f"tasks.{key}", task, _PART)
                self.parts[key] = self._part(key, task, data.get("options", {}))
                self.inner |= dict.fromkeys(self.parts[key].names(key), key)

    def _part(self, key: str, task: dict[str, Any], options: Any) -> Part:
        place, told = f"tasks.{key}.flow", task["flow"]
        if isinstance(told, dict):
            if "parameters" in told:
                self.refuse(f"{place}.parameters", "write them at the top of the file")
            reader = _Reader(self.path, self.shelf, self._whole(place))
            shared = self.mapping("options", options)
            own = {**shared, **reader.mapping("options", told.get("options", {}))}
            return Part(reader.read({"name": key, **told, "options": own}), reader.made)
        if not isinstance(told, str) or not told:
            self.refuse(place, "write the path of a flow file, or a flow with its tasks")
        given = self.mapping(f"tasks.{key}.set", task.get("set", {}))
        if not all(isinstance(value, str) for value in given.values()):
            self.refuse(f"tasks.{key}.set", 'write names with texts, such as {depth: "2"}')
        path, shelf = self.shelf.find(self, place, told)
        reader, by = (
            _Reader(path, shelf),
            f"`set: {{{{{{}}: ...}}}}` where {self.path.name} names it",
        )
        return Part(reader.read(_filled(read_text(path), path, given, by=by)), reader.made)

    def _put(self, flow: Flow, key: str, task: Mapping[str, Any]) -> Step | Group:
        place = f"tasks.{key}"
        part = self.parts[key]
        after = [self._link(place, one) for one in self.several(task.get("after", ()))]
        self.made |= part.put(flow, key, after)
        self.ends[key] = part.ends(flow, key)
        return part.returned(flow, key) or self.ends[key]

    # -- tasks ---------------------------------------------------------------------------------

    def _task(self, key: str, value: Any) -> dict[str, Any]:
        place = f"tasks.{key}"
        task: dict[str, Any] = {} if value is None else self.mapping(place, value)
        self.known(place, task, _TASK)
        kinds = [kind for kind in _KINDS if kind in task]
        if len(kinds) > 1:
            self.refuse(place, f"it cannot be {' and '.join(kinds)} at once")
        if "set" in task and not isinstance(task.get("flow"), str):
            self.refuse(f"{place}.set", "it is for a flow of another file: write flow: <its path>")
        return task

    def _before(self, key: str, task: Mapping[str, Any]) -> list[str]:
        """The keys of all that has to be made before a task."""
        place = f"tasks.{key}"
        found = [self._link_key(place, one) for one in self.several(task.get("after", ()))]
        found += [self._key(place, task["of"])] if "of" in task else []
        found += self._input_keys(place, task.get("inputs", {}))
        for one in self.several(task.get("fallback", ())):
            if isinstance(one, str) and (one in self.tasks or one in self.inner):
                found.append(self._key(place, one))
            elif isinstance(one, dict):
                found += self._input_keys(place, one.get("inputs", {}))
        found += [self._key(place, one) for one in self.several(self._answering(place, task)["of"])]
        over = task["map"].get("over") if isinstance(task.get("map"), dict) else None
        if isinstance(over, str):
            found.append(self._ref(f"{place}.map.over", over)[0])
        return [self.inner.get(one, one) for one in found]

    def _make(self, flow: Flow, key: str, task: dict[str, Any]) -> Step | Group:
        if "flow" in task:
            return self._put(flow, key, task)
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
            if one in self.parts or one in self.inner:
                self.refuse(f"{place}.fallback", f"{one} is, or is in, a flow: name a task")
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
        if made is self.ends.get(key):
            what = f"a task of it, such as {key}.{next(iter(self.parts[key].made))}"
            self.refuse(place, f"flow {key} returns nothing: write `returns:` there, or {what}")
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
            if key.removesuffix(own) in self.tasks or key.removesuffix(own) in self.inner:
                return key.removesuffix(own), mark or own, tuple(words[length:])
        first = bare if words[0] in self.parts else words[0]
        return self.refuse(place, f"there is no task {first!r}{self._nearest(first)}")

    def _nearest(self, key: Any) -> str:
        return nearest(key, [*self.tasks, *self.inner])

    def _input_keys(self, place: str, inputs: Any) -> list[str]:
        return [
            self._ref(f"{place}.inputs.{name}", one)[0]
            for name, value in self.mapping(f"{place}.inputs", inputs or {}).items()
            for text in self.several(value)
            for one in str(text).split("|")
            if one != _ERROR_WORD
        ]

    def _key(self, place: str, key: Any) -> str:
        if not isinstance(key, str) or (key not in self.tasks and key not in self.inner):
            self.refuse(place, f"there is no task {key!r}{self._nearest(key)}")
        return key

    def _link_key(self, place: str, one: Any) -> str:
        return self._key(f"{place}.after", one.get("task") if isinstance(one, dict) else one)

    def _link(self, place: str, one: Any) -> Any:
        key = self._link_key(place, one)
        made: Step | Group = self.ends.get(key) or self.made[key]
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
