"""What every worker can do without a handler of yours.

It makes the tasks of a map over a result, and puts the answers of several tasks side by side.
"""

from __future__ import annotations

from typing import Any

from coordq.errors import InvalidArguments, InvalidInput, TooFewAnswers
from coordq.runtime.shares import BUILTIN
from coordq.work.agent import Agent
from coordq.work.context import Context
from coordq.work.flow.reserved import EXPAND, SYNTHESIZE


def builtin() -> Agent:
    """The agent that each child has beside those it has loaded."""
    agent = Agent(BUILTIN)

    @agent.task(name=EXPAND, give_up_on=InvalidArguments)
    async def expand(ctx: Context, **args: Any) -> list[str]:
        """Add the tasks of a map to its flow; their ids, in order. See work/flow/expand.py."""
        from coordq.work.flow.expand import expansion

        made = expansion(ctx.task_id, args)
        await ctx.grow(made.nodes, made.edges)
        return made.result

    @agent.task(name=SYNTHESIZE, give_up_on=(InvalidInput, TooFewAnswers))
    async def put_side_by_side(**args: Any) -> dict[str, Any]:
        """All answers, equal ones together, as JSON. See work/flow/answers.py."""
        from coordq.work.flow.answers import synthesis

        return synthesis(args)

    return agent
