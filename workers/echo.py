"""The smallest useful agent: it says back what it is told.

Run it with `coordq worker workers/echo.py`, then

    coordq enqueue echo text=hi --wait

It is how you see that the whole path works (producer, Redis, worker, result), and the file to
copy when you write your first agent.
"""

from coordq import Agent

agent = Agent("echo")


@agent.task
async def echo(text: str) -> str:
    """Return `text`."""
    return text
