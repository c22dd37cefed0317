"""Every error coordq raises: one tree, one stable `code` each, one exit code each.

The message says what happened, to what, and what to do about it. Attributes carry the facts,
so a program never has to parse a message. `code` is part of the interface: it does not change
when the words do. `exit_code` is what the command line ends with.
"""

from __future__ import annotations

from typing import Any, ClassVar


class CoordqError(Exception):
    """The root of the tree. Never raised itself."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts
        for name, value in facts.items():
            setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.facts)


def _rebuild(kind: type[CoordqError], message: str, facts: dict[str, Any]) -> CoordqError:
    return kind(message, **facts)


class InvalidInput(CoordqError, ValueError):
    """What was given cannot be used. Nothing was changed."""

    code = "invalid-input"
    exit_code = 2


class InvalidURL(InvalidInput):
    """A Redis address that cannot be understood."""

    code = "invalid-url"


class InvalidSetting(InvalidInput):
    """An environment variable or flag with a value that cannot be used."""

    code = "invalid-setting"


class InvalidName(InvalidInput):
    """A task, queue, agent, role, capability, worker or namespace name outside its pattern."""

    code = "invalid-name"


class InvalidArguments(InvalidInput):
    """Arguments that are not JSON, or do not fit the handler's signature."""

    code = "invalid-arguments"


class InvalidOption(InvalidInput):
    """An option that does not exist, or has a value outside its range."""

    code = "invalid-option"


class InvalidTime(InvalidOption):
    """A delay, moment or time limit that is negative, absurd or without a time zone."""

    code = "invalid-time"


class PayloadTooLarge(InvalidInput):
    """Arguments or a result over the size limit (1 MiB by default)."""

    code = "payload-too-large"


class InvalidAgent(InvalidInput):
    """An agent or task definition that cannot work, found when it is defined or loaded."""

    code = "invalid-agent"


class InvalidSchedule(InvalidInput):
    """A cron line, interval, time zone or policy that cannot be followed."""

    code = "invalid-schedule"


class InvalidFleetFile(InvalidInput):
    """A fleet file that cannot be read, or says what no fleet can be."""

    code = "invalid-fleet-file"


class InvalidFlow(InvalidInput):
    """A graph of tasks that cannot be carried out. Facts: the path of a cycle, or the node."""

    code = "invalid-flow"


class InvalidCondition(InvalidFlow):
    """A condition on a result that cannot be understood. Facts: condition, and where in it."""

    code = "invalid-condition"


class OtherShard(InvalidInput):
    """A task was to wait for one that lives on another shard. Facts: ids."""

    code = "other-shard"


class InvalidTopic(InvalidInput):
    """A topic, pattern or channel that nothing can be sent to or asked for by."""

    code = "invalid-topic"


class InvalidMessage(InvalidInput):
    """A body that is not JSON, or an envelope that cannot be kept."""

    code = "invalid-message"


class InvalidLimit(InvalidInput):
    """A rate, concurrency, budget or weight that cannot be kept."""

    code = "invalid-limit"


class InvalidRoutes(InvalidInput):
    """Routes, or labelled texts, that cannot be used: names, texts, thresholds, files."""

    code = "invalid-routes"


class InvalidTopology(InvalidInput):
    """An arrangement of agents that no network can be. Facts: rule, agents, problems."""

    code = "invalid-topology"


class ImpossibleWish(InvalidInput):
    """No strategy can give what was asked of it. Facts: possible, what could be had instead."""

    code = "impossible-wish"


class InvalidBreaker(InvalidInput):
    """A circuit breaker, retry budget or bulkhead that could not work. Facts: field."""

    code = "invalid-breaker"


class NotFound(CoordqError, LookupError):
    """Something was asked for by a name or id that nothing has."""

    code = "not-found"
    exit_code = 3


class TaskNotFound(NotFound):
    """No task has this id: it never existed, or its retention ran out."""

    code = "task-not-found"


class QueueNotFound(NotFound):
    """No queue of this name was ever used."""

    code = "queue-not-found"


class WorkerNotFound(NotFound):
    """No live worker has this name."""

    code = "worker-not-found"


class AgentNotFound(NotFound):
    """No agent of this name was ever registered, or none fits what was asked for."""

    code = "agent-not-found"


class ScheduleNotFound(NotFound):
    """No schedule has this name."""

    code = "schedule-not-found"


class TenantNotFound(NotFound):
    """No task of this tenant has come yet, and no weight was set for it."""

    code = "tenant-not-found"


class FleetNotFound(NotFound):
    """No `coordq fleet up` runs under this name, or it has no such group."""

    code = "fleet-not-found"


class FlowNotFound(NotFound):
    """No flow has this id: it never existed, or its retention ran out."""

    code = "flow-not-found"


class LimitNotFound(NotFound):
    """No limit of this name was ever set."""

    code = "limit-not-found"


class TopologyNotFound(NotFound):
    """No topology is set, or the version that was asked for is not kept any more."""

    code = "topology-not-found"


class BreakerNotFound(NotFound):
    """No call to this subject was reported lately, and nothing was set for it."""

    code = "breaker-not-found"


class GroupNotFound(NotFound):
    """No group of readers has this name."""

    code = "group-not-found"


class ChannelNotFound(NotFound):
    """No messages lie, or have lately lain, in this channel."""

    code = "channel-not-found"


class NoRoute(NotFound):
    """Nobody whom a text concerns can be sent to. Facts: nearest, score, passed (why, by name)."""

    code = "no-route"


class SessionNotFound(NotFound):
    """No session has this id: it was never opened, or was closed long ago."""

    code = "session-not-found"


class Unreachable(CoordqError, ConnectionError):
    """Redis did not answer within the time we were willing to wait."""

    code = "unreachable"
    exit_code = 4


class EmbeddedFailed(Unreachable):
    """The embedded Redis could not be started, or died at once."""

    code = "embedded-failed"


class UnsafeServer(CoordqError):
    """The server answers, but work kept in it would not be safe."""

    code = "unsafe-server"
    exit_code = 5


class ServerTooOld(UnsafeServer):
    """A Redis older than 6.2."""

    code = "server-too-old"


class ServerEvicts(UnsafeServer):
    """A Redis that deletes keys when full (maxmemory-policy is not noeviction)."""

    code = "server-evicts"


class SchemaMismatch(UnsafeServer):
    """The namespace was written by a version whose keys this one does not understand."""

    code = "schema-mismatch"


class Refused(CoordqError):
    """coordq understood and said no, for now. Nothing was changed."""

    code = "refused"
    exit_code = 5


class RedisFull(Refused):
    """Redis reached maxmemory. Running work goes on; new work is not taken."""

    code = "redis-full"


class ReadOnly(Refused):
    """A minority side of a partition, or a server, that takes no writes."""

    code = "read-only"


class QueueFull(Refused):
    """The queue is at its high mark. `retry_after` is a hint in seconds."""

    code = "queue-full"


class ChannelFull(Refused):
    """Too many messages of a channel have not been acknowledged. Facts: channel, ids."""

    code = "channel-full"


class DuplicateTask(Refused):
    """A live task already holds this unique key."""

    code = "duplicate-task"


class FlowEnded(Refused):
    """A flow that has ended takes no more tasks. Facts: id, state."""

    code = "flow-ended"


class WouldCycle(Refused):
    """An edge or a wait that would make tasks wait for each other for ever. Facts: path."""

    code = "would-cycle"


class NotDurable(Refused):
    """A run that is no single task's cannot keep, make or wait for anything. Facts: what."""

    code = "not-durable"


class Conflict(Refused):
    """Something is not in the state or version that the caller saw. Facts: state or version."""

    code = "conflict"


class BreakerOpen(Refused):
    """The circuit breaker of a subject is open: it was not called. Facts: subject, retry_after."""

    code = "breaker-open"


class BulkheadFull(Refused):
    """As many calls to a subject as are allowed are under way in this process. Facts: subject."""

    code = "bulkhead-full"


class SessionClosed(Refused):
    """Nothing more is said in this session. Facts: id, why."""

    code = "session-closed"


class SessionFull(Refused):
    """A session has had all its turns, bytes or people. Facts: id."""

    code = "session-full"


class NotParticipant(Refused):
    """Who speaks in a session, or is spoken to, takes no part in it. Facts: id, name."""

    code = "not-participant"


class NotConnected(Refused):
    """The topology does not let one agent talk to another. Facts: sender, receiver, version."""

    code = "not-connected"


class NotYourTurn(Refused):
    """The session goes in a round, and it is somebody else's turn. Facts: id, next."""

    code = "not-your-turn"


class StaleClaim(Refused):
    """The claim lapsed or was given to someone else; its fence is no longer honoured."""

    code = "stale-claim"


class Deposed(Refused):
    """A write of a supervisor that leads no more. Facts: epoch, the newer one."""

    code = "deposed"


class NotReplicated(CoordqError):
    """No replica has confirmed it. Facts: ids, of what is done on the primary all the same."""

    code = "not-replicated"


class ForeignData(CoordqError):
    """A key of ours holds something that coordq did not write."""

    code = "foreign-data"


class ScriptMissing(CoordqError):
    """A Lua script is not in the package. The installation is broken."""

    code = "script-missing"


class ScriptMisuse(CoordqError):
    """A script was called with arguments its header does not allow, or failed inside."""

    code = "script-misuse"


class WaitTimeout(CoordqError, TimeoutError):
    """The result did not arrive in time. The task goes on."""

    code = "wait-timeout"


class TaskFailed(CoordqError):
    """The task whose result was asked for is a dead letter. Facts: id, reason, error."""

    code = "task-failed"


class AskFailed(CoordqError):
    """Who was asked answered with an error. Facts: error, by."""

    code = "ask-failed"


class FlowFailed(CoordqError):
    """The flow whose result was asked for failed or was cancelled. Facts: id, state, failed."""

    code = "flow-failed"


class TooFewAnswers(CoordqError):
    """Fewer agents than there must be have answered a question. Facts: answered, asked, least."""

    code = "too-few-answers"


class WaitExpired(CoordqError):
    """What a handler waited for did not come in time: an approval, a signal, other tasks."""

    code = "wait-expired"


class ResultRejected(CoordqError):
    """A second agent that checks results said no. Facts: id, by (the check's task), note."""

    code = "result-rejected"


class ApprovalRejected(CoordqError):
    """A person who was asked for an approval said no. Facts: by, note."""

    code = "approval-rejected"


class TaskCancelled(CoordqError):
    """The task whose result was asked for was cancelled."""

    code = "task-cancelled"


class InvalidEmbedding(CoordqError):
    """An embedder gave something that is no vector for each text."""

    code = "invalid-embedding"


class AccessDenied(CoordqError):
    """Redis does not let this user in, or not do this."""

    code = "access-denied"
    exit_code = 4
