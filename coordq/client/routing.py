"""The routing door of the sync client: whom a text concerns."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from coordq.client import agent_plans, choice_plans
from coordq.client.balance import Balance
from coordq.client.compass import Compass
from coordq.client.drive import drive
from coordq.engine.connection import Engine
from coordq.fleet.directory import Directory
from coordq.fleet.recommend import Recommendation

if TYPE_CHECKING:
    from coordq.fleet.semantic.cache import CacheReport
    from coordq.fleet.semantic.decision import Decision
    from coordq.fleet.semantic.routes import Route


class Routing:
    """From texts to those whose words lie near: agents, and routes that are declared. Thread-safe.

    An agent is found by its `interests` and capabilities, and the domain of its persona; one that
    is away only while somebody stands in for it. The index is in memory, and at most a second
    older than the registry.
    """

    def __init__(self, engine: Engine, directory: Directory) -> None:
        self._engine = engine
        self.compass = Compass(directory)
        """What it goes by."""

    def use(self, **given: Any) -> None:
        """Route so from now on, with an empty cache; what is left out is as at first.

        routes: texts by name, for topics, tasks, or agents of which the registry does not know.
        file: the same, written down; see `coordq/fleet/semantic/file.py`. agents=False: only these.
        embedder: "lexical" (the default: words and parts of words, no meaning), "wordllama" (with
        coordq[semantic]), an object with name, threshold and embed(texts), or a function.
        threshold: how near is near enough, -1 to 1; by default what suits the embedder. fallback:
        where texts go that nobody is near. caching: a `Caching`.

        Raises InvalidRoutes, InvalidName, InvalidSetting, InvalidEmbedding.
        """
        self.compass.guide.use(**given)

    def route(
        self,
        text: str,
        *,
        top: int = 1,
        among: Collection[str] | None = None,
        fresh: bool = False,
    ) -> Decision:
        """Whom a text concerns: `.route`, or up to `top` of them in `.routes`, and why.

        among: only these, such as agents that `client.agents.find` found. fresh: take the decision
        anew. With either nothing is remembered.

        Raises InvalidArguments, PayloadTooLarge, InvalidOption, InvalidEmbedding, Unreachable.
        """
        self.compass.guide.check(text)
        self._refresh()
        return self.compass.guide.router.route(text, top=top, among=among, fresh=fresh)

    def routes(self) -> Mapping[str, Route]:
        """All that a text can be routed to now, with what they say of themselves."""
        self._refresh()
        return self.compass.guide.router.routes

    def report(self) -> CacheReport:
        """What the cache of decisions has done since `use`: its hits, and how many were wrong."""
        return self.compass.guide.router.report()

    def recommend(
        self,
        task: str = "",
        *,
        n: int = 3,
        preferred: Collection[str] = (),
        role: str = "",
        capabilities: Collection[str] = (),
        zone: str = "",
        text: str = "",
        max_load: float | None = None,
    ) -> list[Recommendation]:
        """Who should do it: up to n agents with a score from 0 to 1, and why, best first.

        All that is said must hold, as for `client.agents.find`; of the capabilities in `preferred`
        each one more is better. What else counts: how free an agent is, how often it succeeds at
        least, how fast it is. Whose breaker, `agent:<name>`, is open is left out.

        Raises InvalidOption, InvalidName.
        """
        plan = choice_plans.best(
            self.compass.directory,
            self.compass.beliefs,
            n,
            preferred=preferred,
            task=task,
            role=role,
            capabilities=capabilities,
            zone=zone,
            text=text,
            max_load=max_load,
        )
        return drive(self._engine, plan)

    def balance(
        self,
        kind: str = "two-choices",
        *,
        role: str = "",
        capabilities: Collection[str] = (),
        task: str = "",
        zone: str = "",
        text: str = "",
        max_load: float | None = None,
        **options: Any,
    ) -> Balance:
        """A balancer over the agents that fit, as for `client.agents.find`; keep it, for it learns.

        kind: round-robin, least-connections, response-time or two-choices. options: warm_up_s,
        seconds in which newcomers get less; quantile of response-time, "p50", "p95" or "p99".
        It never picks an agent whose breaker, `agent:<name>`, is open.

        Raises InvalidOption, InvalidName.
        """
        from coordq.fleet.balance.kinds import make_balancer

        asked = agent_plans.wanted(
            role=role,
            capabilities=capabilities,
            task=task,
            zone=zone,
            text=text,
            max_load=max_load,
        )
        balancer = make_balancer(kind, **options)
        pool = choice_plans.Pool(self.compass.directory, self.compass.beliefs, balancer, asked)
        return Balance(balancer, lambda: drive(self._engine, pool.pick()))

    def _refresh(self) -> None:
        if not self.compass.guide.wants_news():
            return
        try:
            drive(self._engine, agent_plans.learn(self.compass.guide.directory))
            self.compass.guide.renew()
        except BaseException:
            self.compass.guide.asked_in_vain()
            raise
