"""What a handler says to others: as its agent, of the message or task that it handles.

Like everything of the context it is awaited in an async handler and blocks in a sync one. It goes
over `ctx.client.bus`, with an envelope that says whose words they are and what they come of, so the
topology is asked for that agent, and whoever follows a chain of messages finds it whole.
"""

from __future__ import annotations

from typing import Any, Final

from coordq.errors import CoordqError, InvalidOption
from coordq.names import TRACEPARENT, check_key, check_name
from coordq.work.waits import Waits

OWN: Final = ("sender", "causation", "id", "once")
"""What a handler does not say of its messages: it follows from what it is, and what it handles."""
ASK_S: Final = 30.0


class Speaking:
    """The part of a context that speaks to others."""

    __slots__ = ()

    agent: str
    _claim: Any
    _tasks: tuple[Any, ...]

    @property
    def client(self) -> Any:
        """A client of the worker's own namespace."""
        raise NotImplementedError

    def _kept(self) -> Waits:
        raise NotImplementedError

    @property
    def message(self) -> Any:
        """The message that is handled, a `coordq.bus.Message`; None in a task."""
        return getattr(self._claim, "message", None)

    @property
    def session(self) -> Any:
        """The session that the message was said in: `ctx.session.say(...)`, and the like.

        A run that is repeated says nothing twice: what an earlier one has said, by its place among
        all that the handler says, is said already. Raises CoordqError outside a session.
        """
        voice = getattr(self._claim, "voice", None)
        if voice is None:
            raise CoordqError(
                "This was not said in a session; client.sessions.get(id, me=...) gives any."
            )
        return self.client.sessions.speaking(voice)

    def reply(self, body: Any, *, last: bool = True) -> Any:
        """Answer the message that is handled, if it was asked: any JSON value.

        last: False for a part of an answer, more of which will follow. To be awaited in an async
        handler. What the handler returns is the answer when none was given in this way.

        Raises InvalidMessage when nobody waits for an answer, PayloadTooLarge.
        """
        if self.message is None:
            raise CoordqError("ctx.reply answers a message; a task is not one: return its result.")
        answer: Any = self._claim
        return self.client.engine.run(answer.answer(body, "last" if last else "part"))

    def publish(self, topic: str, body: Any, /, *, key: str = "", **options: Any) -> Any:
        """Publish to a topic as the agent, or to all with "*"; gives a Published.

        The envelope says who speaks (`sender`), what that comes of (`causation`: the id of the
        message or task), and goes on with its correlation and trace; of what has none, the
        correlation is the flow's id, or that of the message or task itself. options: as of
        `client.bus.publish`, but for what is said so.

        A run that is repeated within five minutes publishes nothing twice: the second message to a
        topic is the second that the first run published there, so it must publish the same in the
        same order, or give each a `key`. After that it is published again, under the same id. In a
        batch `ctx.tasks[n].publish` speaks of a task; the context of all speaks of none, each time.

        Raises as `client.bus.publish`: NotConnected when the topology does not let the agent.
        """
        said = self._envelope(options)
        check_key(key)
        if not self._tasks:
            said |= {"id": self._message_id(topic, key), "once": True}
        return self.client.bus.publish(topic, body, **said)

    def send(self, agent: str, body: Any, /, *, key: str = "", **options: Any) -> Any:
        """Send to an agent's mailbox, as the agent: see `publish`. Raises also AgentNotFound."""
        return self.publish(f"@{check_name('agent', agent)}", body, key=key, **options)

    def ask(self, to: str, body: Any, /, *, timeout: float = ASK_S, **options: Any) -> Any:
        """Ask an agent, or who reads a topic, as the agent, and wait `timeout` seconds: the answer.

        The envelope is that of `publish`. A run that is repeated asks again; `ctx.session.ask` does
        not. Raises as `client.bus.ask`: WaitTimeout, AskFailed, AgentNotFound, GroupNotFound,
        NotConnected.
        """
        return self.client.bus.ask(to, body, timeout=timeout, **self._envelope(options))

    def _envelope(self, options: dict[str, Any]) -> dict[str, Any]:
        """What is asked for, and what follows from the run. Raises InvalidOption."""
        for option in OWN:
            if option in options:
                raise InvalidOption(
                    f"{option}= is not a handler's to say: it speaks as its agent, of what it "
                    "handles. `ctx.client.bus` takes any.",
                    option=option,
                )
        self._kept().check()
        said = {"sender": self.agent}
        if not self._tasks:
            said |= self._origin()
        return {option: text for option, text in said.items() if text} | options

    def _origin(self) -> dict[str, str]:
        """What it comes of, what it belongs to, and which trace it goes on with."""
        claim, message = self._claim, self.message
        if message is not None:
            belongs = message.correlation or claim.id
            return {"causation": claim.id, "correlation": belongs, "trace": message.trace}
        trace = (getattr(claim.spec, "headers", None) or {}).get("traceparent", "")
        return {
            "causation": claim.id,
            "correlation": claim.spec.flow or claim.id,
            "trace": trace if TRACEPARENT.match(trace) else "",  # the producer's, whatever it is
        }

    def _message_id(self, topic: str, key: str) -> str:
        """The same in each run, and unlike that of whoever else handles the same message."""
        which = f"={key}" if key else self._kept().key(f"publish {topic}")
        who = getattr(self._claim, "who", "")
        found: str = self.client.bus.id_of(topic, self._claim.id, f"{who}\0{which}")
        return found
