"""Flows that cannot be carried out are refused before anything is sent, with what to do instead."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from coordq.errors import InvalidFlow, InvalidInput
from coordq.work.agent import Agent
from coordq.work.flow.build import Flow
from coordq.work.flow.condition import parse
from coordq.work.flow.file import parse_file
from coordq.work.flow.plan import EDGES_INTO_MAX
from coordq.work.flow.step import Step

agent = Agent("auditor")


@agent.task
def audit(path: str, depth: int = 1) -> int:
    """How bad it is."""
    return len(path) * depth


def two(flow: Flow) -> tuple[Step, Step]:
    """A step and the one after it."""
    first = flow.task("fetch")
    return first, flow.task("parse", after=first)


def cycle(flow: Flow) -> None:
    """Three that come after each other, in a ring."""
    first, second = two(flow)
    flow.edge(flow.task("third", after=second), first)


def fallback_cycle(flow: Flow) -> None:
    """Two that stand in for each other."""
    first = flow.task("a")
    second = flow.task("b", fallback=first)
    flow.task("c", fallback=[second, first])


def after_callback(flow: Flow) -> None:
    """A task after the end of everything."""
    flow.task("a")
    flow.task("b", after=flow.on_failure("tell"))


def unrelated_input(flow: Flow) -> None:
    """A fallback that wants what need not be there yet."""
    other = flow.task("other")
    flow.task("main", fallback=[("rescue", {"x": other})])


def late_edge(flow: Flow) -> None:
    """An edge into a fallback."""
    first, _ = two(flow)
    flow.task("main", fallback="rescue")
    flow.edge(first, flow["main.fallback"])


def many_parents(flow: Flow) -> None:
    """One more than may be."""
    flow.join("sum", [flow.task("x", key=f"x{at}") for at in range(EDGES_INTO_MAX + 1)])


BAD_FLOWS: list[tuple[Callable[[Flow], object], str, str]] = [
    # the graph
    (lambda f: f.plan(), "invalid-flow", "flow 'f': it has no tasks"),
    (cycle, "invalid-flow", "tasks wait for each other: fetch -> parse -> third -> fetch"),
    (lambda f: f.edge(a := f.task("a"), a), "invalid-flow", "'a': it waits for itself"),
    (fallback_cycle, "invalid-flow", "it stands in for"),
    (many_parents, "invalid-flow", "10,001 tasks; 10,000 are allowed: join them in groups"),
    (after_callback, "invalid-flow", "'b': nothing can come after the callback 'tell'"),
    (lambda f: f.task("b", after=Flow("g").task("a")), "invalid-flow", "belongs to flow 'g'"),
    (lambda f: f.task("b", {"x": Flow("g").task("a")}), "invalid-flow", "bring that in with incl"),
    (lambda f: f.task("b", after="a"), "invalid-flow", "after='a': give steps and groups"),
    (lambda f: f.task("b", after=[a := f.task("a"), a]), "invalid-flow", "after 'a' twice"),
    (lambda f: [f.task("a", key="x"), f.task("b", key="x")], "invalid-flow", "with this key alr"),
    (lambda f: f.task("a", key="a b"), "invalid-name", "key name 'a b' is not allowed"),
    (lambda f: f.task("a", key=7), "invalid-flow", "key=7 is not text"),  # type: ignore[arg-type]
    (lambda f: f.task("a b"), "invalid-name", "task name 'a b' is not allowed"),
    (lambda f: f.task("coordq.timer"), "invalid-flow", "begin with 'coordq.' are coordq's own"),
    (lambda f: f.task(two), "invalid-flow", "'two' is no task: give a task's name, or a function"),
    (lambda f: f["a"], "invalid-flow", "'a': there is no such step"),
    # edges
    (lambda f: f.task("b", after=f.task("a"), on="end"), "invalid-flow", "use one of success, fa"),
    (lambda f: f.task("b", after=f.task("a"), if_failed="no"), "invalid-flow", "use fail, skip,"),
    (
        lambda f: f.task("b", after=f.task("a"), if_failed="ignore"),
        "invalid-flow",
        "write need=1",
    ),
    (
        lambda f: f.task("b", after=f.task("a").link(on="failure", if_failed="skip")),
        "invalid-flow",
        "if_failed='skip' goes with on='success'",
    ),
    (lambda f: f.task("b", after=f.task("a"), need=2), "invalid-flow", "it needs 2 of 1 parents"),
    (lambda f: f.task("b", after=f.task("a"), need=0), "invalid-flow", "need=0: give a number"),
    (lambda f: f.task("b", after=f.task("a"), first=True), "invalid-flow", "first=True: give"),
    (lambda f: f.task("b", after=f.task("a"), need=1, first=1), "invalid-flow", "give one"),
    (lambda f: f.task("b", after=f.task("a"), cancel_losers=True), "invalid-flow", "say both"),
    (
        lambda f: f.task("b", after=f.task("a"), first=1, cancel_losers="yes"),
        "invalid-flow",
        "say True or False",
    ),
    (
        lambda f: f.task("b", after=f.task("a"), need=1, if_failed="skip"),
        "invalid-flow",
        "leave if_failed out",
    ),
    (
        lambda f: f.edge(*two(f), if_failed="skip") or f.edge(*f),  # type: ignore[func-returns-value]
        "invalid-flow",
        "it has an edge from 'fetch' already",
    ),
    # conditions
    (lambda f: f.task("b", when="x > 1"), "invalid-flow", "about a parent's result: give after="),
    (lambda f: f.task("b", after=f.task("a"), of=f["a"]), "invalid-flow", "give when= or unless="),
    (lambda f: f.task("b", of="a", when="x"), "invalid-flow", "of='a': give one step"),
    (lambda f: f.task("b", after=f.task("a"), when="x", unless="y"), "invalid-flow", "are given b"),
    (
        lambda f: f.task("b", after=f.task("a"), on="failure", when="x"),
        "invalid-flow",
        "needs its result: use on='success'",
    ),
    (lambda f: f.task("b", after=f.timer(1), when="x"), "invalid-flow", "has no result"),
    (
        lambda f: f.map("b", f.task("a"), into="x").reduce("c", when="x"),
        "invalid-flow",
        "'b' is many tasks: put the condition on a task after it",
    ),
    (lambda f: f.branch(f.task("a")), "invalid-flow", "a branch needs a case"),
    (
        lambda f: [f.branch(f.task("a"), ("x", "b")), f.branch(f["a"], ("y", f["b"]))],
        "invalid-flow",
        "has a condition: x",
    ),
    (lambda f: f.branch(f.task("a"), ("x >", "b")), "invalid-condition", "cannot be read"),
    # arguments
    (lambda f: f.task("b", [1]), "invalid-flow", "arguments are a mapping by p"),  # type: ignore[arg-type]
    (lambda f: f.task("b", {"x": {1}}), "invalid-arguments", "x is set, which is not JSON"),
    (lambda f: f.task("b", {"x": math.nan}), "invalid-arguments", "NaN and infinity are not JSON"),
    (lambda f: f.task("b", {"x": "y" * 2**20}), "payload-too-large", "1,048,576 are allowed"),
    (lambda f: f.task("b", {"$from": {}}), "invalid-flow", "'$from' is no parameter"),
    (
        lambda f: f.task("b", {"x": {"y": [f.task("a")]}}),
        "invalid-flow",
        "x.y[0] is a step inside an argument: give it as a parameter of its own",
    ),
    (lambda f: f.task("b", {"x": [f.task("a"), 1]}), "invalid-flow", "mixes steps with plain"),
    (lambda f: f.task("b", {"x": [f.group("a")]}), "invalid-flow", "give the group itself"),
    (lambda f: f.task("b", {"x": f.task("a")[-1]}), "invalid-flow", "count from the start"),
    (lambda f: f.task("b", {"x": f.task("a")[1.5]}), "invalid-flow", "neither a field nor a num"),  # type: ignore[index]
    (lambda f: f.task("a") | 3, "invalid-flow", "cannot stand beside a step's result"),  # type: ignore[operator]
    (lambda f: f.task("b", {"x": Flow.ERROR}), "invalid-flow", "Flow.ERROR is for fallbacks"),
    (
        lambda f: f.task("b", {"x": f.task("a")}, on="failure"),
        "invalid-flow",
        "argument x: 'a' has no result when it failed: use its .error",
    ),
    (
        lambda f: f.task("b", {"x": f.task("a").error}, on="success"),
        "invalid-flow",
        "it runs only if 'a' succeeded: use on='failure'",
    ),
    (lambda f: f.task(audit), "invalid-arguments", "argument 'path': it is required"),
    (lambda f: f.task(audit, {"path": 3}), "invalid-arguments", "'path': Input should be a valid"),
    (lambda f: f.task(audit, {"path": "p", "x": f.task("a")}), "invalid-arguments", "no such par"),
    (lambda f: f.task(audit, {"depth": f.task("a")}), "invalid-arguments", "'path': it is requi"),
    # options
    (lambda f: f.task("b", priorty="high"), "invalid-option", "did you mean 'priority'?"),
    (lambda f: f.task("b", unique="k"), "invalid-flow", "unique= cannot be used in a flow"),
    (lambda f: f.task("b", at=2e9), "invalid-flow", "put a timer before it"),
    (lambda f: f.task("b", id="x"), "invalid-flow", "the flow gives its tasks their ids"),
    (lambda f: f.task("b", on_full="shed"), "invalid-flow", "a flow is taken as a whole"),
    (lambda f: f.task("b", delay=-1), "invalid-time", "a time must not be negative"),
    (lambda _: Flow("f", queue="a b"), "invalid-name", "queue name 'a b'"),
    (lambda _: Flow("f", ttl=-1), "invalid-time", "ttl=-1"),
    (lambda _: Flow("f", description="x" * 10_001), "invalid-flow", "at most 10,000"),
    (lambda _: Flow("f", labels={"a": 1}), "invalid-flow", "labels: give texts by name"),  # type: ignore[dict-item]
    (lambda _: Flow(""), "invalid-name", "flow name ''"),
    # maps, chains, fallbacks, waits
    (lambda f: f.map("a", "abc", into="x"), "invalid-flow", "neither a list nor a step"),
    (lambda f: f.map("a", [1, 2]), "invalid-flow", "1 is no mapping of arguments: give into="),
    (lambda f: f.map("a", f.task("l"), fallback="b"), "invalid-flow", "has no fallback"),
    (lambda f: list(f.map("a", f.task("l"))), "invalid-flow", "its tasks are known when its input"),
    (
        lambda f: [f.map("a", [], key="k"), f.map("b", [], key="k")],
        "invalid-flow",
        "there is a map w",
    ),
    (
        lambda f: f.branch(f.task("a"), ("x", f.map("m", f["a"]))),
        "invalid-flow",
        "own way: give it wh",
    ),
    (lambda f: f.group("a")["b"], "invalid-flow", "the group has no such step"),
    (lambda f: f.chain(("a", 3)), "invalid-flow", "give a task, (task, args), or"),
    (lambda f: f.task("a", fallback=[("b", {}, {"after": ()})]), "invalid-flow", "has no after="),
    (lambda f: f.task("a", fallback=f.on_failure("b")), "invalid-flow", "neither a callback nor"),
    (unrelated_input, "invalid-flow", "'other' need not have ended when it runs"),
    (late_edge, "invalid-flow", "it stands in for 'main' and comes after nothing else"),
    (lambda f: f.on_failure("a", after=f.task("b")), "invalid-flow", "it comes after everything"),
    (lambda f: f.on_failure("a", {"x": f.task("b")}), "invalid-flow", "may take only errors"),
    (lambda f: f.on_success("a", {"x": f.task("b").error}), "invalid-flow", "take only results"),
    (lambda f: f.include(_with_callback()), "invalid-flow", "about a whole flow: it stays outside"),
    (lambda f: f.timer(0), "invalid-time", "delay=0"),
    (lambda f: f.timer("5m"), "invalid-time", "give seconds or a timedelta"),  # type: ignore[arg-type]
    (lambda f: f.approval("ok", 3), "invalid-flow", "message=3 is not text"),  # type: ignore[arg-type]
    (lambda f: f.signal("a b"), "invalid-name", "signal name 'a b'"),
    (lambda f: f.returns("a"), "invalid-flow", "give one step, such as a join"),  # type: ignore[arg-type]
    (lambda f: f.returns(f.group("a")), "invalid-flow", "cannot return <Group of 1"),  # type: ignore[arg-type]
    (lambda f: f.returns(Flow("g").task("b")), "invalid-flow", "'b' belongs to flow 'g'"),
    (lambda f: f.returns(f.on_failure("b")), "invalid-flow", "neither a callback nor a map can be"),
    (
        lambda f: f.returns(f.task("a")) or f.returns(f.task("b")),  # type: ignore[func-returns-value]
        "invalid-flow",
        "the flow returns 'a' already",
    ),
    (lambda f: f.milestone("", needs=[f.task("a")]), "invalid-flow", "give it a name"),
    (lambda f: f.milestone("m", needs=[]), "invalid-flow", "milestone 'm' needs steps"),
    (
        lambda f: f.milestone("m", needs=f.task("a"), by=datetime(2026, 1, 1)),  # noqa: DTZ001
        "invalid-time",
        "has no time zone",
    ),
]


def _with_callback() -> Flow:
    flow = Flow("sub")
    flow.task("a")
    flow.on_failure("b")
    return flow


@pytest.mark.parametrize(("build", "code", "words"), BAD_FLOWS, ids=[bad[2] for bad in BAD_FLOWS])
def test_a_flow_that_cannot_be_is_refused(
    build: Callable[[Flow], Any], code: str, words: str
) -> None:
    """At once, or at the latest when it is planned; nothing has been sent by then."""

    def make() -> None:
        flow = Flow("f")
        build(flow)
        flow.plan()

    with pytest.raises(InvalidInput) as caught:
        make()

    assert caught.value.code == code
    assert words in str(caught.value)


def test_a_cycle_is_shown_as_the_path_it_takes() -> None:
    """A program gets all of it, people as much as they can read."""
    flow = Flow("f")
    steps = flow.chain(*(("task", {"n": n}, {"key": f"k{n}"}) for n in range(50)))
    flow.edge(steps[-1], steps[0])

    with pytest.raises(InvalidFlow) as caught:
        flow.plan()

    path = caught.value.facts["path"]
    assert len(path) == 51
    assert path[0] == path[-1]
    assert "..." in str(caught.value)


BAD_CONDITIONS: list[tuple[Any, int, str]] = [
    ("", 0, "it is empty"),
    ("  ", 0, "it is empty"),
    (3, 0, "it is int, not text"),
    ("x" * 1001, 0, "over 1,000 characters"),
    ("score = 1", 6, "there is no '=' here: write `==`"),
    ("a && b", 3, "write `and`"),
    ("a || b", 3, "write `or`"),
    ("!a", 0, "write `not`"),
    ("score >", 7, "cannot be read"),
    ("1 > 0", 0, "never looks at the result"),
    ("'score' == 'x'", 0, "never looks at the result"),
    ("a + b > 2", 0, "'a + b' cannot stand in a condition"),
    ("~a", 0, "cannot stand"),
    ("-a", 0, "cannot stand"),
    ("x if y else z", 0, "cannot stand"),
    ("lambda: x", 0, "cannot stand"),
    ("[y for y in x]", 0, "cannot stand"),
    ("{x: 1}", 0, "cannot stand"),
    ("f'{x}'", 0, "cannot stand"),
    ("(x := 3)", 1, "cannot stand"),
    ("x > __import__('os').system('id')", 4, "cannot be called here"),
    ("len(x, y) > 1", 0, "cannot be called here"),
    ("has(3)", 4, "is no path"),
    ("x[y] == 1", 0, "is no path"),
    ("x[True]", 0, "is no path"),
    ("x[1:2]", 0, "is no path"),
    ("(x or y).z", 1, "is no path"),
    ("x in [y]", 6, "cannot stand in a list"),
    ("x == b'1'", 5, "is neither text, a number"),
    ("x > 1e999", 4, "too large a number"),
    ("x == 9007199254740993", 5, "too large a number"),
    ("x > 1j", 4, "is neither text, a number"),
    ("x == '\\ud800'", 5, "half a surrogate pair"),
    ("x\0", 0, "cannot be read"),
    ("not " * 190 + "x", 0, "levels deep"),
    ("(" * 250 + "x" + ")" * 250, 200, "cannot be read"),
    ("x in [" + "1," * 201 + "]", 0, "over 200 parts"),
]


@pytest.mark.parametrize(("text", "at", "words"), BAD_CONDITIONS, ids=range(len(BAD_CONDITIONS)))
def test_a_condition_that_is_none_is_refused(text: Any, at: int, words: str) -> None:
    """With the character at which it stops making sense; and nothing of it is ever run."""
    with pytest.raises(InvalidInput) as caught:
        parse(text)

    assert (caught.value.code, caught.value.facts["at"]) == ("invalid-condition", at)
    assert words in str(caught.value)


HEAD = "name: f\ntasks:\n"
BAD_FILES: list[tuple[str, str]] = [
    ("", "it is no mapping: begin with `name:`"),
    ("- a", "it is no mapping"),
    ("a: [", "line 1: this is not YAML"),
    ("name: f\nname: g", "line 2: 'name' is there twice"),
    ("1: f", "line 1: the key 1 is not text"),
    ("name: &a f\nx: *a", "line 2: aliases (*name) are not read"),
    ("name: !!python/object/apply:os.system [id]", "could not determine a constructor"),
    ("tasks: {a: {}}", "name: write what the flow is called"),
    ("name: f", "tasks: write at least one task"),
    ("name: f\ntasks: []", "tasks: write at least one task"),
    ("nam: f", "nam is not known; did you mean name?"),
    (HEAD + "  a: {arg: {}}", "tasks.a: arg is not known; did you mean args?"),
    (HEAD + "  a: {zzzz: 1}", "tasks.a: zzzz is not known; known here: task, args"),
    (HEAD + "  a: 3", "tasks.a: write a mapping, not 3"),
    (HEAD + "  fetch: {}\n  b: {after: fetsh}", "no task 'fetsh'; did you mean fetch?"),
    (HEAD + "  a: {inputs: {x: c.field}}", "tasks.a.inputs.x: there is no task 'c'"),
    (HEAD + "  a: {after: b}\n  b: {after: a}", "tasks wait for each other: a -> b -> a"),
    (HEAD + "  a: {args: {x: 1}, inputs: {x: a}}", "it waits for itself"),
    (HEAD + "  c: {}\n  a: {args: {x: 1}, inputs: {x: c}}", "inputs.x: it stands in args as well"),
    (HEAD + "  a: {timer: soon}", "tasks.a.timer: write a length of time"),
    (HEAD + "  a: {timeout: 5 parsecs}", "tasks.a.timeout: write a length of time"),
    (HEAD + "  a: {timer: 5m, approval: x}", "it cannot be approval and timer at once"),
    (HEAD + "  a: {priority: urgent}", "tasks.a: priority='urgent': use one of critical"),
    (HEAD + "  a: {unique: k}", "tasks.a: flow 'f', 'a': unique= cannot be used in a flow"),
    (HEAD + "  a: {when: x}", "tasks.a: flow 'f', 'a': a condition is about a parent's result"),
    (HEAD + "  c: {}\n  a: {after: c, when: x >}", "tasks.a: condition 'x >'"),
    (HEAD + "  c: {}\n  a: {after: {task: c, on: never}}", "after.on: write one of success"),
    (HEAD + "  c: {}\n  a: {after: {task: c, of: c}}", "tasks.a.after: of is not known"),
    (HEAD + "  a: {map: {over: [1], in: x}}", "tasks.a.map: in is not known"),
    (HEAD + "  a: {map: {over: 3}}", "tasks.a: flow 'f', 'a': over=3 is neither a list nor"),
    (HEAD + "  a: {map: {over: [{}]}}\n  b: {inputs: {x: a.0}}", "a is many tasks: take all"),
    (HEAD + "  a: {fallback: {args: {}}}", "tasks.a.fallback: it has no task"),
    (HEAD + "  a: {backoff: [x]}", "tasks.a.backoff: write a length of time"),
    (HEAD + "  a: {args: {x: '${y}'}}", "nobody gave ${y}: add --set y=..."),
    (HEAD + "  a: {args: {x: '${y'}}", "'${y' names nothing: write ${name}, or $$ for a $"),
    ("parameters: {x: 1}\n" + HEAD + "  a: {}", "parameters: write names with texts"),
    ("parameters: {x: y}\n" + HEAD + "  a: {}", "it has no ${x}: --set x=... would change nothing"),
    (HEAD + "  a: {}\non_failure: {args: {}}", "on_failure: it has no task"),
    (HEAD + "  a: {}\nmilestones: [{name: m, needs: [b]}]", "milestones[0]: there is no task 'b'"),
    (HEAD + "  a: {}\nmilestones: [{name: m, needs: a, by: noon}]", "[0].by: write a moment"),
    (HEAD + "  a: {args: " + "[" * 60 + "]" * 60 + "}", "nested more than 50 levels deep"),
]


@pytest.mark.parametrize(("text", "words"), BAD_FILES, ids=[bad[1] for bad in BAD_FILES])
def test_a_flow_file_that_cannot_be_followed_is_refused(text: str, words: str) -> None:
    """The refusal names the file, the place in it, and what to write."""
    with pytest.raises(InvalidInput) as caught:
        parse_file(text, Path("flow.yaml"))

    assert words in str(caught.value)
    assert str(caught.value).startswith("flow.yaml: ")
    assert caught.value.facts["file"] == "flow.yaml"


BAD_JSON: list[tuple[str, str]] = [
    ("{", "line 1: this is not JSON"),
    ('{"name": NaN}', "NaN is not JSON"),
    ('{"name": "f", "name": "g"}', "'name' is there twice"),
    ("[" * 100_000, "this is not JSON"),
]


@pytest.mark.parametrize(("text", "words"), BAD_JSON, ids=[bad[1] for bad in BAD_JSON])
def test_json_that_is_none_is_refused(text: str, words: str) -> None:
    """A `.json` file is JSON and nothing more."""
    with pytest.raises(InvalidFlow, match=words):
        parse_file(text, Path("flow.json"))
