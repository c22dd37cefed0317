"""Which strategy of agreement fits a fleet, with what sizes, and why; pure thought.

The matrix, from the first row that fits:

    rule           agents  faults     consistency  strategy
    byzantine      4-31    byzantine  any          byzantine: 3f+1 replicas vote
    verdicts       32-     byzantine  any          hybrid: such a group, gossip for the rest
    spread         2-      crash      eventual     gossip
    both           3-      crash      mixed        hybrid: raft decides, gossip spreads
    apart          6-      crash      strong       hierarchical, if groups may decide alone
    few            3-7     crash      strong       raft, each agent a voter or a watcher
    control-group  8-30    crash      strong       raft among 3 to 7, the others watch
    wide           31-211  crash      strong       hybrid: raft among 3 to 7, and gossip
    levels         212-    crash      strong       hierarchical: groups, and their heads

The bounds are those of the field, and ours by choice. Beyond 7 voters each decision waits for more
disks, and no more faults are worth it. Beyond 30 agents a leader has too many to tell, and gossip
does it. Beyond 31 replicas a Byzantine decision takes some two thousand messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log
from typing import Any, Final

from coordq.fleet.wishes import (
    BYZANTINE_MAX,
    VOTERS_MAX,
    VOTERS_MIN,
    Wish,
    check,
)

STRATEGIES: Final = ("raft", "gossip", "byzantine", "hierarchical", "hybrid")

VOTERS: Final = 5
"""Unless fewer are there or more faults are to be tolerated: one may be away for an upgrade while
another one crashes."""
WATCHERS_MAX: Final = 30
LEVELS_FROM: Final = 212
GROUP: Final = 16
"""Agents of a group where groups are made: its leader has few to tell, and a top group can name
all heads."""
FANOUT: Final = 3
"""To how many a gossiping agent tells something in each round."""
TODAY: Final = (
    "This version of coordq has no consensus among agents yet: one supervisor leads by a lease in "
    "Redis, fenced by epochs. `coordq doctor` says what that means."
)


@dataclass(frozen=True, slots=True)
class Advice:
    """One strategy with its sizes."""

    strategy: str
    """raft, gossip, byzantine, hierarchical or hybrid."""
    rule: str
    """The row of the matrix that was followed."""
    agents: int
    faults: str
    consistency: str
    voters: int
    """Who decides together; of a hierarchy those of the top group; 0: nobody has to."""
    quorum: int
    """How many of these must agree; 0: nobody waits for anybody."""
    tolerates: int
    """How many of these may fail at once, as `faults` says."""
    watchers: int
    """Agents that learn what was decided, and decide nothing."""
    groups: int
    """1 unless the strategy makes groups."""
    group_size: int
    """Of the largest."""
    group_voters: int
    """Who decides inside each group; 0 without groups."""
    messages: int
    """For one decision of the voters; of gossip for one piece of news that reaches all."""
    rounds: int
    """One-way trips until a decision is known to the voters; of gossip until all have it."""
    why: tuple[str, ...]
    lacks: tuple[str, ...]
    """What it does not give."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "strategy": self.strategy,
            "rule": self.rule,
            "agents": self.agents,
            "faults": self.faults,
            "consistency": self.consistency,
            "voters": self.voters,
            "quorum": self.quorum,
            "tolerates": self.tolerates,
            "watchers": self.watchers,
            "groups": self.groups,
            "group_size": self.group_size,
            "group_voters": self.group_voters,
            "messages": self.messages,
            "rounds": self.rounds,
            "why": list(self.why),
            "lacks": list(self.lacks),
            "today": TODAY,
        }


def advise(
    agents: int,
    *,
    faults: str = "crash",
    consistency: str = "strong",
    tolerate: int | None = None,
    when_parted: str | None = None,
    independent: bool = False,
) -> Advice:
    """The strategy for so many agents, its sizes, the rule it follows and what it does not give.

    faults: crash, agents stop; byzantine, they may lie as well. consistency: strong, all see one
    order of decisions; eventual, they come to see the same; mixed, decisions are strong and news is
    eventual. tolerate: how many of those who decide may fail at once; None: what the size gives.
    when_parted: what matters more while the network is in parts, consistent or available.
    independent: whether groups of agents may decide their own matters without the others.

    Raises ImpossibleWish for what no strategy can give, with what would be `possible`, and
    InvalidOption.
    """
    wish = Wish(agents, faults, consistency, tolerate, when_parted, independent)
    check(wish)
    if faults == "byzantine":
        return _byzantine(wish)
    if consistency == "eventual":
        return _gossip(wish)
    if consistency == "mixed":
        return _hybrid(wish, "both", "what must be decided is decided by few, the rest is news")
    return _strong(wish)


def _strong(wish: Wish) -> Advice:
    """One order of decisions, by the number of agents."""
    if wish.independent and wish.agents >= 2 * _least(wish):
        return _hierarchical(wish, "apart", "groups may decide alone: no decision needs them all")
    if wish.agents <= WATCHERS_MAX:
        return _raft(wish)
    if wish.agents < LEVELS_FROM:
        why = f"beyond {WATCHERS_MAX} agents the leader of a control group has too many to tell"
        return _hybrid(wish, "wide", why)
    why = f"beyond {LEVELS_FROM - 1} agents one group of any kind spends its time on coordination"
    return _hierarchical(wish, "levels", why)


def _least(wish: Wish) -> int:
    """How many voters it takes to tolerate so many crashes."""
    return max(VOTERS_MIN, 2 * (wish.tolerate or 1) + 1)


# -- what can --------------------------------------------------------------------------------------


def voters_of(agents: int, tolerate: int | None) -> int:
    """How many decide together by majority: odd, 3 to 7, 5 unless there is a reason.

    An even number would wait for one more, and tolerate no more.
    """
    wanted = VOTERS if tolerate is None else max(VOTERS_MIN, 2 * tolerate + 1)
    there = agents if agents % 2 else agents - 1
    if tolerate is None and agents <= VOTERS_MAX:
        wanted = there
    return max(1, min(wanted, there, VOTERS_MAX))


def replicas_of(agents: int, tolerate: int | None) -> int:
    """How many decide together though some may lie: 3f+1."""
    most = (min(agents, BYZANTINE_MAX) - 1) // 3
    usual = most if agents <= BYZANTINE_MAX else 3
    liars = usual if tolerate is None else max(1, tolerate)
    return 3 * liars + 1


def spread(agents: int) -> tuple[int, int]:
    """Messages and rounds until gossip has reached all, give or take one round."""
    rounds = ceil(log(agents) / log(FANOUT + 1)) + 1
    return agents * FANOUT, rounds


def _advice(wish: Wish, strategy: str, rule: str, **sizes: Any) -> Advice:
    usual: dict[str, Any] = {
        "voters": 0,
        "quorum": 0,
        "tolerates": 0,
        "groups": 1,
        "group_size": wish.agents,
        "group_voters": 0,
    }
    sizes.setdefault("watchers", wish.agents - sizes.get("voters", wish.agents))
    return Advice(
        strategy, rule, wish.agents, wish.faults, wish.consistency, **{**usual, **sizes}
    )  # fmt: skip


def _majority(wish: Wish) -> dict[str, Any]:
    """The sizes of a group that decides by majority."""
    voters = voters_of(wish.agents, wish.tolerate)
    return {
        "voters": voters,
        "quorum": voters // 2 + 1,
        "tolerates": (voters - 1) // 2,
        "messages": 2 * (voters - 1),
        "rounds": 2,
    }


_PARTED: Final = "A side of a partition without a majority can look, but not decide."
_LIES: Final = "An agent that lies, or whose disk forgets, can break it: it tolerates crashes only."


def _raft(wish: Wish) -> Advice:
    sizes = _majority(wish)
    few = wish.agents <= VOTERS_MAX
    watchers = wish.agents - sizes["voters"]
    why = [
        "agents stop and do not lie, and all see one order of decisions",
        f"a majority of {sizes['voters']} voters decides, of which {sizes['tolerates']} may stop",
    ]
    if watchers:
        even = "an even voter would add no tolerance" if few else "more voters would add delay"
        why.append(f"{watchers} watch, since {even}")
    return _advice(
        wish,
        "raft",
        "few" if few else "control-group",
        **sizes,
        why=tuple(why),
        lacks=(_LIES, _PARTED, "Decisions of all agents go through one leader."),
    )


def _gossip(wish: Wish) -> Advice:
    messages, rounds = spread(wish.agents)
    why = [f"agents only have to come to see the same: each tells {FANOUT} others in each round"]
    if VOTERS_MIN <= wish.agents <= WATCHERS_MAX:
        why.append("at this size strong would cost little: raft among 3 to 7")
    return _advice(
        wish,
        "gossip",
        "spread",
        watchers=0,
        tolerates=wish.agents - 1,
        messages=messages,
        rounds=rounds,
        why=tuple(why),
        lacks=(
            "No order of decisions, no lock, no leader: two agents may act on different news.",
            "When all have heard is likely, not certain; it has to be measured.",
            "A lie spreads as well as the truth.",
        ),
    )


def _byzantine(wish: Wish) -> Advice:
    replicas = replicas_of(wish.agents, wish.tolerate)
    liars = (replicas - 1) // 3
    wide = wish.agents > BYZANTINE_MAX
    why = [f"agents may lie: {replicas} replicas outvote {liars}, by 3f+1, with signed votes"]
    lacks = [
        f"More than {liars} liars among the replicas, or stolen keys, break it.",
        "It goes on only while messages arrive in time; it stays right when they do not.",
        "It does not make answers right: agents that are wrong in the same way agree.",
    ]
    if wide:
        why.append(f"beyond {BYZANTINE_MAX} the votes of all would be too many: the others hear "
                   "signed verdicts by gossip")  # fmt: skip
        lacks.append("Agents outside the group have no vote.")
    if wish.consistency == "eventual":
        why.append("eventual would not do: without a vote nobody can tell a lie from news")
    return _advice(
        wish,
        "hybrid" if wide else "byzantine",
        "verdicts" if wide else "byzantine",
        voters=replicas,
        quorum=2 * liars + 1,
        tolerates=liars,
        messages=2 * replicas * (replicas - 1),
        rounds=3,
        why=tuple(why),
        lacks=tuple(lacks),
    )


def _hybrid(wish: Wish, rule: str, reason: str) -> Advice:
    sizes = _majority(wish)
    _, rounds = spread(wish.agents)
    return _advice(
        wish,
        "hybrid",
        rule,
        **sizes,
        why=(
            reason,
            f"{sizes['voters']} voters decide by raft, of which {sizes['tolerates']} may stop",
            f"the others learn by gossip who lives and what was decided, in about {rounds} rounds",
        ),
        lacks=(
            _LIES,
            _PARTED,
            "Who is no voter may act on what was decided a moment ago: it has to show its epoch.",
        ),
    )


def _hierarchical(wish: Wish, rule: str, reason: str) -> Advice:
    groups = max(2, ceil(wish.agents / GROUP))
    size = ceil(wish.agents / groups)
    smallest = wish.agents // groups
    inside = voters_of(smallest, wish.tolerate)
    top = voters_of(groups, wish.tolerate)
    deciding = inside if rule == "apart" else top
    above = (
        f"{top} of the {groups:,} heads decide by raft what concerns all"
        if top >= VOTERS_MIN
        else "two heads have no majority without each other: what concerns both goes by gossip"
    )
    return _advice(
        wish,
        "hierarchical",
        rule,
        voters=deciding,
        quorum=deciding // 2 + 1,
        tolerates=(deciding - 1) // 2,
        watchers=wish.agents - inside * groups,
        groups=groups,
        group_size=size,
        group_voters=inside,
        messages=2 * (deciding - 1),
        rounds=2,
        why=(
            reason,
            f"{groups:,} groups of up to {size} decide by raft among {inside} of their own",
            above,
        ),
        lacks=(
            _LIES,
            "No order between decisions of different groups, unless the top group made it.",
            f"A group that has lost more than {(inside - 1) // 2} of its voters decides nothing.",
        ),
    )
