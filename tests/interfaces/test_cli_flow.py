"""Flows from the command line: files, pictures, answers, and what a person is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coordq import Flow
from coordq.client.client import Client
from tests.interfaces.conftest import Shell, end

YAML = """
name: audit
description: look at everything
labels: {team: core}
tasks:
  fetch: {args: {url: "${url}"}}
  parse:
    inputs: {page: fetch}
    fallback: [{task: guess}]
  ship: {approval: "Ship it?", after: parse}
"""
NOBODY = "0" * 22


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A flow as somebody writes it."""
    path = tmp_path / "audit.yaml"
    path.write_text(YAML)
    return path


def run(shell: Shell, file: Path) -> str:
    """The id of a flow that was started."""
    return shell.line("flow", "run", str(file), "--set", "url=x")


def node(client: Client, flow_id: str, key: str) -> str:
    """The id of a task of a flow."""
    return client.flows.get(flow_id).node(key).id


def test_check_needs_no_redis(file: Path) -> None:
    """A flow file can be checked in a build, where there is no server."""
    shell = Shell("redis://127.0.0.1:1", "nowhere")

    assert shell.line("flow", "check", str(file), "--set", "url=x") == (
        "flow audit: 4 tasks, 2 edges"
    )
    assert shell.json("flow", "check", str(file), "--set", "url=x")["tasks"] == [
        *("fetch", "parse", "parse.fallback", "ship")
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: x\ntasks: {a: {afer: b}}", "after"),
        ("name: x\ntasks: {a: {after: b}}", "'b'"),
        ("name: x\ntasks: {a: {after: b}, b: {after: a}}", "a"),
        ("tasks: {a: {}}", "name"),
        ("[1", "audit.yaml"),
    ],
)
def test_a_file_that_cannot_be_is_refused(shell: Shell, file: Path, text: str, words: str) -> None:
    """With the place and, where there is one, the nearest right word; nothing is sent."""
    file.write_text(text)

    refused = shell("flow", "run", str(file))

    assert (refused.exit_code, words in refused.stderr) == (2, True)
    assert "Traceback" not in refused.stderr
    assert shell.json("flow", "ls") == []


def test_a_missing_file_and_a_missing_setting_are_named(shell: Shell, file: Path) -> None:
    """The two mistakes that everybody makes first."""
    assert "nothing.yaml" in shell("flow", "run", "nothing.yaml").stderr
    assert "--set url=" in shell("flow", "run", str(file)).stderr


def test_show_tells_how_a_flow_stands(shell: Shell, client: Client, file: Path) -> None:
    """Its account, its tasks as a tree, what failed, and what somebody has to answer."""
    flow_id = run(shell, file)
    end(client, node(client, flow_id, "fetch"), "succeeded", "page")
    end(client, node(client, flow_id, "parse"), "failed", "no HTML")
    end(client, node(client, flow_id, "parse.fallback"), "succeeded", 1)

    shown = shell("flow", "show", flow_id).stdout

    assert "3 of 4 have ended: 2 succeeded, 1 failed (1 handled)" in shown
    assert "✓ fetch" in shown
    assert "✗ parse" in shown
    assert f"coordq approve {node(client, flow_id, 'ship')}" in shown
    assert "team=core" in shown
    listed = shell("flow", "show", flow_id, "--tasks").stdout
    assert listed.splitlines()[-1].startswith("ship\tsuspended\t")


def test_everything_is_json_for_programs(shell: Shell, client: Client, file: Path) -> None:
    """One document each, with ids, states and edges."""
    flow_id = shell.json("flow", "run", str(file), "--set", "url=x")["id"]

    shown = shell.json("flow", "show", flow_id)
    (listed,) = shell.json("flow", "ls", "--state", "running", "--name", "audit")
    drawn = shell.json("flow", "graph", flow_id, "--format", "mermaid")

    assert [one["state"] for one in shown["nodes"]] == ["ready", *["waiting"] * 3]
    assert shown["edges"][0]["from"] == node(client, flow_id, "fetch")
    assert (listed["id"], listed["total"], listed["about"]["labels"]) == (
        flow_id,
        4,
        {"team": "core"},
    )
    assert drawn["graph"].startswith("flowchart")
    assert shell.json("flow", "cancel", flow_id)["state"] == "cancelled"
    assert shell.json("flow", "forget", flow_id, "--yes") == {"id": flow_id, "removed": True}


def test_approve_reject_and_signal(shell: Shell, client: Client) -> None:
    """In the name of whoever is at the prompt; a second answer is refused."""
    flow = Flow("ask")
    for key in ("one", "two"):
        flow.approval(key)
    flow.signal("go")
    flow_id = client.flows.run(flow).id
    one, two = (node(client, flow_id, key) for key in ("one", "two"))

    assert shell.line("approve", one, "--value", '{"n": 1}', "--note", "ok") == f"{one} is approved"
    assert shell.json("reject", two, "--by", "bob") == {
        "id": two,
        "answer": "rejected",
        "by": "bob",
    }
    assert shell.json("signal", "go", "7") == {"name": "go", "woken": 1}

    assert client.work.get(one).result == {"n": 1}
    assert client.work.get(node(client, flow_id, "go")).result == 7
    assert shell("approve", one).exit_code == 5
    assert shell("approve", NOBODY).exit_code == 3
    assert shell.line("signal", "go") == "0 tasks went on"


def test_steps_of_a_flow_are_answered_by_their_keys(shell: Shell, client: Client) -> None:
    """Nobody has to look for the id of a task; what is wrong with a key is said."""
    flow = Flow("ask")
    for key in ("ship", "bill", "later"):
        flow.approval(key)
    flow_id = client.flows.run(flow).id

    assert shell.line("approve", flow_id, "ship", "--value", "7") == (
        f"ship of flow {flow_id} is approved"
    )
    assert shell.json("reject", flow_id, "bill", "--by", "bob", "--note", "no") == {
        "id": flow_id,
        "step": "bill",
        "answer": "rejected",
        "by": "bob",
    }
    states = {one.key: one.state for one in client.flows.get(flow_id).nodes}
    assert states == {"ship": "succeeded", "bill": "failed", "later": "suspended"}

    again, typo, bare = (shell("approve", flow_id, *words) for words in (["ship"], ["latr"], []))
    assert (again.exit_code, typo.exit_code, bare.exit_code) == (5, 3, 3)
    assert "did you mean 'later'?" in typo.stderr
    assert "say which of its tasks" in bare.stderr
    assert "there wait: later." in bare.stderr
    assert shell("approve", NOBODY, "ship").exit_code == 3


def test_retry_runs_again_what_failed(shell: Shell, client: Client, file: Path) -> None:
    """And says what is left to do."""
    flow_id = run(shell, file)
    end(client, node(client, flow_id, "fetch"), "failed", "no such host")
    assert client.flows.get(flow_id).state == "failed"

    told = shell.line("flow", "retry", flow_id)

    assert told == f"flow {flow_id} is running; 0 of 4 have ended"
    assert shell("flow", "retry", flow_id).exit_code == 5


def test_a_flow_is_waited_for(shell: Shell, file: Path) -> None:
    """A wait that runs out is exit code 1; the flow goes on."""
    waited = shell("flow", "run", str(file), "--set", "url=x", "--wait-timeout", "0.01")

    assert waited.exit_code == 1
    assert "did not end within 0.01 s; it goes on" in waited.stderr


def test_a_picture_goes_into_a_file(shell: Shell, file: Path, tmp_path: Path) -> None:
    """SVG for a page, Mermaid for a README, from a file or from a flow that runs."""
    target = tmp_path / "audit.svg"
    flow_id = run(shell, file)

    assert shell("flow", "graph", flow_id, "-f", "svg", "-o", str(target)).exit_code == 0
    assert target.read_text().startswith("<svg")
    tree = shell("flow", "graph", str(file), "--set", "url=x").stdout
    assert tree.splitlines()[0].strip() == "fetch"


def test_after_says_what_a_task_waits_for(shell: Shell, client: Client) -> None:
    """`why` names it, with its state; `show` has it too, for people and for programs."""
    first = shell.line("enqueue", "crawl")
    second = shell.line("enqueue", "crawl", "--after", first)

    assert shell.line("why", second) == (
        f"It waits for another task to end: crawl {first} (ready)."
    )
    assert "waits for another task" in shell("show", second).stdout
    assert shell.json("show", second)["waits"].startswith("It waits")
    end(client, first, "succeeded")
    assert client.work.get(second).state == "ready"


def test_what_a_stranger_wrote_steers_no_terminal(shell: Shell, client: Client) -> None:
    """A description is anybody's text."""
    flow = Flow("loud", description="\x1b[2J gone\nand on")
    flow.task("crawl", key="a")
    flow_id = client.flows.run(flow).id

    for words in (("flow", "show", flow_id), ("flow", "ls")):
        assert "\x1b" not in shell(*words).stdout
    assert json.loads(shell("flow", "ls", "--json").stdout)[0]["about"]["description"]
