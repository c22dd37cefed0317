"""`coordq bus`: messages between agents, from a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from coordq.interfaces.cli.bodies import body_options, read_body, read_json, read_text
from coordq.interfaces.cli.bus_dead import bus_dead, bus_purge, bus_revive
from coordq.interfaces.cli.bus_look import (
    bus_bound,
    bus_channels,
    bus_groups,
    bus_show,
    bus_topics,
)
from coordq.interfaces.cli.group import Group, options
from coordq.interfaces.cli.params import SPAN
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import say, show_json, show_json_line
from coordq.interfaces.words import as_text, clock_time, one_line, several

if TYPE_CHECKING:
    from coordq.bus.envelope import Message
    from coordq.client.subscription import Subscription

_EXAMPLES: Final = """\b
Examples:
  coordq bus publish orders.created order_id=7 amount=2
  coordq bus publish @ada --text "where are we?" --sender me
  coordq bus publish '*' --body '["stop"]' --priority critical
  coordq bus publish --nearest "I was charged twice" order_id=7 --fallback desk
  coordq bus ask @ada --text "where are we?"
  coordq bus tail 'orders.*' 'task.failed'
"""
_AT_ONCE: Final = 500
"""Lines of a file that are published in one call."""


@click.group("bus", cls=Group, epilog=_EXAMPLES)
@common
def bus_command(_session: Session) -> None:
    """Publish, ask and listen; see channels, groups and dead letters of the bus."""


_envelope_options = options(
    click.option("--sender", default="", metavar="NAME", help="Who says so."),
    click.option("--kind", default="", metavar="WORD", help="What it is for."),
    click.option("--priority", type=click.Choice(["critical", "normal", "low"])),
    click.option("--expires", type=SPAN, help="After this nobody is given it any more."),
)
_nearest_options = options(
    click.option("--nearest", is_flag=True, help="CHANNEL is a text: to whom it concerns."),
    click.option("--top", type=int, metavar="N", help="To up to so many agents; 1."),
    click.option("--threshold", type=float, metavar="SCORE", help="How near they must be."),
    click.option("--fallback", metavar="NAME", help="An agent or topic, if nobody is near."),
    click.option("--embedder", metavar="NAME", help="lexical or wordllama; lexical."),
)


@bus_command.command("publish", epilog=_EXAMPLES)
@click.argument("channel")
@body_options
@_envelope_options
@click.option("--correlation", default="", metavar="WORD", help="What it belongs to.")
@click.option("--file", metavar="FILE", help="JSON lines, - for stdin: a message each.")
@click.option("--when-full", type=click.Choice(["wait", "refuse", "shed"]), default="wait")
@_nearest_options
@common
def bus_publish(
    session: Session,
    *,
    channel: str,
    pairs: tuple[str, ...],
    body: str | None,
    text: str | None,
    file: str | None,
    when_full: str,
    nearest: bool,
    **said: Any,
) -> None:
    """Publish a message, and print its id.

    CHANNEL is a topic, @AGENT for an agent's mailbox, or '*' for all of them. With --nearest it is
    a text, and the message, if nothing else is said the text itself, goes to the agents whose
    interests or capabilities lie near. KEY=VALUE as for `coordq enqueue`.
    """
    wishes = _wishes(said, nearest=nearest)
    envelope = {key: value for key, value in said.items() if value}
    if nearest:
        if file is not None:
            raise click.UsageError("--file is for a channel; --nearest sends one message.")
        spoken = (
            channel if (pairs, body, text) == ((), None, None) else read_body(pairs, body, text)
        )
        _to_nearest(session, channel, spoken, wishes, {**envelope, "when_full": when_full})
        return
    bodies = _lines(file) if file is not None else [read_body(pairs, body, text)]
    if file is not None and (pairs or body is not None or text is not None):
        raise click.UsageError("--file holds the bodies: leave the others out.")
    ids: list[str] = []
    unheard = 0
    with session.connect() as client:
        for at in range(0, len(bodies), _AT_ONCE):
            items = [(channel, each) for each in bodies[at : at + _AT_ONCE]]
            for one in client.bus.publish_many(items, when_full=when_full, **envelope):
                ids.append(one.id)
                unheard += one.receivers == 0
    if session.json:
        show_json({"ids": ids, "unheard": unheard})
    else:
        say("\n".join(ids))
    if unheard:
        say(f"coordq: nobody reads {channel}: {several(unheard, 'message')} not kept", err=True)


def _wishes(said: dict[str, Any], *, nearest: bool) -> dict[str, Any]:
    """Which of them are near, taken out of what was said. Raises UsageError."""
    told = {name: said.pop(name) for name in ("top", "threshold", "fallback", "embedder")}
    wishes = {name: value for name, value in told.items() if value is not None}
    if wishes and not nearest:
        raise click.UsageError(f"--{next(iter(wishes))} belongs to --nearest.")
    return wishes


def _to_nearest(
    session: Session, text: str, body: Any, wishes: dict[str, Any], options: dict[str, Any]
) -> None:
    with session.connect() as client:
        embedder = wishes.pop("embedder", None)
        if embedder is not None:
            client.routing.use(embedder=embedder)
        routed = client.bus.route(text, body, **wishes, **options)
    if session.json:
        show_json(routed.to_json())
        return
    for one in routed.sent:
        say(f"{one.id}  {one.to}")
    for line in routed.explain():
        say(f"coordq: {line}", err=True)


@bus_command.command("ask")
@click.argument("to")
@body_options
@_envelope_options
@click.option("--timeout", type=SPAN, default=30.0, help="How long to wait for each part; 30s.")
@common
def bus_ask(
    session: Session,
    *,
    to: str,
    pairs: tuple[str, ...],
    body: str | None,
    text: str | None,
    timeout: float,
    **said: Any,
) -> None:
    """Send a message and print the answer, part by part.

    TO is @AGENT, or a topic that somebody answers.
    """
    envelope = {key: value for key, value in said.items() if value}
    whom = to[1:] if to.startswith("@") else f"topic:{to.removeprefix('topic:')}"
    asked = read_body(pairs, body, text)
    with session.connect() as client:
        for part in client.bus.ask_parts(whom, asked, timeout=timeout, **envelope):
            if session.json:
                show_json_line({"from": part.sender, "last": part.how == "last", "body": part.body})
            else:
                say(as_text(part.body))


@bus_command.command("tail")
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@click.option("--group", metavar="NAME", help="Read as this group, and acknowledge for it.")
@click.option("--count", "-n", type=click.IntRange(min=1), metavar="N", help="End after so many.")
@click.option("--for", type=SPAN, help="End after so long without a message.")
@common
def bus_tail(
    session: Session,
    *,
    patterns: tuple[str, ...],
    group: str | None,
    count: int | None,
    **said: Any,
) -> None:
    """Print messages as they come, until Ctrl-C.

    PATTERN: topics such as 'orders.*' or 'audit.**', and what happens, such as 'task.failed'. It is
    a listener of its own and takes nothing from others, unless a --group is named.
    """
    if not patterns and group is None:
        raise click.UsageError("Which topics? Give patterns, such as 'orders.*', or a --group.")
    with session.connect() as client, client.bus.subscribe(*patterns, group=group) as subscription:
        if not session.json:
            say(f"listening to {' '.join(patterns) or group}", err=True)
        _follow(session, subscription, count, said["for"])


def _follow(
    session: Session, subscription: Subscription, count: int | None, during: float | None
) -> None:
    left = count
    while left != 0:
        delivery = subscription.receive(during)
        if delivery is None:
            return
        _print(session, delivery.message)
        delivery.ack()
        left = None if left is None else left - 1


def _print(session: Session, message: Message) -> None:
    if session.json:
        show_json_line(message.to_json())
        return
    words = [clock_time(message.sent_ms) if message.sent_ms else "--:--:--", message.channel]
    if message.sender:
        words.append(f"from {message.sender}")
    if message.kind not in {"message", "event"}:
        words.append(f"({message.kind})")
    say(f"{'  '.join(words)}  {one_line(as_text(message.body))}")


def _lines(file: str) -> list[Any]:
    lines = read_text(file).splitlines()
    return [read_json(line, f"line {at}") for at, line in enumerate(lines, 1) if line.strip()]


for _command in (
    *(bus_channels, bus_topics, bus_show, bus_groups, bus_bound),
    *(bus_dead, bus_revive, bus_purge),
):
    bus_command.add_command(_command)
