"""Chapter 33. Topologies: who may talk to whom, who reports to whom, and changing it live."""

from __future__ import annotations

import pytest

from coordq import Client
from coordq.errors import Conflict, InvalidTopology
from tests.manual.conftest import Shell
from tests.waiting import wait_until

AGENTS = """
from coordq import Agent

planner, critic, writer = Agent("planner"), Agent("critic"), Agent("writer")


@planner.task
async def plan(goal: str) -> str:
    return goal


@critic.task
async def judge(text: str) -> str:
    return text


@writer.task
async def write(text: str) -> str:
    return text
"""
pytestmark = pytest.mark.usefixtures("worker")


def test_without_one_everybody_may_talk_to_everybody(client: Client) -> None:
    """Nobody has to set one."""
    assert client.topology.may_talk("critic", "writer")


def test_a_star_has_one_in_the_middle(client: Client) -> None:
    """All talk by way of the hub, and the others are told so."""
    client.topology.set("star", ["planner", "critic", "writer"], why="one who decides")

    view = client.topology.view(max_age=0)

    assert view.may_talk("critic", "planner")
    refused = view.may_talk("critic", "writer")
    assert not refused
    assert "by way of planner" in refused.reason
    assert view.boss("critic") == "planner"


def test_all_agents_that_are_here_are_the_members_unless_you_say(client: Client) -> None:
    """Those of running workers."""
    wait_until(lambda: client.topology.known() == ["critic", "planner", "writer"])

    seen = client.topology.set("mesh")

    assert seen.topology is not None
    assert seen.topology.members == ("critic", "planner", "writer")


def test_a_plan_shows_what_would_change(client: Client) -> None:
    """Before it is done."""
    client.topology.set("star", ["planner", "critic", "writer"])

    plan = client.topology.plan("ring", ["planner", "critic", "writer"])

    assert ("critic", "writer") in plan.opened_some
    assert plan.closed == 0
    assert client.topology.get().version == plan.version


def test_what_no_network_can_be_is_refused_by_name(client: Client) -> None:
    """With the rule and the agents concerned."""
    with pytest.raises(InvalidTopology, match="Linked with nobody: writer") as caught:
        client.topology.set("graph", ["planner", "critic", "writer"], links=[("planner", "critic")])

    assert (caught.value.rule, caught.value.agents) == ("orphan", ["writer"])


def test_two_who_change_it_at_once_do_not_undo_each_other(client: Client) -> None:
    """Say which version you saw."""
    seen = client.topology.get().version
    client.topology.set("mesh", ["planner", "critic"], expect=seen)

    with pytest.raises(Conflict):
        client.topology.set("ring", ["planner", "critic", "writer"], expect=seen)


def test_what_was_comes_back(client: Client) -> None:
    """The last 32 versions are kept, with who and why."""
    star = client.topology.set("star", ["planner", "critic"], why="calm").version
    client.topology.clear()

    back = client.topology.restore(star)

    assert back.topology is not None
    assert (back.topology.kind, back.why) == ("star", f"version {star} again")
    assert [one.version for one in client.topology.history()][:3] == [star + 2, star + 1, star]


def test_it_is_drawn_in_a_terminal(shell: Shell) -> None:
    """`coordq topology set|plan|validate|show|history|restore|clear`."""
    shell("topology", "set", "tree", "planner", "critic", "writer", "--fanout", "1")

    assert shell("topology", "show").endswith("planner\n└─ critic\n   └─ writer")
    assert "falls apart without\tcritic" in shell("topology", "validate")


def test_an_adaptive_one_follows_the_fleet(client: Client, shell: Shell) -> None:
    """A supervisor's leader rearranges it by size and load, and never twice within a minute."""
    client.topology.set("auto", ["planner"])
    with shell.start("supervisor") as supervisor:
        try:
            wait_until(lambda: client.topology.get().topology.members != ("planner",))  # type: ignore[union-attr]
        finally:
            supervisor.terminate()
            supervisor.communicate(timeout=60)

    seen = client.topology.get()
    assert seen.topology is not None
    assert set(seen.topology.members) == {"planner", "critic", "writer"}
    assert (seen.who, seen.why) == ("supervisor", "2 came")
