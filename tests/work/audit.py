"""The auditor: recounts a shard from its task records and compares that with the books.

Records are the truth. Counters, lines, leases, due moments, dead letters and unique keys are all
kept beside them by the scripts, and every one of them must say the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from coordq.ids import is_id
from coordq.work.task import TERMINAL, State, Task, read_task

Redis = Callable[..., Any]
GONE = -2
COUNTED = {State.READY: "ready", State.SCHEDULED: "scheduled", State.RUNNING: "running"}


def audit(redis: Redis, root: str) -> None:
    """Fails with what does not add up."""
    tasks = _tasks(redis, root)
    names = _names(redis, root)
    _counters(redis, root, names, tasks)
    _leases(redis, root, tasks)
    _lines(redis, root, names, tasks)
    _due(redis, root, tasks)
    _dead(redis, root, tasks)
    _unique(redis, root, names, tasks)
    _waiting(redis, root, tasks)
    _limits(redis, root, names, tasks)
    _belongings(redis, root, names, tasks)
    _lifetimes(redis, root, tasks)


def _names(redis: Redis, root: str) -> list[str]:
    names: set[str] = set()
    cursor: bytes | str = "0"
    while cursor != b"0":
        cursor, found = redis("SCAN", cursor, "MATCH", f"{root}*", "COUNT", 1000)
        names.update(name.decode().removeprefix(root) for name in found)
    return sorted(names)


def _tasks(redis: Redis, root: str) -> dict[str, Task]:
    tasks = {}
    ids = [name[2:] for name in _names(redis, root) if name.startswith("t:")]
    for task_id in ids:
        record = redis("GET", f"{root}t:{task_id}")
        if record is not None:
            tasks[task_id] = read_task(task_id, record)
    return tasks


def _weight(redis: Redis, root: str, task_id: str) -> int:
    _, spec, args, *_ = redis("GET", f"{root}t:{task_id}").split(b"\n", 3)
    size = redis("STRLEN", f"{root}p:{task_id}") if args == b"@" else len(args)
    return len(spec) + 1 + int(size)


def _counters(redis: Redis, root: str, names: list[str], tasks: dict[str, Task]) -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for task in tasks.values():
        if task.state in COUNTED:
            expected[task.queue, COUNTED[task.state]] += 1
        if task.state in {State.READY, State.SCHEDULED}:
            expected[task.queue, "bytes"] += _weight(redis, root, task.id)
    booked: Counter[tuple[str, str]] = Counter()
    for name in names:
        if not name.startswith("queue:"):
            continue
        flat = redis("HGETALL", root + name)
        fields = {flat[at].decode(): flat[at + 1] for at in range(0, len(flat), 2)}
        for field in ("ready", "scheduled", "running", "bytes"):
            booked[name.removeprefix("queue:"), field] = int(fields.get(field, 0))
    assert +booked == expected, "counters"
    assert all(amount >= 0 for amount in booked.values()), "no counter is negative"


def _leases(redis: Redis, root: str, tasks: dict[str, Task]) -> None:
    held = {member.decode() for member in redis("ZRANGE", f"{root}lease", 0, -1)}
    running = {f"{t.id}|{t.fence}" for t in tasks.values() if t.state is State.RUNNING}
    assert held == running, "one lease for each running task"
    last = int(redis("GET", f"{root}fence") or 0)
    assert all(task.fence <= last for task in tasks.values()), "no fence is from the future"


def _lines(redis: Redis, root: str, names: list[str], tasks: dict[str, Task]) -> None:
    standing: dict[str, set[str]] = {}
    for name in names:
        if name.startswith("line:"):
            entries = redis("LRANGE", root + name, 0, -1)
            standing[name] = {entry[:22].decode() for entry in entries}
    parked = {entry[:22].decode() for _, entry in _parked(redis, root, names)}
    for task in tasks.values():
        if task.state is State.READY and task.id not in parked:
            line = f"line:{task.queue}:{task.spec.line}"
            assert task.id in standing.get(line, ()), f"{task.id} stands in {line}"
    for name in standing:
        _, queue, line = name.split(":", 2)
        line, fair, tenant = line.partition("~")
        ranked = redis("ZSCORE", f"{root}heads:{queue}", line + fair)
        if fair:
            turn = redis("ZSCORE", f"{root}fair:{queue}:{line}~", tenant)
            assert turn is not None, f"{tenant} has its turn in {name}"
        assert ranked is not None, f"{name} is among the heads of its queue"


def _due(redis: Redis, root: str, tasks: dict[str, Task]) -> None:
    members = [member.decode() for member in redis("ZRANGE", f"{root}due", 0, -1)]
    plain = {member for member in members if is_id(member)}
    scheduled = {task.id for task in tasks.values() if task.state is State.SCHEDULED}
    assert plain == scheduled, "one due moment for each scheduled task"
    for member in members:
        if member[0] == "l":
            waits = redis("EXISTS", f"{root}park:{member[1:]}")
            paused = redis("ZSCORE", f"{root}pauses", member[1:])
            assert waits or paused is not None, f"{member} is for somebody"
        elif not is_id(member) and member[0] == "e":
            assert redis("HEXISTS", f"{root}rippling", member[1:]), f"{member} has more to tell"
        elif not is_id(member):
            assert member[1:] in tasks, f"the task of {member} exists"
            assert tasks[member[1:]].state not in TERMINAL, f"the task of {member} goes on"


def _dead(redis: Redis, root: str, tasks: dict[str, Task]) -> None:
    buried = {member.decode() for member in redis("ZRANGE", f"{root}dead", 0, -1)}
    failed = {task.id for task in tasks.values() if task.state is State.FAILED}
    assert buried == failed, "the dead letters are the failed tasks"


def _unique(redis: Redis, root: str, names: list[str], tasks: dict[str, Task]) -> None:
    holders = {
        name.removeprefix("unique:"): redis("GET", root + name).decode()
        for name in names
        if name.startswith("unique:")
    }
    lasting = {task.spec.unique for task in tasks.values() if task.spec.unique_ms}
    for digest, holder in holders.items():
        if digest not in lasting:
            assert holder in tasks, f"the holder of unique:{digest} exists"
            assert tasks[holder].state not in TERMINAL, f"the holder of unique:{digest} lives"


def _parked(redis: Redis, root: str, names: list[str]) -> list[tuple[str, bytes]]:
    slots = [name.removeprefix("park:") for name in names if name.startswith("park:")]
    return [(slot, one) for slot in slots for one in redis("ZRANGE", f"{root}park:{slot}", 0, -1)]


def _limits(redis: Redis, root: str, names: list[str], tasks: dict[str, Task]) -> None:
    parked = _parked(redis, root, names)
    known = {slot.decode() for slot in redis("SMEMBERS", f"{root}parks")}
    assert known == {slot for slot, _ in parked}, "parks says where tasks are parked"
    for slot, entry in parked:
        task = tasks.get(entry[:22].decode())
        assert task is not None, f"the task {entry!r} parked at {slot} exists"
        assert task.state is State.READY, f"{task.id} is parked at {slot} because it is ready"
    held: set[str] = set()
    for name in names:
        if name.startswith("slots:"):
            held |= {member.decode() for member in redis("ZRANGE", root + name, 0, -1)}
    flagged = {task.id for task in tasks.values() if "h" in _flags(redis, root, task.id)}
    assert held == flagged, "who holds slots says so in its record"
    for task_id in held:
        state = tasks[task_id].state
        assert state in {State.RUNNING, State.READY}, f"{task_id} is {state} and holds a slot"


def _flags(redis: Redis, root: str, task_id: str) -> str:
    record = redis("GET", f"{root}t:{task_id}") or b""  # its time may be up by now
    life = record.split(b"\n", 1)[0].decode().split(" ")
    return life[7] if len(life) > 7 else "-"


def _waiting(redis: Redis, root: str, tasks: dict[str, Task]) -> None:
    listed = {member.decode() for member in redis("ZRANGE", f"{root}waiting", 0, -1)}
    waiting = (t for t in tasks.values() if t.state in {State.WAITING, State.SUSPENDED})
    assert listed == {t.id for t in waiting if not t.spec.flow}, "what waits is listed"


def _belongings(redis: Redis, root: str, names: list[str], tasks: dict[str, Task]) -> None:
    for name in names:
        if name.startswith("p:"):
            assert name[2:] in tasks, f"{name} belongs to a task"
    for member in redis("SMEMBERS", f"{root}cancels"):
        task = tasks.get(member.decode())
        assert task is not None, f"the task {member!r} that is to be cancelled exists"
        assert task.state is State.RUNNING, f"{task.id} is to be cancelled because it runs"


def _lifetimes(redis: Redis, root: str, tasks: dict[str, Task]) -> None:
    for task in tasks.values():
        ttl_ms = int(redis("PTTL", f"{root}t:{task.id}"))
        expires = task.state in {State.SUCCEEDED, State.CANCELLED}
        if expires and ttl_ms < 0 and task.spec.flow:
            continue  # others may want its result, until the flow has ended and was tidied up
        if expires and ttl_ms == GONE:
            continue  # its time was up since it was read
        assert (ttl_ms > 0) is expires, f"{task.id} is {task.state} and its record has TTL {ttl_ms}"
        if redis("EXISTS", f"{root}p:{task.id}"):
            assert (int(redis("PTTL", f"{root}p:{task.id}")) > 0) is expires, f"p:{task.id}"
