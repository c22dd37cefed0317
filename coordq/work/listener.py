"""What an agent does with messages: a function that is called for each one that it asked for.

    @agent.on("orders.*")
    async def restock(order_id: int, amount: int = 1) -> None: ...

    @agent.on()                      # the agent's own mailbox, and what is said to all
    async def read(ctx: Context, body: str) -> str: ...

The fields of a message's body are the parameters, as arguments are those of a task, and what the
body holds besides is passed over: others may know more than this handler. A parameter named `body`
takes all of it, whatever it is. Of a message that is an `ask` the result is the answer.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from coordq.amounts import whole
from coordq.errors import InvalidAgent, InvalidArguments, InvalidInput
from coordq.names import check_name
from coordq.topics import check_pattern
from coordq.work.handler import Handler
from coordq.work.options import DEFAULTS, seconds

if TYPE_CHECKING:
    from coordq.work.agent import Agent

WHOLE: Final = "body"
"""The parameter that takes a message's body as it is."""
VISIBILITY_S: Final = 30.0
MAX_DELIVERIES: Final = 5
CONCURRENCY_MAX: Final = 1000
DELIVERIES_MAX: Final = 1000


class Listener(Handler):
    """One function of an agent that is called for messages. Made by `Agent.on`."""

    listens = True

    __slots__ = (
        "_takes_nothing",
        "_takes_whole",
        "concurrency",
        "fanout",
        "group",
        "kind",
        "max_deliveries",
        "ordered",
        "patterns",
        "visibility_s",
    )

    def __init__(
        self,
        agent: Agent,
        fn: Any,
        *,
        patterns: Any = (),
        kind: Any = "",
        group: Any = None,
        fanout: Any = False,
        ordered: Any = False,
        concurrency: Any = None,
        visibility: Any = VISIBILITY_S,
        max_deliveries: Any = MAX_DELIVERIES,
        names: Mapping[str, Any] | None = None,
        retry_on: tuple[type[Exception], ...] = (),
        give_up_on: tuple[type[Exception], ...] = (),
        **options: Any,
    ) -> None:
        super().__init__(
            agent,
            fn,
            name=f"@{agent.name}.{fn.__name__}",
            options=DEFAULTS.merge(
                max_attempts=whole("max_deliveries", max_deliveries, 1, DELIVERIES_MAX), **options
            ),
            retry_on=retry_on,
            give_up_on=give_up_on,
            names=names,
        )
        self.patterns = _patterns(patterns)
        """Topics that it asks for; none: it reads the agent's mailbox, and broadcasts."""
        self.kind: str = check_name("kind", kind) if kind else ""
        """Of a mailbox, the kind of messages that it is for; "" = those that nobody else is for."""
        self.fanout = _flag("fanout", fanout)
        """Every worker process is given each message, instead of one of them."""
        self.ordered = _flag("ordered", ordered)
        self.group = self._group(group)
        self.concurrency = (
            None if concurrency is None else whole("concurrency", concurrency, 1, CONCURRENCY_MAX)
        )
        """How many messages of it a worker process handles at once; None = as many as it can."""
        self.visibility_s = seconds("visibility", visibility, zero=False)
        self.max_deliveries: int = max_deliveries
        self.signature.passes_over = True
        shape = self.signature.shape
        self._takes_whole = any(one.name == WHOLE for one in shape.parameters)
        self._takes_nothing = not shape.parameters and shape.extra is inspect.Parameter.empty
        self.bind_json = self._bind

    @property
    def reads_mailbox(self) -> bool:
        """Whether it is for messages to the agent itself."""
        return not self.patterns

    def _group(self, given: Any) -> str:
        """Who shares its messages. Of a mailbox it is the agent, wherever it lives."""
        if self.reads_mailbox:
            if given is not None or self.fanout or self.ordered:
                raise InvalidInput(
                    "group=, fanout= and ordered= go with a pattern; a mailbox is read by its agent"
                )
            return f"@{self.agent.name}"
        if self.kind:
            raise InvalidInput("kind= goes with the mailbox; ask for a topic of its own instead")
        return check_name(
            "group", f"{self.agent.name}.{self.fn.__name__}" if given is None else given
        )

    def _bind(self, body: bytes) -> dict[str, Any]:
        """Validated arguments from the body of a message. Raises InvalidArguments."""
        if self._takes_whole:
            body = b'{"%b":%b}' % (WHOLE.encode(), body)
        elif self._takes_nothing:
            return {}
        try:
            return self.signature.bind_json(body)
        except InvalidArguments:
            if body.lstrip().startswith(b"{"):
                raise
            raise InvalidArguments(
                f"{self.name} takes fields of a message, but its body is no JSON object: a "
                f"parameter named {WHOLE!r} takes any body."
            ) from None

    def __repr__(self) -> str:
        heard = ", ".join(self.patterns) or "its mailbox"
        return f"<Listener {self.name} to {heard}>"


def listener(agent: Agent, fn: Any, given: Mapping[str, Any]) -> Listener:
    """A checked listener. Raises InvalidAgent for whatever cannot work."""
    try:
        made = Listener(agent, fn, **given)
    except InvalidAgent:
        raise
    except InvalidInput as error:
        raise InvalidAgent(f"agent {agent.name!r}, listener {fn.__name__!r}: {error}") from error
    return made


def _patterns(given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    listed = (given,) if isinstance(given, str) else given
    if not isinstance(listed, Sequence) or isinstance(listed, bytes):
        raise InvalidInput(f"{given!r:.80} is no pattern such as 'orders.*', and no list of them")
    if any(isinstance(one, str) and one[:1] == "@" for one in listed):
        raise InvalidInput(f"{given!r:.80}: an agent hears its own mailbox with @agent.on(), alone")
    return tuple(check_pattern(one) for one in listed)


def _flag(option: str, given: Any) -> bool:
    if not isinstance(given, bool):
        raise InvalidInput(f"{option}={given!r}: give True or False")
    return given


def by_kind(listeners: Collection[Listener], kind: str) -> Listener | None:
    """Who of those that read one mailbox a message of this kind is for; None: nobody."""
    for_any = None
    for one in listeners:
        if one.kind == kind:
            return one
        if not one.kind:
            for_any = one
    return for_any
