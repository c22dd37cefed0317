"""Every Redis key, one function each, with its type.

All keys of a shard start with its root, `cq:{<namespace>.<shard>}:`. The braces are a hash tag: a
shard lives in one Redis Cluster slot, so one script may touch all of it. `lua/lib` derives the same
names from KEYS[1], the root; `tests/house` holds the two lists against each other.
"""

from __future__ import annotations


def root(namespace: str, shard: int) -> str:
    """The prefix of every key of a shard."""
    return f"cq:{{{namespace}.{shard}}}:"


def task(root: str, task_id: str) -> str:
    """A task's record: STRING, see lua/lib/record.lua."""
    return f"{root}t:{task_id}"


def payload(root: str, task_id: str) -> str:
    """Arguments larger than 2 KiB: STRING, JSON."""
    return f"{root}p:{task_id}"


def line(root: str, queue: str, line: str) -> str:
    """Ready tasks of one priority and route, and of one tenant if they have one: LIST."""
    return f"{root}line:{queue}:{line}"


def fair(root: str, queue: str, line: str) -> str:
    """Whose turn it is at a fair line, `<priority><route>~`: ZSET of tenants, by pass or age."""
    return f"{root}fair:{queue}:{line}"


def tenants(root: str) -> str:
    """Tenants and their weights: HASH."""
    return f"{root}tenants"


def weights(root: str, queue: str) -> str:
    """Weights of tenants that count at one queue, in place of the general ones: HASH."""
    return f"{root}weights:{queue}"


def served(root: str) -> str:
    """How many tasks of each tenant were started: HASH."""
    return f"{root}served"


def heads(root: str, queue: str) -> str:
    """Which lines of a queue hold tasks, ranked by their first: ZSET."""
    return f"{root}heads:{queue}"


def queue(root: str, queue: str) -> str:
    """A queue's settings and counters: HASH."""
    return f"{root}queue:{queue}"


def queues(root: str) -> str:
    """Names of all queues ever used: SET."""
    return f"{root}queues"


def routes(root: str) -> str:
    """Queues and routes with requirements ever used: SET of `<queue> <route>`."""
    return f"{root}routes"


def due(root: str) -> str:
    """What must happen at a moment: ZSET, score in milliseconds."""
    return f"{root}due"


def lease(root: str) -> str:
    """Claims: ZSET, member `id|fence`, score = when the lease ends, in milliseconds."""
    return f"{root}lease"


def fence(root: str) -> str:
    """The last fence given out: STRING."""
    return f"{root}fence"


def cancels(root: str) -> str:
    """Running tasks that shall be cancelled: SET of ids."""
    return f"{root}cancels"


def dead(root: str) -> str:
    """Dead letters: ZSET, score = when, in milliseconds."""
    return f"{root}dead"


def done(root: str) -> str:
    """Recently succeeded or cancelled tasks, newest first: LIST, capped."""
    return f"{root}done"


def events(root: str) -> str:
    """What happened: STREAM, capped."""
    return f"{root}events"


def unique(root: str, digest: str) -> str:
    """Who holds a unique key: STRING, a task id."""
    return f"{root}unique:{digest}"


def marker(root: str, queue: str, route: str) -> str:
    """What idle workers block on: ZSET."""
    return f"{root}marker:{queue}:{route}"


def space(root: str, queue: str) -> str:
    """What producers of a full queue block on: LIST, expires."""
    return f"{root}space:{queue}"


def claimant(root: str, name: str) -> str:
    """What a claimant was granted last: STRING, expires."""
    return f"{root}claimant:{name}"


def workers(root: str) -> str:
    """Workers and when each last beat: ZSET, score in milliseconds."""
    return f"{root}workers"


def worker(root: str, name: str) -> str:
    """What a worker says of itself: STRING, JSON, expires."""
    return f"{root}worker:{name}"


def inbox(root: str, name: str) -> str:
    """Control messages for a worker: LIST of JSON, expires."""
    return f"{root}inbox:{name}"


def mailbox(root: str, name: str) -> str:
    """Ended tasks that a client waits for: LIST, expires."""
    return f"{root}mailbox:{name}"


def log(root: str, task_id: str) -> str:
    """What a task said while it ran: LIST, capped, expires."""
    return f"{root}log:{task_id}"


def progress(root: str, task_id: str) -> str:
    """How far a task is: STRING, JSON, expires."""
    return f"{root}progress:{task_id}"


def saved(root: str, task_id: str) -> str:
    """What a task keeps from one run to the next: HASH, see lua/lib/saved.lua."""
    return f"{root}saved:{task_id}"


def kids(root: str, task_id: str) -> str:
    """Who waits for the end of a task, or for the start of a flow: LIST of edges."""
    return f"{root}kids:{task_id}"


def need(root: str, task_id: str) -> str:
    """What a waiting task needs of its parents still: HASH; missing for one plain edge."""
    return f"{root}need:{task_id}"


def listening(root: str, name: str) -> str:
    """Who waits for a signal: ZSET of ids, score = since when, in microseconds."""
    return f"{root}listening:{name}"


def signal(root: str, name: str) -> str:
    """A signal for those who will wait for it: STRING, JSON, expires."""
    return f"{root}signal:{name}"


def heard(root: str, nonce: str) -> str:
    """An answer or a signal that was given already: STRING, expires."""
    return f"{root}heard:{nonce}"


def waited(root: str) -> str:
    """Written before a WAIT, so that there is something to wait for: STRING, expires."""
    return f"{root}waited"


def grace(root: str) -> str:
    """Nobody reaps while this exists: STRING, expires."""
    return f"{root}grace"


def meta(root: str) -> str:
    """How the namespace is laid out: HASH, shard 0 only."""
    return f"{root}meta"


def epoch(root: str) -> str:
    """The highest epoch of a leader that was seen: STRING."""
    return f"{root}epoch"


def leader(root: str) -> str:
    """Who leads the supervisors: STRING, expires; shard 0 only."""
    return f"{root}leader"


def handover(root: str) -> str:
    """What supervisors in waiting block on: LIST, expires; shard 0 only."""
    return f"{root}handover"


def led(root: str) -> str:
    """Who led last, and whether it resigned: STRING; shard 0 only."""
    return f"{root}led"


def supervisors(root: str) -> str:
    """Supervisors and when each was last heard: ZSET, score in milliseconds; shard 0 only."""
    return f"{root}supervisors"


def supervisor(root: str, name: str) -> str:
    """What a supervisor says of itself: STRING, JSON, expires; shard 0 only."""
    return f"{root}supervisor:{name}"


def told(root: str, nonce: str) -> str:
    """Events of the leader that were written already: STRING, expires."""
    return f"{root}told:{nonce}"


def report_of(root: str, part: str) -> str:
    """What a part of the leader found last: STRING, JSON, expires; shard 0 only."""
    return f"{root}report:{part}"


def roster(root: str) -> str:
    """The known fleet: HASH, worker to JSON; shard 0 only."""
    return f"{root}roster"


def policy(root: str) -> str:
    """What operators have said of the fleet: HASH; shard 0 only."""
    return f"{root}policy"


def readonly(root: str) -> str:
    """While it exists no new work is taken or started: STRING, who and why; may expire."""
    return f"{root}readonly"


def limits(root: str) -> str:
    """Limits that are set: HASH, name to text, see lua/lib/slot.lua."""
    return f"{root}limits"


def pauses(root: str) -> str:
    """Limits under which nothing starts: ZSET, score = until when, in milliseconds."""
    return f"{root}pauses"


def holders(root: str, slot: str) -> str:
    """Tasks that hold a slot of a limit: ZSET of ids, score = birth in milliseconds."""
    return f"{root}slots:{slot}"


def bucket(root: str, slot: str) -> str:
    """When a limit's bucket is full again: STRING, microseconds, expires."""
    return f"{root}bucket:{slot}"


def window(root: str, slot: str) -> str:
    """The last starts under a sliding window: LIST, microseconds, capped, expires."""
    return f"{root}window:{slot}"


def spent(root: str, slot: str) -> str:
    """Units of a budget that are spent: STRING, expires with the period."""
    return f"{root}spent:{slot}"


def park(root: str, slot: str) -> str:
    """Ready tasks that a limit does not let start yet: ZSET of line entries, ranked as in lines."""
    return f"{root}park:{slot}"


def parks(root: str) -> str:
    """Where tasks are parked: SET of slots."""
    return f"{root}parks"


def schedules(root: str) -> str:
    """Schedules, ranked by when each is next due: ZSET, score in milliseconds."""
    return f"{root}schedules"


def schedule(root: str, name: str) -> str:
    """What a schedule does, and what became of its runs: HASH."""
    return f"{root}schedule:{name}"


def spawners(root: str) -> str:
    """Fleets that `coordq fleet up` runs, and when each was last heard: ZSET; shard 0 only."""
    return f"{root}spawners"


def spawner(root: str, name: str) -> str:
    """The groups of such a fleet: STRING, JSON, expires; shard 0 only."""
    return f"{root}spawner:{name}"


def flow(root: str, flow_id: str) -> str:
    """A flow's account: HASH."""
    return f"{root}flow:{flow_id}"


def flow_ids(root: str, flow_id: str) -> str:
    """Its tasks in order: LIST of ids."""
    return f"{root}flow:{flow_id}:ids"


def flow_graph(root: str, flow_id: str) -> str:
    """Its nodes and edges, for people: LIST of JSON."""
    return f"{root}flow:{flow_id}:graph"


def flows(root: str) -> str:
    """All flows and when each was made: ZSET, score in milliseconds."""
    return f"{root}flows"


def flows_open(root: str) -> str:
    """Flows that have not ended, and when something of each last moved: ZSET."""
    return f"{root}flows:open"


def flows_ended(root: str) -> str:
    """Flows to be deleted, ended or not launched yet: ZSET, score = when, in milliseconds."""
    return f"{root}flows:ended"


def rippling(root: str) -> str:
    """How far the edges of an ended task have been fired, while there are more: HASH."""
    return f"{root}rippling"


def waiting(root: str) -> str:
    """Tasks without a flow that are waiting or suspended, and since when: ZSET."""
    return f"{root}waiting"


def pace(root: str) -> str:
    """How long tasks of flows have run, by name: HASH of <name>:n and <name>:ms."""
    return f"{root}pace"


def topology(root: str) -> str:
    """Who may talk to whom: HASH, see lua/topology/set.lua; shard 0 only."""
    return f"{root}topology"


def topology_past(root: str) -> str:
    """The last versions of it: LIST, capped; shard 0 only."""
    return f"{root}topology:past"


def breakers(root: str) -> str:
    """Subjects that have a breaker, and when each was last written: ZSET; shard 0 only."""
    return f"{root}breakers"


def breaker(root: str, subject: str) -> str:
    """A circuit breaker: HASH, see lua/lib/breaker.lua, may expire; shard 0 only."""
    return f"{root}breaker:{subject}"
