"""The two doors, sync and async, are the same door."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import coordq
from coordq import AsyncClient, AsyncTaskHandle, Client, TaskHandle
from coordq.client.agents import Agents
from coordq.client.agents_async import AsyncAgents
from coordq.client.fleet import Fleet
from coordq.client.fleet_async import AsyncFleet
from coordq.client.flows import FlowHandle, Flows
from coordq.client.flows_async import AsyncFlowHandle, AsyncFlows
from coordq.client.limits import Limits
from coordq.client.limits_async import AsyncLimits
from coordq.client.schedules import Schedules
from coordq.client.schedules_async import AsyncSchedules
from coordq.client.work import Work
from coordq.client.work_async import AsyncWork

PAIRS = [
    (Client, AsyncClient),
    (Work, AsyncWork),
    (Schedules, AsyncSchedules),
    (Fleet, AsyncFleet),
    (Agents, AsyncAgents),
    (Limits, AsyncLimits),
    (Flows, AsyncFlows),
    (FlowHandle, AsyncFlowHandle),
    (TaskHandle, AsyncTaskHandle),
]


def public(kind: type) -> dict[str, Callable[..., Any]]:
    """What a class offers under a public name of its own."""
    return {
        name: value
        for name, value in vars(kind).items()
        if not name.startswith("_") and inspect.isfunction(value)
    }


# What listens on connections of its own must close them; the sync side has none.
ASYNC_ONLY: dict[type, set[str]] = {AsyncWork: {"close"}, AsyncFlows: {"close"}}


@pytest.mark.parametrize(("sync", "asynchronous"), PAIRS)
def test_both_doors_have_the_same_names(sync: type, asynchronous: type) -> None:
    """Whoever has learnt one client has learnt the other."""
    extra = ASYNC_ONLY.get(asynchronous, set())

    assert set(public(sync)) == set(public(asynchronous)) - extra


@pytest.mark.parametrize(("sync", "asynchronous"), PAIRS)
def test_both_doors_take_the_same_arguments(sync: type, asynchronous: type) -> None:
    """Moving code from one client to the other means adding `await`, nothing else."""
    there = public(asynchronous)

    for name, function in public(sync).items():
        ours = inspect.signature(function).parameters
        theirs = inspect.signature(there[name]).parameters
        assert list(ours) == list(theirs), name
        for parameter, at in ours.items():
            assert at.default == theirs[parameter].default, (name, parameter)
            assert at.kind == theirs[parameter].kind, (name, parameter)


@pytest.mark.parametrize(("sync", "asynchronous"), PAIRS)
def test_all_of_the_async_door_is_awaitable(sync: type, asynchronous: type) -> None:
    """Nothing on the async side blocks the loop: coroutines, and one async iterator."""
    there = public(asynchronous)

    for name in public(sync):
        assert inspect.iscoroutinefunction(there[name]) or name == "events", name


def test_the_two_ways_to_connect_take_the_same_arguments() -> None:
    """Connect and connect_async differ by their name."""
    ours = inspect.signature(coordq.connect).parameters
    theirs = inspect.signature(coordq.connect_async).parameters

    assert list(ours) == list(theirs)
    assert [at.default for at in ours.values()] == [at.default for at in theirs.values()]


def test_every_method_says_what_it_does() -> None:
    """The docstrings are the reference: none may be missing."""
    for kind in [kind for pair in PAIRS for kind in pair]:
        for name, function in public(kind).items():
            assert function.__doc__, f"{kind.__name__}.{name}"


def test_the_front_door_is_complete() -> None:
    """Each name in `coordq.__all__` can be imported, and `dir` shows exactly those."""
    for name in coordq.__all__:
        assert getattr(coordq, name) is not None, name
    assert dir(coordq) == sorted(coordq.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Lazy loading must not hide typing mistakes."""
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        _ = coordq.conect
