"""A flow file means what the builder would have made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coordq.errors import InvalidFlow
from coordq.work.flow.draw import text as drawn
from coordq.work.flow.file import parse_file, read_file
from coordq.work.flow.graph import graph_of_plan
from coordq.work.flow.plan import Node

WHOLE = """
name: audit
description: ${who}'s audit costs 5$$
labels: {team: docs}
ttl: 2h
options: {queue: audits}
parameters: {depth: "2", who: nobody}
tasks:
  deep_audit:
    inputs: {report: summarize, part: picked.deep.0, either: picked | list_files, all: [picked]}
    when: quality_score < 0.8
    of: summarize
    timeout: 5m
    backoff: [1s, 10s]
    capabilities: [llm, http]
    fallback: [{task: quick_audit, inputs: {report: summarize, why: $error}}, bare]
  list_files: {args: {repository: "${repository}/${depth}"}}
  picked: {task: pick, after: [{task: list_files, if_failed: skip, when: n > 1}]}
  check: {map: {over: list_files.changed, into: file}}
  two: {map: {over: [a, b], into: x}, args: {y: 1}, after: list_files, on: always}
  summarize: {inputs: {found: check, most: two}, if_failed: continue}
  log: {inputs: {why: "picked!", x: "picked?"}}
  ship: {approval: "Ship it?", after: deep_audit}
  pause: {timer: 5m, after: ship}
  heard: {signal: deploy, after: pause}
on_failure: page
on_success: {task: cheer, args: {loud: true}, key: hooray}
milestones: [{name: shipped, needs: [ship, two], by: "2026-12-01T00:00:00+00:00"}]
"""


def planned(text: str, name: str = "flow.yaml", **given: str) -> dict[str, Node]:
    """The nodes by key."""
    return {node.key: node for node in parse_file(text, Path(name), given).plan().nodes}


def test_a_whole_file_is_understood() -> None:
    """Each key once; tasks in any order."""
    flow = parse_file(WHOLE, Path("f.yaml"), {"repository": "r", "depth": "9"})
    plan = flow.plan()
    nodes = {node.key: node for node in plan.nodes}
    deep = nodes["deep_audit"].template.spec

    assert (plan.name, plan.ttl_s) == ("audit", 7200)
    assert plan.about["description"] == "nobody's audit costs 5$"
    assert plan.about["milestones"] == [
        {"name": "shipped", "needs": ["ship", "two.0", "two.1"], "by": 1_796_083_200_000}
    ]
    assert json.loads(nodes["list_files"].args) == {"repository": "r/9"}
    assert (deep.queue, deep.timeout_ms, deep.capabilities) == ("audits", 300_000, ("http", "llm"))
    assert deep.backoff is not None
    assert deep.backoff.encode().startswith("s:1000,10000:")
    assert nodes["two.0"].parents[0].on == "always"
    assert (nodes["heard"].signal, nodes["pause"].delay_ms) == ("deploy", 300_000)
    assert nodes["hooray"].template.spec.name == "cheer"


def test_a_file_is_drawn_like_what_it_says() -> None:
    """One picture for all of its edges."""
    flow = parse_file(WHOLE, Path("f.yaml"), {"repository": "r"})

    assert drawn(graph_of_plan(flow.plan())).splitlines() == [
        "list_files",
        "├─ picked (pick)  [n > 1, or skip]",
        "│  └─ log  [always]",
        "├─ check (map)",
        "│  └─ summarize  [or continue]  also after two.0 [or continue], two.1 [or continue]",
        "│     └─ deep_audit  [quality_score < 0.8]  also after picked, list_files",
        "│        ├─ deep_audit.fallback (quick_audit)  [fallback]",
        "│        │  └─ deep_audit.fallback.2 (bare)  [fallback]",
        "│        └─ ship (approval)",
        "│           └─ pause (timer)",
        "│              └─ heard (signal)",
        "│                 ├─ hooray (cheer)  [or skip]  also after log [or skip]",
        "│                 └─ page  [failure]  also after log [failure], list_files [failure]",
        "├─ two.0 (two)  [always]",
        "└─ two.1 (two)  [always]",
    ]


def test_json_says_the_same_as_yaml() -> None:
    """Whoever writes it: people or programs."""
    data: dict[str, Any] = {
        "name": "f",
        "tasks": {"a": {"args": {"x": [1, None, "${y}"]}}, "b": {"inputs": {"z": "a"}}},
    }
    nodes = planned(json.dumps(data), "flow.JSON".lower(), y="!")

    assert json.loads(nodes["a"].args) == {"x": [1, None, "!"]}
    assert [edge.parent for edge in nodes["b"].parents] == [nodes["a"].id]


def test_words_of_yaml_are_words() -> None:
    """`on`, `yes` and dates are not turned into something that JSON could not say."""
    args = "{on: yes, when: 2026-01-01, n: 0x10, t: true, e: ~, f: 1.5, s: 12:30:00}"
    nodes = planned(f"name: f\ntasks:\n  a: {{args: {args}}}\n  b: {{after: a, on: failure}}")

    assert json.loads(nodes["a"].args) == {
        "on": "yes",
        "when": "2026-01-01",
        "n": 16,
        "t": True,
        "e": None,
        "f": 1.5,
        "s": 45_000,
    }
    assert nodes["b"].parents[0].on == "failure"


def test_a_task_needs_no_more_than_its_key() -> None:
    """The key is the name of the task."""
    assert planned("name: f\ntasks: {a: }")["a"].template.spec.name == "a"


def test_the_longest_key_is_meant() -> None:
    """Keys may hold dots, and so may paths."""
    nodes = planned(
        "name: f\ntasks: {a: {}, a.b: {}, c: {inputs: {x: a.b.c, y: 'a.c?', z: 'a?.c', e: 'a!.m'}}}"
    )
    long, short = nodes["a.b"].id, nodes["a"].id

    assert json.loads(nodes["c"].args)["$from"] == {
        "x": f"{long}/c",
        "y": f"{short}?/c",
        "z": f"{short}?/c",
        "e": f"{short}!/m",
    }


def test_what_is_filled_in_is_not_filled_in_again() -> None:
    """A value may hold what looks like a placeholder; it comes from a stranger."""
    nodes = planned("name: f\ntasks: {a: {args: {x: '${y}'}}}", y="${z} $$")

    assert json.loads(nodes["a"].args) == {"x": "${z} $$"}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """There, not text, or too large."""
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe9")
    (tmp_path / "fine.yaml").write_text("\ufeffname: f\ntasks: {a: {}}")

    with pytest.raises(InvalidFlow, match="cannot be read: No such file"):
        read_file(tmp_path / "none.yaml")
    with pytest.raises(InvalidFlow, match="byte 6 is not UTF-8"):
        read_file(tmp_path / "latin.yaml")
    assert len(read_file(tmp_path / "fine.yaml")) == 1
