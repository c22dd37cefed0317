"""Chapter 31. Agents: who there is, who should do it, who acts for whom, who answers."""

from __future__ import annotations

import pytest

from coordq import Client
from coordq.errors import AgentNotFound, Conflict
from tests.manual.conftest import Shell
from tests.waiting import wait_until

AGENTS = """
from coordq import Agent, Context

critic = Agent(
    "critic",
    role="reviewer",
    capabilities={"python"},
    persona={"role": "a careful reviewer", "voice": "short", "limits": ["changes no code"]},
    interests="tests, types and names",
    stand_ins=["deputy"],
)


@critic.task
async def review(ctx: Context, text: str) -> str:
    # before a question for a model stands what the agent is told to be
    return ctx.persona.prompt() + "\\n" + text
"""


@pytest.fixture(autouse=True)
def registered(client: Client, worker: object) -> None:  # noqa: ARG001 - it must run
    """The worker registers the agents that it hosts; that takes a moment after its start."""
    wait_until(lambda: any(one.version for one in client.agents.find(role="reviewer")))


def test_an_agent_is_found_by_what_it_can_do(client: Client) -> None:
    """By role, capabilities, task, zone, load, and words of its interests."""
    (critic,) = client.agents.find(role="reviewer", capabilities=["python"], text="types")

    assert (critic.name, critic.state, critic.tasks) == ("critic", "serving", frozenset({"review"}))


def test_a_handler_knows_who_it_is(client: Client) -> None:
    """The persona of its agent."""
    assert client.work.run("review", {"text": "x = 1"}, wait_for=60).splitlines() == [
        "You are a careful reviewer.",
        "Your voice: short.",
        "Your limits: changes no code.",
        "x = 1",
    ]


def test_agents_outside_of_workers_are_registered_and_heard(client: Client) -> None:
    """They count as there for a while after each word of theirs."""
    client.agents.register("ann", role="expert", ttl=60, load=0.2)
    here = client.agents.get("ann").state
    client.agents.heartbeat("ann", load=0.8)
    client.agents.leave("ann")

    assert (here, client.agents.get("ann").state) == ("outside", "away")
    with pytest.raises(AgentNotFound):
        client.agents.get("bob")


def test_what_an_operator_says_is_stronger(client: Client) -> None:
    """By version: nobody's change is lost. It outlives restarts; None takes it back."""
    seen = client.agents.get("critic").version
    client.agents.update("critic", weight=3, version=seen)

    with pytest.raises(Conflict):
        client.agents.update("critic", weight=5, version=seen)
    assert client.agents.get("critic").weight == 3
    assert client.agents.update("critic", weight=None).weight == 1


def test_who_should_do_it_and_why(client: Client) -> None:
    """A score of what it can, how free it is, how often it succeeds at least, how fast it is."""
    (best,) = client.routing.recommend("review", preferred=["python", "rust"])

    assert best.agent.name == "critic"
    assert best.reasons[0] == "has python and lacks rust"


def test_work_is_balanced_among_those_who_fit(client: Client) -> None:
    """Turns are timed, and learnt from; whose breaker is open has none."""
    for name in ("ann", "bob"):
        client.agents.register(name, role="expert")
    balance = client.routing.balance("round-robin", role="expert")

    served = []
    for _ in range(4):
        with balance.turn() as agent:
            served.append(agent.name)

    assert sorted(served) == ["ann", "ann", "bob", "bob"]


def test_one_acts_for_another_until_that_is_back(client: Client, shell: Shell) -> None:
    """By hand, or by itself ten seconds after one that names stand-ins went away."""
    client.agents.register("deputy")
    shell("agents", "stand-in", "critic", "deputy")

    assert client.agents.stand_ins()["critic"].by == "deputy"

    shell("agents", "stand-in", "critic", "--end")

    assert client.agents.stand_ins() == {}


def test_every_agent_is_asked_whether_it_is_there(client: Client, shell: Shell) -> None:
    """The process that has it answers, not only the one that beats."""
    pings = {ping.name: ping for ping in client.fleet.ping(timeout=60)}

    assert pings["critic"].ok
    assert "critic" in shell("fleet", "ping", "--timeout", "60s")
