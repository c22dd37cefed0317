"""Circuit breakers in Redis: when they open, how they close, and who may try."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from coordq.engine import scripts
from coordq.engine.connection import Engine, open_engine
from coordq.errors import ForeignData, InvalidBreaker, InvalidInput, InvalidName
from coordq.fleet.breaker import calls
from coordq.fleet.breaker.budget import RetryBudget
from coordq.fleet.breaker.bulkhead import check_places
from coordq.fleet.breaker.calls import Report
from coordq.fleet.breaker.thresholds import Thresholds, make, read_thresholds
from tests.fleet.fuses import ask, end, pass_time, seen, still_window, tell
from tests.servers import Server
from tests.work.desk import Desk


def said(desk: Desk) -> list[tuple[str, str, str]]:
    """The events."""
    return [(event.kind, event.subject, event.detail) for event in desk.events()]


def test_five_failures_open_it_and_three_tries_close_it(desk: Desk) -> None:
    """The whole life of one, and what is told of it."""
    assert tell(desk, bad=4).state == "closed"
    answer = tell(desk, bad=1)
    assert (answer.state, answer.wait_ms) == ("open", 30_000)
    assert not ask(desk).allowed

    pass_time(desk, 30_000)
    tokens = [ask(desk).token for _ in range(3)]
    assert all(tokens)
    assert not ask(desk).allowed
    for token in tokens:
        assert end(desk, token, "good")

    assert seen(desk).state == "closed"
    assert said(desk) == [
        ("breaker-opened", "api", "5 of 5 calls failed in 60 s"),
        ("breaker-probing", "api", "calls are tried"),
        ("breaker-closed", "api", "3 calls that were tried went well"),
    ]


def test_one_try_that_fails_opens_it_again(desk: Desk) -> None:
    """For as long as before; what is still tried says nothing any more."""
    tell(desk, bad=5)
    pass_time(desk, 30_000)
    first, second = ask(desk).token, ask(desk).token

    answer = end(desk, first, "bad")

    assert (answer.state, answer.wait_ms) == ("open", 30_000)
    end(desk, second, "good")
    assert (seen(desk).state, seen(desk).opened, seen(desk).good) == ("open", 2, 0)


def test_a_call_that_says_nothing_gives_its_try_back(desk: Desk) -> None:
    """It was cancelled: another may be tried."""
    desk.run(calls.put("api", Thresholds(probes=1)))
    tell(desk, bad=5)
    pass_time(desk, 30_000)
    token = ask(desk).token

    assert not ask(desk).allowed
    end(desk, token, "none")

    assert ask(desk).token


def test_a_try_whose_caller_died_does_not_hold_up_the_others(desk: Desk) -> None:
    """It is given up after a minute."""
    desk.run(calls.put("api", Thresholds(probes=1)))
    tell(desk, bad=5)
    pass_time(desk, 30_000)
    assert ask(desk).token

    pass_time(desk, calls.TRIED_MS)

    assert ask(desk).token
    assert seen(desk).tried == 1


@pytest.mark.parametrize(
    ("thresholds", "ended", "state"),
    [
        ({}, (0, 5, 0), "open"),
        ({}, (6, 5, 0), "closed"),
        ({}, (5, 5, 0), "open"),
        ({"rate": 0}, (600, 5, 0), "open"),
        ({"rate": 0}, (600, 4, 0), "closed"),
        ({"min_calls": 20}, (0, 19, 0), "closed"),
        ({"min_calls": 20}, (10, 10, 0), "open"),
        ({"failures": 1, "min_calls": 1}, (0, 1, 0), "open"),
        ({"failures": 1, "min_calls": 1}, (1, 0, 0), "closed"),
        ({"slow": 1}, (10, 0, 8), "open"),
        ({"slow": 1}, (10, 0, 7), "closed"),
        ({"slow": 1}, (4, 0, 4), "closed"),
        ({}, (10, 0, 10), "closed"),
        ({"slow": 1, "slow_rate": 0.1}, (10, 0, 1), "open"),
    ],
)
def test_number_and_share_and_slowness(
    desk: Desk, thresholds: dict[str, Any], ended: tuple[int, int, int], state: str
) -> None:
    """Five of ten thousand are no reason, and two of two neither."""
    good, bad, slow = ended
    desk.run(calls.put("api", make(**thresholds)))

    assert tell(desk, good, bad, slow=slow).state == state


def test_what_is_old_does_not_count(desk: Desk) -> None:
    """The window slides by tenths."""
    window = still_window(desk)
    tenth_ms = round(window * 100)
    desk.run(calls.put("api", Thresholds(window=window)))
    tell(desk, bad=3)
    pass_time(desk, 9 * tenth_ms)
    assert (tell(desk, bad=1).state, seen(desk).failures) == ("closed", 4)

    pass_time(desk, tenth_ms)

    assert (tell(desk, bad=1).state, seen(desk).failures) == ("closed", 2)
    assert seen(desk).all_failures == 5


def test_what_ends_late_counts_for_nothing_when_it_has_closed(desk: Desk) -> None:
    """Calls that began before it opened end when it is half-open."""
    tell(desk, bad=5)
    pass_time(desk, 30_000)
    tokens = [ask(desk).token for _ in range(3)]
    tell(desk, bad=7)
    for token in tokens:
        end(desk, token, "good")

    assert (seen(desk).state, seen(desk).calls) == ("closed", 0)


def test_of_many_who_ask_at_once_three_may_try(desk: Desk) -> None:
    """A subject that has just come back is not run over."""
    tell(desk, bad=5)
    pass_time(desk, 30_000)

    def attempt(_: int) -> bool:
        with open_engine(desk.engine.address.url, namespace=desk.engine.namespace) as engine:
            return bool(engine.run(calls.report("api", ask=True)).token)

    with ThreadPoolExecutor(8) as pool:
        granted = list(pool.map(attempt, range(16)))

    assert Counter(granted) == {True: 3, False: 13}
    assert [kind for kind, _, _ in said(desk)].count("breaker-probing") == 1


def test_of_many_who_report_at_once_one_opens_it(desk: Desk) -> None:
    """And no failure is lost."""

    def fail(_: int) -> str:
        with open_engine(desk.engine.address.url, namespace=desk.engine.namespace) as engine:
            return engine.run(calls.report("api", Report(calls=1, failures=1))).state

    with ThreadPoolExecutor(8) as pool:
        states = list(pool.map(fail, range(16)))

    assert states.count("closed") == 4
    assert (seen(desk).opened, seen(desk).all_failures) == (1, 16)


# -- operators -------------------------------------------------------------------------------------


def test_an_operator_is_stronger_than_calls(desk: Desk) -> None:
    """Until it is reset."""
    assert desk.run(calls.force("api", "closed", who="ada", why="it only looks broken"))
    assert tell(desk, bad=50).closed
    assert desk.run(calls.force("api", "open", who="ada"))
    pass_time(desk, 3_600_000)
    assert not ask(desk).allowed

    assert desk.run(calls.force("api", "reset", who="bob", why="done"))

    assert ask(desk).closed
    assert (seen(desk).calls, seen(desk).forced) == (0, "")
    assert said(desk) == [
        ("breaker-closed", "api", "forced by ada: it only looks broken"),
        ("breaker-opened", "api", "forced by ada"),
        ("breaker-closed", "api", "reset by bob: done"),
    ]


def test_said_twice_is_told_once(desk: Desk) -> None:
    """And a reset of what needs none is nothing."""
    desk.run(calls.force("api", "open", who="ada"))

    assert not desk.run(calls.force("api", "open", who="bob"))
    assert not desk.run(calls.force("db", "reset", who="ada"))

    assert len(said(desk)) == 1
    assert not seen(desk, "db").known


def test_thresholds_are_kept_and_taken_back(desk: Desk) -> None:
    """What was counted under others does not count."""
    tell(desk, bad=4)
    assert desk.run(calls.put("api", Thresholds(failures=2, window=120, slow=0.25)))

    assert (seen(desk).thresholds.slow, seen(desk).own, seen(desk).calls) == (0.25, True, 0)
    assert desk.run(calls.put("api", None))
    assert (seen(desk).thresholds, seen(desk).own) == (Thresholds(), False)
    assert not desk.run(calls.put("api", None))


# -- what is kept ----------------------------------------------------------------------------------


def test_the_usual_thresholds_are_the_same_on_both_sides() -> None:
    """Lua and Python say them once each."""
    source = scripts.load("breaker/report").source

    assert f"THRESHOLDS = '{Thresholds().text()}'" in source


def test_thresholds_are_read_as_they_were_written() -> None:
    """And what strangers wrote is as usual."""
    made = make(failures=7, rate=0.1, min_calls=3, slow=0.05, slow_rate=0.99, window=2.5,
                recovery=0.1, probes=2)  # fmt: skip

    assert read_thresholds(made.text().encode()) == made
    for junk in (b"", b"a b", b"1 2 3", b"0 0 0 0 0 0 0 0", b"nan 1 1 1 1 1 1 1", b"\xff"):
        assert read_thresholds(junk) == Thresholds()


def test_what_nobody_calls_is_forgotten_unless_somebody_said_something(desk: Desk) -> None:
    """Subjects may be made of addresses."""
    tell(desk, good=1, subject="a")
    tell(desk, good=1, subject="b")
    desk.run(calls.put("b", Thresholds(failures=2)))
    desk.run(calls.force("c", "open", who="ada"))

    lives = {one: desk.redis("PTTL", desk.key(f"breaker:{one}")) for one in "abc"}

    assert 86_300_000 < lives["a"] <= 86_400_000
    assert (lives["b"], lives["c"]) == (-1, -1)
    desk.redis("PEXPIRE", desk.key("breaker:a"), 0)
    assert [view.subject for view in desk.run(calls.look())] == ["c", "b"]
    assert desk.redis("ZCARD", desk.key("breakers")) == 2


def test_a_look_keeps_nothing_alive(desk: Desk) -> None:
    """A dashboard looks every second."""
    tell(desk, good=1)
    desk.redis("PEXPIRE", desk.key("breaker:api"), 5000)

    seen(desk)

    assert desk.redis("PTTL", desk.key("breaker:api")) <= 5000


def test_what_is_not_known_is_closed(desk: Desk) -> None:
    """Nobody has to set one up."""
    assert (seen(desk).known, seen(desk).state) == (False, "closed")
    assert desk.run(calls.look()) == ()


def test_a_foreign_key_is_named_and_left_alone(desk: Desk) -> None:
    """Calls are told why."""
    desk.redis("SET", desk.key("breaker:api"), "junk")

    with pytest.raises(ForeignData):
        ask(desk)


def test_junk_in_a_breaker_is_no_reason_to_stop_calls(desk: Desk) -> None:
    """Another version may have written it."""
    desk.redis("HSET", desk.key("breaker:api"), "state", "melted", "b3", "x", "@t", "soon",
               "good", "many", "until", "later", "set", "a b c d e f g h")  # fmt: skip

    assert ask(desk).allowed


def test_a_breaker_protects_when_redis_is_full(
    new_server: Callable[..., Server], namespace: str
) -> None:
    """And an operator is heard."""
    server = new_server(maxmemory_policy="noeviction")
    with open_engine(server.url, namespace=namespace) as engine:
        desk = Desk(engine)
        server.config(maxmemory="1")

        assert tell(desk, bad=5).state == "open"
        assert desk.run(calls.put("api", Thresholds(failures=2)))
        assert desk.run(calls.force("api", "closed", who="ada"))


def test_breakers_of_many_subjects_are_looked_at_in_one_call(engine: Engine) -> None:
    """A list of agents asks for all of theirs."""
    desk = Desk(engine)
    for number in range(3):
        tell(desk, bad=5 * (number % 2), good=1, subject=f"agent:{number}")

    views = desk.run(calls.look(*(f"agent:{number}" for number in range(4))))

    assert [view.state for view in views] == ["closed", "open", "closed", "closed"]


# -- what cannot be --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"failures": 0},
        {"failures": 2.5},
        {"failures": True},
        {"rate": -0.1},
        {"rate": 1.1},
        {"rate": "half"},
        {"rate": float("nan")},
        {"min_calls": 0},
        {"slow": -1},
        {"slow": 1e9},
        {"slow_rate": 0},
        {"window": 0.5},
        {"window": None},
        {"recovery": 0},
        {"recovery": float("inf")},
        {"probes": 0},
        {"probes": 101},
        {"size": 5},
    ],
)
def test_thresholds_that_could_not_work_are_refused(given: dict[str, Any]) -> None:
    """Before a byte is sent, with the field."""
    with pytest.raises(InvalidBreaker) as caught:
        make(**given)

    assert caught.value.code == "invalid-breaker"
    assert caught.value.field in given


@pytest.mark.parametrize("subject", ["", "a b", "x" * 101, ":x", None, 5])
def test_subjects_have_names_like_all_others(subject: Any) -> None:
    """They end up in keys and on command lines."""
    for call in (calls.report, calls.look):
        with pytest.raises(InvalidName):
            call(subject)


@pytest.mark.parametrize(
    "make_call",
    [
        lambda: calls.report("api", Report(calls=-1)),
        lambda: calls.report("api", Report(calls=1.5)),  # type: ignore[arg-type]
        lambda: calls.report("api", Report(failures=10**9)),
        lambda: calls.force("api", "ajar", who="ada"),
        lambda: calls.force("api", "open", who=5),  # type: ignore[arg-type]
        lambda: RetryBudget(share=2),
        lambda: RetryBudget(share=True),
        lambda: RetryBudget(floor=-1),
        lambda: RetryBudget(floor=1.5),  # type: ignore[arg-type]
        lambda: check_places(-1, 0),
        lambda: check_places(1.5, 0),
        lambda: check_places(1, -1),
        lambda: check_places(1, float("nan")),
    ],
)
def test_whatever_else_makes_no_sense_is_refused(make_call: Callable[[], object]) -> None:
    """With a code."""
    with pytest.raises(InvalidInput):
        make_call()
