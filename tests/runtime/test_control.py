"""Parent and child understand each other, and notice when the other is gone."""

from __future__ import annotations

import asyncio
import socket

from coordq.runtime import control
from coordq.runtime.control import Control, Message


def test_messages_arrive_whole_and_in_order() -> None:
    """A stream has no message borders; the line does, also for a message larger than a buffer."""
    large = {"say": "ready", "agents": ["x" * 200_000]}

    async def talk() -> list[Message]:
        ours, theirs = socket.socketpair()
        here, there = await Control.open(ours), await Control.open(theirs)
        here.say(large)
        here.say({"do": "drain"})
        heard = []
        async for message in there.messages():
            heard.append(message)
            if len(heard) == 2:
                break
        here.close()
        there.close()
        return heard

    assert asyncio.run(talk()) == [large, {"do": "drain"}]


def test_the_end_of_the_other_ends_the_messages() -> None:
    """An orphan must learn that it is one, or it would hold its claims for ever."""

    async def talk() -> list[Message]:
        ours, theirs = socket.socketpair()
        there = await Control.open(theirs)
        ours.sendall(b'{"do": "drain"}\n{"do": "st')
        ours.close()
        heard = [message async for message in there.messages()]
        there.close()
        return heard

    assert asyncio.run(talk()) == [{"do": "drain"}]


def test_a_line_that_is_not_a_message_is_passed_over() -> None:
    """A handler that writes into the wrong file descriptor must not take the child down."""

    async def talk() -> list[Message]:
        ours, theirs = socket.socketpair()
        there = await Control.open(theirs)
        ours.sendall(b'hello\n[1]\n\xff\n{"do": "stop"}\n')
        ours.close()
        heard = [message async for message in there.messages()]
        there.close()
        return heard

    assert asyncio.run(talk()) == [{"do": "stop"}]


def test_speaking_to_nobody_is_harmless() -> None:
    """The parent may have died a moment ago; its child has work to give back, not to crash."""

    async def talk() -> None:
        ours, theirs = socket.socketpair()
        here = await Control.open(ours)
        theirs.close()
        for _ in range(3):
            here.say({"say": "idle"})
            await here.flush()
        here.close()

    asyncio.run(talk())


def test_the_first_line_is_read_without_touching_the_next() -> None:
    """A child reads its orders before it has a loop; what follows belongs to the loop's reader."""
    ours, theirs = socket.socketpair()
    ours.sendall(control.pack({"do": "start"}) + control.pack({"do": "drain"}))

    first = control.receive(theirs)

    assert first == {"do": "start"}
    assert theirs.recv(100) == control.pack({"do": "drain"})
    ours.close()
    theirs.close()


def test_no_first_line_is_no_order() -> None:
    """A parent that dies while its child starts leaves it without orders, not with an error."""
    ours, theirs = socket.socketpair()
    ours.close()

    assert control.receive(theirs) is None
    theirs.close()
