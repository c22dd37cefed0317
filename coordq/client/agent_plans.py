"""Operations on the registry of agents, written once for both clients."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from coordq.amounts import is_number, whole
from coordq.client.plan import Plan
from coordq.clock import monotonic
from coordq.errors import AgentNotFound, Conflict, InvalidOption, Refused
from coordq.fleet import registry
from coordq.fleet.directory import ALL, HERE, STATES, AgentView, Directory, Wanted
from coordq.fleet.profile import TTL_S, agent_name, make_profile, read_said, said_text
from coordq.fleet.registry import News, StandIn, Verdict
from coordq.fleet.sentences import listed
from coordq.names import check_name

TRIES: Final = 20
"""How often a change is made anew on top of somebody else's before that is called a conflict."""
LIMIT_MAX: Final = 10_000


def learn(directory: Directory, *, afresh: bool = False) -> Plan[None]:
    """Bring a directory up to date. afresh: with this moment's beats, however young its own."""
    live = afresh or directory.is_stale(monotonic())
    news: News = yield registry.look(directory.revision, live=live)
    directory.learn(news, monotonic())


def get(directory: Directory, name: str) -> Plan[AgentView]:
    """One agent as it is now. Raises AgentNotFound."""
    agent_name(name)
    yield from learn(directory, afresh=True)
    view = directory.get(name)
    if view is None:
        raise unknown(directory, name)
    return view


def unknown(directory: Directory, name: str) -> AgentNotFound:
    """What to say of a name that nobody has."""
    names = listed(directory.names()) or "none yet"
    return AgentNotFound(f"There is no agent {name!r}; there are: {names}.", name=name)


def wanted(
    *,
    role: str = "",
    capabilities: Collection[str] = (),
    task: str = "",
    zone: str = "",
    text: str = "",
    max_load: float | None = None,
    state: str = "here",
) -> Wanted:
    """What is looked for, checked. Raises InvalidOption, InvalidName."""
    for kind, name in (("role", role), ("task", task), ("zone", zone)):
        if name:
            check_name(kind, name)
    if isinstance(capabilities, str) or not isinstance(capabilities, Collection):
        raise InvalidOption(
            f"capabilities={capabilities!r} is no list of names.", option="capabilities"
        )
    if not isinstance(text, str):
        raise InvalidOption(f"text={text!r} is not text.", option="text")
    _check_load("max_load", max_load)
    if state not in ("here", "all", *STATES):
        raise InvalidOption(
            f"state={state!r}: use one of here, all, {', '.join(STATES)}.", option="state"
        )
    states = {"here": HERE, "all": ALL}.get(state, frozenset((state,)))
    names = frozenset(check_name("capability", one) for one in capabilities)
    return Wanted(role, names, task, zone, text, max_load, states)


def check_limit(limit: object) -> int | None:
    """`limit` when it is a number of agents, or None. Raises InvalidOption."""
    return None if limit is None else whole("limit", limit, 1, LIMIT_MAX)


def find(directory: Directory, limit: int | None, **given: Any) -> Plan[list[AgentView]]:
    """Who fits. Raises InvalidOption, InvalidName."""
    most, asked = check_limit(limit), wanted(**given)
    yield from learn(directory)
    return directory.find(asked, most)


def ls(directory: Directory) -> Plan[list[AgentView]]:
    """All that are known, by name, as they are now."""
    yield from learn(directory, afresh=True)
    return sorted(directory.find(wanted(state="all")), key=lambda view: view.name)


def register(
    directory: Directory,
    name: str,
    *,
    ttl: float = TTL_S,
    load: float | None = None,
    version: int | None = None,
    **given: Any,
) -> Plan[AgentView]:
    """An agent outside workers makes itself known. Raises InvalidAgent, Conflict, Refused."""
    profile = make_profile(name, ttl=ttl, **given)
    _check_load("load", load)
    _check_version(version)
    done: Verdict = yield registry.register(name, profile, load=load, version=version)
    if done.verdict != "ok":
        raise _refusal(name, done, version)
    return (yield from get(directory, name))


def heartbeat(name: str, load: float | None) -> Plan[float]:
    """It is still there; for how many seconds that counts. Raises AgentNotFound, Refused."""
    agent_name(name)
    _check_load("load", load)
    kept_ms: int = yield registry.present(name, load=load)
    if kept_ms == 0:
        raise AgentNotFound(f"There is no agent {name!r}: register it first.", name=name)
    if kept_ms < 0:
        raise Refused(f"Agent {name!r} is one of workers, which speak for it.", name=name)
    return kept_ms / 1000


def update(
    directory: Directory, name: str, *, version: int | None, who: str, **given: Any
) -> Plan[AgentView]:
    """Say something else of an agent than it says itself.

    Raises AgentNotFound, InvalidAgent, Conflict.
    """
    agent_name(name)
    check_name("operator", who)
    _check_version(version)
    said_text(name, {}, given)
    for _ in range(TRIES):
        yield from learn(directory)
        record = directory.record(name)
        if record is None:
            raise unknown(directory, name)
        text = said_text(name, read_said(record.said), given)
        expected = record.version if version is None else version
        done: Verdict = yield registry.revise(name, text, version=expected, who=who)
        if done.verdict == "ok":
            return (yield from get(directory, name))
        if done.verdict == "unknown" or version is not None:
            break
    raise _refusal(name, done, version)


def leave(name: str, *, forget: bool) -> Plan[bool]:
    """It is gone; true when something was changed. Raises AgentNotFound, Refused."""
    agent_name(name)
    done: Verdict = yield registry.depart(name, forget=forget)
    if done.verdict != "gone":
        raise _refusal(name, done, None)
    return done.number == 1


def stand_in(name: str, by: str | None, *, who: str) -> Plan[None]:
    """One acts for another, until that is back; None ends it. Raises AgentNotFound, Refused."""
    agent_name(name)
    check_name("operator", who)
    if by is not None and agent_name(by) == name:
        raise Refused(f"Agent {name!r} cannot stand in for itself.", name=name)
    verdict: str = yield registry.stand_in(name, by or "", who=who)
    if verdict in ("unknown", "nobody"):
        missing = name if verdict == "unknown" else by
        raise AgentNotFound(f"There is no agent {missing!r}.", name=missing)
    if verdict == "circle":
        raise Refused(
            f"Agent {by!r} cannot stand in for {name!r}, which stands in for it, perhaps through "
            "others: end that first.",
            name=name,
        )


def stand_ins(directory: Directory) -> Plan[dict[str, StandIn]]:
    """Who acts for whom."""
    yield from learn(directory)
    return directory.stand_ins()


def _refusal(name: str, done: Verdict, version: int | None) -> Exception:
    match done.verdict:
        case "conflict":
            wanted_version = "" if version is None else f", not {version}"
            return Conflict(
                f"Agent {name!r} has version {done.number}{wanted_version}: look at it again.",
                name=name,
                version=done.number,
            )
        case "hosted":
            workers = "1 worker has" if done.number == 1 else f"{done.number} workers have"
            return Refused(f"Agent {name!r}: {workers} it, and speak for it.", name=name)
        case "full":
            return Refused(
                f"Agent {name!r} has no place: the registry holds 10,000 agents. Forget some.",
                name=name,
            )
    return AgentNotFound(f"There is no agent {name!r}.", name=name)


def _check_load(option: str, load: object) -> None:
    if load is not None and not is_number(load, 0, 1):
        raise InvalidOption(
            f"{option}={load!r}: give a share from 0 (idle) to 1 (full).", option=option
        )


def _check_version(version: object) -> None:
    if version is not None:
        whole("version", version, most=2**53 - 1)
