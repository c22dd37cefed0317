"""Chapter 21. Flows without Python: a file, and the command line."""

from __future__ import annotations

import json

import pytest

from coordq import Client
from tests.manual.conftest import Shell
from tests.waiting import wait_until

AGENTS = """
from coordq import Agent, Reject

agent = Agent("editors")


@agent.task
async def chapters(book: str) -> dict:
    return {"names": [f"{book} {n}" for n in range(3)], "quality": 0.5}


@agent.task
async def proofread(name: str) -> str:
    return f"{name}: fine"


@agent.task
async def bind(parts: list[str]) -> str:
    return "; ".join(parts)


@agent.task(max_attempts=1)
async def illustrate() -> None:
    raise Reject("the artist is away")


@agent.task
async def clip_art(why: dict) -> str:
    return f"clip art, because {why['message']}"
"""
FILE = """
name: print
description: from a manuscript to a book
tasks:
  chapters:
    args: {book: "${book}"}
  proofread:
    map: {over: chapters.names, into: name}
  bind:
    inputs: {parts: proofread}
  illustrate:
    after: chapters
    when: quality < 0.8
    fallback: [{task: clip_art, inputs: {why: $error}}]
  ship:
    approval: "Ship it?"
    after: [bind, illustrate]
"""
BIND = """
name: bind
parameters: {book: ""}
tasks:
  chapters: {args: {book: "${book}"}}
  fold: {task: bind, inputs: {parts: chapters.names}}
returns: fold
"""
SHOP = """
name: shop
tasks:
  first: {flow: parts/bind.yaml, set: {book: Emma}}
  check: {task: proofread, inputs: {name: first}}
returns: check
"""
pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module", autouse=True)
def file(shell: Shell) -> str:
    """The flow, as a file of the project."""
    (shell.folder / "print.yaml").write_text(FILE)
    return "print.yaml"


def asked(client: Client, flow_id: str) -> str:
    """The id of the task that waits for an approval, once it does."""
    wait_until(lambda: client.flows.get(flow_id).node("ship").state == "suspended")
    return client.flows.get(flow_id).node("ship").id


def test_a_file_is_checked_before_it_is_run(shell: Shell) -> None:
    """Without a Redis; what is missing or mistyped is named."""
    assert shell("flow", "check", "print.yaml", "--set", "book=Emma").startswith("flow print:")
    assert "${book}" in shell("flow", "check", "print.yaml", code=2)


def test_a_file_is_drawn_before_it_is_run(shell: Shell) -> None:
    """In the terminal, as Mermaid for a README, or as SVG."""
    tree = shell("flow", "graph", "print.yaml", "--set", "book=Emma")
    shell("flow", "graph", "print.yaml", "--set", "book=Emma", "-f", "svg", "-o", "print.svg")

    assert tree.splitlines()[0].strip() == "chapters"
    assert "quality < 0.8" in tree
    assert (shell.folder / "print.svg").read_text().startswith("<svg")


def test_run_show_approve(shell: Shell, client: Client) -> None:
    """`show` tells how it stands and what somebody has to do; `approve` does it, by either name.

    The id of the task, as `show` has it, or that of the flow and the key of the step.
    """
    flow_id = shell("flow", "run", "print.yaml", "--set", "book=Emma")
    task_id = asked(client, flow_id)

    shown = shell("flow", "show", flow_id)
    assert f"coordq approve {task_id}" in shown
    assert "✗ illustrate" in shown
    shell("approve", flow_id, "ship", "--by", "ada", "--note", "go", "--value", '{"copies": 3}')

    wait_until(lambda: client.flows.get(flow_id).state == "succeeded")
    assert flow_id in shell("flow", "ls", "--state", "succeeded")


def test_wait_for_the_results(shell: Shell, client: Client) -> None:
    """`--wait` prints the results of the tasks that nothing comes after, as JSON."""
    process = shell.start("flow", "run", "print.yaml", "--set", "book=Persuasion", "--wait")
    wait_until(lambda: client.flows.ls(state="running"))
    (flow,) = client.flows.ls(state="running")
    client.flows.approve(asked(client, flow.id), value="now")
    said, _ = process.communicate(timeout=60)

    assert json.loads(said) == {"ship": "now"}


def test_why_a_task_waits(shell: Shell, client: Client) -> None:
    """For which tasks, or for what answer, since when: `why` knows, and `show` says it, too."""
    flow_id = shell("flow", "run", "print.yaml", "--set", "book=Lady Susan")
    task_id = asked(client, flow_id)

    assert f"for an approval: `coordq approve {task_id}`" in shell("why", task_id)
    assert "for an approval" in shell("show", task_id)
    shell("flow", "cancel", flow_id, "--reason", "enough")
    assert client.flows.get(flow_id).state == "cancelled"


def test_a_rejected_flow_is_run_again_from_there(shell: Shell, client: Client) -> None:
    """`reject` fails the approval; `retry` asks again, and repeats nothing that succeeded."""
    flow_id = shell("flow", "run", "print.yaml", "--set", "book=Sanditon")
    shell("reject", asked(client, flow_id), "--note", "a chapter is missing")
    wait_until(lambda: client.flows.get(flow_id).state == "failed")

    shell("flow", "retry", flow_id)
    shell("approve", asked(client, flow_id))

    wait_until(lambda: client.flows.get(flow_id).state == "succeeded")
    assert client.flows.get(flow_id).node("chapters").attempt == 1
    shell("flow", "forget", flow_id, "--yes")
    assert "flow-not-found" in shell("flow", "show", flow_id, code=3)


def test_a_file_may_take_in_another_one(shell: Shell) -> None:
    """`flow:` names a file of this folder, or holds a flow; `returns:` says what comes of it."""
    (shell.folder / "parts").mkdir()
    (shell.folder / "parts" / "bind.yaml").write_text(BIND)
    (shell.folder / "shop.yaml").write_text(SHOP)

    assert "first.fold" in shell("flow", "check", "shop.yaml", "--json")
    assert shell("flow", "run", "shop.yaml", "--wait") == "Emma 0; Emma 1; Emma 2: fine"
    (shell.folder / "loop.yaml").write_text("name: a\ntasks: {x: {flow: parts/loop.yaml}}")
    (shell.folder / "parts" / "loop.yaml").write_text("name: b\ntasks: {x: {flow: ../loop.yaml}}")
    refused = shell("flow", "check", "loop.yaml", code=2)
    assert "loop.yaml -> parts/loop.yaml -> loop.yaml" in refused


def test_one_task_after_another(shell: Shell) -> None:
    """`--after` needs no flow."""
    first = shell("enqueue", "proofread", "name=Emma")
    second = shell("enqueue", "proofread", "name=Persuasion", "--after", first)

    assert shell("result", second) == "Persuasion: fine"
