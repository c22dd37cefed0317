"""Scenes for the scripts of breakers; see scenes.py."""

from __future__ import annotations

from typing import Any

from coordq.engine.call import Call
from coordq.fleet.breaker import calls
from coordq.fleet.breaker.calls import Report
from coordq.fleet.breaker.thresholds import Thresholds
from tests.fleet.fuses import pass_time, seen
from tests.fleet.scenes_topology import scene
from tests.work.desk import Desk
from tests.work.scenes import Check

FIVE = Report(calls=5, failures=5)


@scene
def breaker_reported(desk: Desk) -> tuple[Call[Any], Check]:
    """Five failures are five, and open it once."""

    def check(answer: Any) -> None:
        view = seen(desk, "api")
        assert (answer.state, view.opened, view.all_failures) == ("open", 1, 5)
        assert [event.kind for event in desk.events()] == ["breaker-opened"]

    return calls.report("api", FIVE), check


@scene
def breaker_asked(desk: Desk) -> tuple[Call[Any], Check]:
    """The one who asks twice is granted one call, under one token."""
    desk.run(calls.report("api", FIVE))
    pass_time(desk, 30_000)

    def check(answer: Any) -> None:
        assert answer.allowed
        assert answer.token
        assert seen(desk, "api").tried == 1

    return calls.report("api", ask=True), check


@scene
def breaker_tried(desk: Desk) -> tuple[Call[Any], Check]:
    """A call that went well counts once: it does not close alone."""
    desk.run(calls.report("api", FIVE))
    pass_time(desk, 30_000)
    token = desk.run(calls.report("api", ask=True)).token

    def check(_: Any) -> None:
        view = seen(desk, "api")
        assert (view.state, view.good, view.tried) == ("half-open", 1, 0)

    return calls.report("api", Report(calls=1, token=token, outcome="good")), check


@scene
def breaker_forced(desk: Desk) -> tuple[Call[Any], Check]:
    """One event."""

    def check(_: Any) -> None:
        assert seen(desk, "api").forced == "open"
        assert [event.kind for event in desk.events()] == ["breaker-opened"]

    return calls.force("api", "open", who="ada"), check


@scene
def breaker_set(desk: Desk) -> tuple[Call[Any], Check]:
    """The same thresholds again."""

    def check(_: Any) -> None:
        assert seen(desk, "api").thresholds == Thresholds(failures=2)

    return calls.put("api", Thresholds(failures=2)), check


@scene
def breaker_look(desk: Desk) -> tuple[Call[Any], Check]:
    """A look is a look."""
    desk.run(calls.report("api", FIVE))

    def check(found: Any) -> None:
        assert [view.subject for view in found] == ["api"]

    return calls.look(), check
