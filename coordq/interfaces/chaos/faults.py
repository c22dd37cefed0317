"""Faults, carried out: what is done to whom, and how it is undone."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from coordq import clock
from coordq.errors import CoordqError
from coordq.interfaces.chaos import leash, servers
from coordq.interfaces.chaos.listeners import STAND_INS
from coordq.interfaces.chaos.plan import Fault
from coordq.interfaces.chaos.stage import DRAIN_S, Member, Stage

Undo = Callable[[], bool]
"""Ends a fault; False when that is not possible yet."""
GONE_S: Final = DRAIN_S * 3


@dataclass(slots=True)
class Deed:
    """A fault that was carried out."""

    fault: Fault
    whom: str
    """Who was hit, in words: a name, perhaps a pid."""
    at_ms: int
    """When, in milliseconds since 1970."""
    undo: Undo
    undone_ms: int = 0
    """0 while it goes on."""

    def end(self) -> bool:
        """Undo it; False when that is not possible yet."""
        if not self.undone_ms and self.undo():
            self.undone_ms = clock.now_ms()
        return self.undone_ms > 0

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        fault = self.fault
        return {
            "number": fault.number,
            "kind": fault.kind,
            "whom": self.whom,
            "amount": fault.amount,
            "at_ms": self.at_ms,
            "undone_ms": self.undone_ms,
        }


def commit(stage: Stage, fault: Fault) -> Deed:
    """Carry out a fault. Whoever cannot be hit, because it is over or away, is let off."""
    at_ms = clock.now_ms()
    try:
        whom, undo = _ACTS[fault.kind](stage, fault)
    except (OSError, CoordqError) as error:
        whom, undo = f"nobody: {error}", _nothing
    return Deed(fault, whom, at_ms, undo)


def _nothing() -> bool:
    return True


# -- processes ---------------------------------------------------------------------------------


def _member(stage: Stage, fault: Fault) -> Member:
    """Whom a fault hits; faults of supervisors are for the one that leads."""
    chosen = stage.members[fault.target]
    if chosen.kind == "supervisor" and fault.kind.endswith("-supervisor"):
        return stage.leader() or chosen
    return chosen


def _kill(stage: Stage, fault: Fault) -> tuple[str, Undo]:
    member = _member(stage, fault)
    if not member.running:
        return f"{member.name}, which was over", _nothing
    member.down, pid = True, member.pid
    member.kill()

    def start() -> bool:
        member.start()
        return True

    return f"{member.name}.{pid}", start


def _kill_child(stage: Stage, fault: Fault) -> tuple[str, Undo]:
    member = _member(stage, fault)
    children = member.tree()[1:]
    if not children:
        return f"{member.name}, which had no child", _nothing
    pid = children[fault.number % len(children)]
    leash.signal_all([pid], signal.SIGKILL)
    return f"{member.name}.{member.pid} child {pid}", _nothing


def _stop(stage: Stage, fault: Fault) -> tuple[str, Undo]:
    member = _member(stage, fault)
    pids = member.tree()
    if fault.kind == "stop-child":
        children = pids[1:]
        pids = [children[fault.number % len(children)]] if children else []
    leash.signal_all(pids, signal.SIGSTOP)

    def go_on() -> bool:
        leash.signal_all(pids[::-1], signal.SIGCONT)
        return True

    return f"{member.name} {pids}", go_on


def _drain(stage: Stage, fault: Fault) -> tuple[str, Undo]:
    member = _member(stage, fault)
    if not member.running or member.process is None:
        return f"{member.name}, which was over", _nothing
    member.down, since = True, clock.monotonic()
    member.process.terminate()

    def start() -> bool:
        if member.running and clock.monotonic() - since < GONE_S:
            return False
        member.kill()
        member.start()
        return True

    return member.name, start


def _jump(stage: Stage, fault: Fault) -> tuple[str, Undo]:
    skew = stage.skews[fault.target]
    skew.step(fault.amount)

    def step_back() -> bool:
        skew.step(0.0)
        return True

    return fault.target, step_back


def _swap(stage: Stage, _: Fault) -> tuple[str, Undo]:
    usual, other = STAND_INS
    stage.stand_in(other)

    def swap_back() -> bool:
        with suppress(CoordqError):
            if stage.calm:
                stage.stand_in(usual)
                return True
        return False

    return other, swap_back


# -- wires -------------------------------------------------------------------------------------


def _on_wire(do: Callable[[Stage, str, float], None]) -> Callable[[Stage, Fault], tuple[str, Undo]]:
    def act(stage: Stage, fault: Fault) -> tuple[str, Undo]:
        name = _member(stage, fault).name
        do(stage, name, fault.amount)

        def heal() -> bool:
            stage.wires.heal(name)
            return True

        return name, heal

    return act


# -- Redis -------------------------------------------------------------------------------------


def _pause_redis(stage: Stage, _: Fault) -> tuple[str, Undo]:
    server = stage.redis.master()
    server.signal(signal.SIGSTOP)
    stage.calm = False

    def go_on() -> bool:
        server.signal(signal.SIGCONT)
        stage.calm = True
        return True

    return f"redis {server.pid}", go_on


def _kill_redis(stage: Stage, _: Fault) -> tuple[str, Undo]:
    server = stage.redis.master()
    server.kill()
    stage.calm = False

    def start() -> bool:
        if not server.running:
            server.start()
        stage.calm = server.ready
        return stage.calm

    return f"redis {server.pid}", start


def _fail_over(stage: Stage, _: Fault) -> tuple[str, Undo]:
    """The next failover must find a replica that has everything, or it would lose it all."""
    redis = stage.redis
    assert isinstance(redis, servers.Guarded)
    server = redis.master()
    server.kill()
    stage.calm = False

    def start() -> bool:
        with suppress(OSError):
            if not server.running and redis.master() is not server:
                redis.start_as_replica(server)
            stage.calm = server.running and server.ready
        return stage.calm

    return f"redis {server.pid}", start


def _configure(*words: str) -> Callable[[Stage, Fault], tuple[str, Undo]]:
    """A command to Redis; where it sets a limit of memory, that is lifted in the end."""

    def act(stage: Stage, _: Fault) -> tuple[str, Undo]:
        server = stage.redis.master()
        servers.ask(server.port, *words)

        def lift() -> bool:
            with suppress(OSError, CoordqError):
                servers.ask(server.port, "CONFIG", "SET", "maxmemory", "0")
            return True

        return f"redis {server.pid}", lift

    return act


def _late_leader(stage: Stage, _: Fault) -> tuple[str, Undo]:
    """What a former leader had sent before it was deposed arrives now; it must be refused."""
    ghost = stage.summon()
    return "nobody", lambda: ghost.poll() is not None


_ACTS: Final[dict[str, Callable[[Stage, Fault], tuple[str, Undo]]]] = {
    "kill-child": _kill_child,
    "kill-worker": _kill,
    "stop-worker": _stop,
    "stop-child": _stop,
    "drain-worker": _drain,
    "clock-jump": _jump,
    "swap-stand-in": _swap,
    "cut-worker": _on_wire(lambda stage, name, _: stage.wires.hold(name)),
    "lost-reply": _on_wire(lambda stage, name, amount: stage.wires.lose(name, int(amount))),
    "slow-reply": _on_wire(lambda stage, name, amount: stage.wires.delay(name, amount)),
    "reset": _on_wire(lambda stage, name, _: stage.wires.reset(name)),
    "cut-producer": _on_wire(lambda stage, name, _: stage.wires.hold(name)),
    "kill-producer": _kill,
    "cut-supervisor": _on_wire(lambda stage, name, _: stage.wires.hold(name)),
    "kill-supervisor": _kill,
    "stop-supervisor": _stop,
    "late-leader": _late_leader,
    "redis-pause": _pause_redis,
    "redis-kill": _kill_redis,
    "redis-full": _configure("CONFIG", "SET", "maxmemory", "1"),
    "redis-forget": _configure("SCRIPT", "FLUSH"),
    "redis-failover": _fail_over,
}
