"""Where agents are served, out of what workers say of themselves with their beats."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from coordq.fleet import agents as counting
from coordq.fleet.profile import Profile


@dataclass(slots=True)
class Serving:
    """What beats say of an agent, summed over its workers."""

    said: Mapping[str, Any]
    workers: list[str] = field(default_factory=list)
    zones: set[str] = field(default_factory=set)
    slots: int = 0
    busy: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    worked_ms: int = 0


def serving(infos: Iterable[bytes]) -> dict[str, Serving]:
    """Each agent that some worker says it has; what is no info is left out."""
    live: dict[str, Serving] = {}
    for info in _readable(infos):
        counted = counting.counts(info)
        serves, worker = info.get("state") != "draining", str(info.get("worker"))
        slots, busy = counting.whole(info.get("slots")), counting.whole(info.get("running"))
        zone = info.get("zone") or info.get("host")
        for name, said in counting.profiles(info).items():
            one = live.get(name)
            if one is None:
                one = live[name] = Serving(said)
            if (done := counted.get(name)) is not None:
                one.running += done["running"]
                one.succeeded += done["succeeded"]
                one.failed += done["failed"]
                one.worked_ms += done["worked_ms"]
            if serves:
                one.workers.append(worker)
                one.slots += slots
                one.busy += busy
                if isinstance(zone, str):
                    one.zones.add(zone)
    return live


def _readable(infos: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for text in infos:
        try:
            info = json.loads(text)
        except ValueError:
            continue
        if isinstance(info, dict):
            yield info


def said_profile(said: Mapping[str, Any]) -> Profile:
    """What a beat says of an agent that the registry does not know: its worker is an older one."""
    role = said.get("role")
    return Profile(
        role=role if isinstance(role, str) else "",
        capabilities=_texts(said.get("capabilities")),
        tasks=_texts(said.get("tasks")),
    )


def _texts(given: Any) -> frozenset[str]:
    return (
        frozenset(one for one in given if isinstance(one, str))
        if isinstance(given, list)
        else (frozenset())
    )
