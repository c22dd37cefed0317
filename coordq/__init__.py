"""coordq: a Redis-backed work queue and coordination plane for fleets of agents.

The names below are all there is to import; each is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coordq.bus.causal import Causal as Causal
    from coordq.bus.envelope import Message as Message
    from coordq.bus.group import Group as Group
    from coordq.bus.session import Said as Said
    from coordq.bus.session_view import Turn as Turn
    from coordq.client.client import Client as Client
    from coordq.client.client import connect as connect
    from coordq.client.client_async import AsyncClient as AsyncClient
    from coordq.client.client_async import connect_async as connect_async
    from coordq.client.flows import FlowHandle as FlowHandle
    from coordq.client.flows_async import AsyncFlowHandle as AsyncFlowHandle
    from coordq.client.posting import Published as Published
    from coordq.client.sessions import Session as Session
    from coordq.client.sessions_async import AsyncSession as AsyncSession
    from coordq.client.subscription import Delivery as Delivery
    from coordq.client.subscription import Subscription as Subscription
    from coordq.client.subscription_async import AsyncDelivery as AsyncDelivery
    from coordq.client.subscription_async import AsyncSubscription as AsyncSubscription
    from coordq.client.work import TaskHandle as TaskHandle
    from coordq.client.work_async import AsyncTaskHandle as AsyncTaskHandle
    from coordq.errors import CoordqError as CoordqError
    from coordq.fleet.advice import Advice as Advice
    from coordq.fleet.advice import advise as advise
    from coordq.fleet.semantic.cache import Caching as Caching
    from coordq.fleet.semantic.decision import Decision as Decision
    from coordq.fleet.semantic.router import Router as Router
    from coordq.fleet.topology.shape import Topology as Topology
    from coordq.ids import new_id as new_id
    from coordq.work.agent import Agent as Agent
    from coordq.work.backoff import Backoff as Backoff
    from coordq.work.batch import Batch as Batch
    from coordq.work.context import Context as Context
    from coordq.work.depends import Depends as Depends
    from coordq.work.flow.build import Flow as Flow
    from coordq.work.flow.step import Step as Step
    from coordq.work.middleware import Middleware as Middleware
    from coordq.work.options import Options as Options
    from coordq.work.signals import RateLimited as RateLimited
    from coordq.work.signals import Reject as Reject
    from coordq.work.signals import Retry as Retry
    from coordq.work.signals import Snooze as Snooze
    from coordq.work.signals import Suspended as Suspended
    from coordq.work.synthesis import Answer as Answer
    from coordq.work.synthesis import synthesize as synthesize
    from coordq.work.task import State as State
    from coordq.work.task import Task as Task

__version__ = "0.1.0"

_HOMES = {
    "Advice": "coordq.fleet.advice",
    "Agent": "coordq.work.agent",
    "Answer": "coordq.work.synthesis",
    "AsyncClient": "coordq.client.client_async",
    "AsyncDelivery": "coordq.client.subscription_async",
    "AsyncFlowHandle": "coordq.client.flows_async",
    "AsyncSession": "coordq.client.sessions_async",
    "AsyncSubscription": "coordq.client.subscription_async",
    "AsyncTaskHandle": "coordq.client.work_async",
    "Backoff": "coordq.work.backoff",
    "Batch": "coordq.work.batch",
    "Caching": "coordq.fleet.semantic.cache",
    "Causal": "coordq.bus.causal",
    "Client": "coordq.client.client",
    "Context": "coordq.work.context",
    "CoordqError": "coordq.errors",
    "Decision": "coordq.fleet.semantic.decision",
    "Delivery": "coordq.client.subscription",
    "Depends": "coordq.work.depends",
    "Flow": "coordq.work.flow.build",
    "FlowHandle": "coordq.client.flows",
    "Group": "coordq.bus.group",
    "Message": "coordq.bus.envelope",
    "Middleware": "coordq.work.middleware",
    "Options": "coordq.work.options",
    "Published": "coordq.client.posting",
    "RateLimited": "coordq.work.signals",
    "Reject": "coordq.work.signals",
    "Retry": "coordq.work.signals",
    "Router": "coordq.fleet.semantic.router",
    "Said": "coordq.bus.session",
    "Session": "coordq.client.sessions",
    "Snooze": "coordq.work.signals",
    "State": "coordq.work.task",
    "Step": "coordq.work.flow.step",
    "Subscription": "coordq.client.subscription",
    "Suspended": "coordq.work.signals",
    "Task": "coordq.work.task",
    "TaskHandle": "coordq.client.work",
    "Topology": "coordq.fleet.topology.shape",
    "Turn": "coordq.bus.session_view",
    "advise": "coordq.fleet.advice",
    "connect": "coordq.client.client",
    "connect_async": "coordq.client.client_async",
    "new_id": "coordq.ids",
    "synthesize": "coordq.work.synthesis",
}
__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604 - the table is the list


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'coordq' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
