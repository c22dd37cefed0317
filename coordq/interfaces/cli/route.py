"""`coordq route`: whom a text concerns, and how well that is decided."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coordq.interfaces.cli.group import Group, options
from coordq.interfaces.cli.session import Session, common
from coordq.interfaces.table import Column, say, show_facts, show_json, show_table

if TYPE_CHECKING:
    from coordq.fleet.semantic.calibrate import Calibration
    from coordq.fleet.semantic.file import RoutesFile
    from coordq.fleet.semantic.labelled import LabelledSet
    from coordq.fleet.semantic.router import Router
    from coordq.fleet.semantic.trial import Verdict


_NOBODY = 3
_EXAMPLES = """\b
Examples:
  coordq route "I was charged twice"                # an agent whose interests lie near
  coordq route "I was charged twice" --explain --top 3
  coordq route "bake bread" --routes routes.yaml --embedder wordllama
  coordq route test labelled.yaml --least 0.8       # how many go where they belong
  coordq route calibrate labelled.yaml --false-rate 0.01
"""
_MISSES = (
    Column("Text", elastic=True),
    Column("Belongs to"),
    Column("Went to"),
    Column("Score", right=True),
)
_ROUTES = (Column("Route"), Column("Says of itself", elastic=True))


class RouteGroup(Group):
    """A group whose first word may be the text itself: `coordq route "..."` is `route to "..."`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """An option that only `to` knows means `to`."""
        known = {name for param in self.get_params(ctx) for name in param.opts}
        if args and args[0].startswith("-") and args[0].split("=")[0] not in known:
            args = ["to", *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A word that is no command is a text."""
        if self.get_command(ctx, args[0]) is None:
            args = ["to", *args]
        return super().resolve_command(ctx, args)


_FILE = click.Path(path_type=Path)
_wishes = options(
    click.option("--routes", type=_FILE, metavar="FILE", help="Routes that are written down."),
    click.option("--agents", is_flag=True, help="With --routes: the registered agents as well."),
    click.option("--embedder", metavar="NAME", help="lexical or wordllama; lexical unless said."),
    click.option("--threshold", type=float, metavar="SCORE", help="How near is near enough."),
    click.option("--fallback", metavar="NAME", help="Where texts go that nobody is near."),
)


@click.group("route", cls=RouteGroup, epilog=_EXAMPLES)
@common
def route_command(_session: Session) -> None:
    """Find whom a text concerns: agents by their interests, or routes of a file.

    Without a command: coordq route "TEXT" is coordq route to "TEXT".
    """


@route_command.command("to", epilog=_EXAMPLES)
@click.argument("text")
@click.option("--top", type=int, default=1, metavar="N", help="Name up to so many; 1.")
@click.option("--explain", is_flag=True, help="Say by which rule, near what, and who was second.")
@_wishes
@common
def route_to(session: Session, *, text: str, top: int, explain: bool, **wishes: Any) -> None:
    """Say whom a text concerns. Exit code 3: nobody."""
    from coordq.fleet.semantic.routes import check_text

    check_text(text)
    decision = _router(session, **wishes).route(text, top=top)
    if session.json:
        show_json(decision.to_json())
    elif explain:
        for line in decision.explain():
            say(line)
    else:
        for name in decision.routes:
            say(name)
        if decision.route is None:
            say("Nobody is near enough; --explain says who is nearest.", err=True)
    if decision.route is None:
        click.get_current_context().exit(_NOBODY)


@route_command.command("ls")
@_wishes
@common
def route_ls(session: Session, **wishes: Any) -> None:
    """List the routes, and what they say of themselves."""
    routes = _router(session, **wishes).routes
    if session.json:
        show_json(
            [
                {"route": one.name, "texts": list(one.texts), "threshold": one.threshold}
                for one in routes.values()
            ]
        )
        return
    rows = [(one.name, "; ".join(one.texts)) for one in routes.values()]
    show_table(_ROUTES, rows, empty="No routes: agents need interests, see coordq agents.")


@route_command.command("test")
@click.argument("labelled", type=_FILE)
@click.option("--least", type=click.FloatRange(0, 1), metavar="SHARE", help="Fail below this.")
@_wishes
@common
def route_test(session: Session, *, labelled: Path, least: float | None, **wishes: Any) -> None:
    """Route texts of which a file says where they belong, and compare."""
    from coordq.fleet.semantic.trial import judge

    texts, router = _labelled(session, labelled, **wishes)
    verdict = judge(router, texts.texts)
    if session.json:
        show_json({"embedder": router.embedder.name, **verdict.to_json()})
    else:
        _show(router, verdict)
    if least is not None and verdict.accuracy < least:
        say(f"{verdict.accuracy:.1%} went where they belong; {least:.1%} must.", err=True)
        click.get_current_context().exit(1)


@route_command.command("calibrate")
@click.argument("labelled", type=_FILE)
@click.option(
    "--false-rate", type=float, default=0.01, metavar="SHARE", help="Wrong ones allowed; 0.01."
)
@_wishes
@common
def route_calibrate(session: Session, *, labelled: Path, false_rate: float, **wishes: Any) -> None:
    """Take thresholds from labelled texts: for routes, and for the cache of decisions."""
    from coordq.fleet.semantic.calibrate import similarity_for, threshold_for

    texts, router = _labelled(session, labelled, **wishes)
    near = threshold_for(router, texts.texts, false_rate=false_rate)
    close = similarity_for(texts.pairs(), embedder=router.embedder, false_rate=false_rate)
    if session.json:
        show_json({"threshold": near.to_json(), "similarity": close.to_json()})
        return
    show_facts(
        [
            ("embedder", router.embedder.name),
            ("threshold", _calibrated(near, "texts")),
            ("similarity", _calibrated(close, "pairs")),
        ]
    )


def _router(session: Session, **wishes: Any) -> Router:
    from coordq.fleet.semantic.file import read_routes

    file = wishes.pop("routes")
    return _made(session, None if file is None else read_routes(file), **wishes)


def _labelled(session: Session, path: Path, **wishes: Any) -> tuple[LabelledSet, Router]:
    """Labelled texts, and a router of the routes that they, --routes or the registry declare."""
    from coordq.fleet.semantic.file import read_routes
    from coordq.fleet.semantic.labelled import read_labelled, unknown

    texts, file = read_labelled(path), wishes.pop("routes")
    told = read_routes(file) if file is not None else texts.file if texts.file.routes else None
    router = _made(session, told, **wishes)
    problem = unknown(texts, set(router.routes))
    if problem is not None:
        raise problem
    return texts, router


def _made(
    session: Session,
    told: RoutesFile | None,
    *,
    agents: bool,
    embedder: str | None,
    threshold: float | None,
    fallback: str | None,
) -> Router:
    from coordq.fleet.semantic.file import RoutesFile
    from coordq.fleet.semantic.router import Router

    routes: dict[str, Any] = {}
    if told is None or agents:
        with session.connect() as client:
            routes.update(client.routing.routes())
    told = told or RoutesFile()
    return Router(
        {**routes, **told.routes},
        embedder=told.embedder if embedder is None else embedder,
        threshold=told.threshold if threshold is None else threshold,
        fallback=told.fallback if fallback is None else fallback,
    )


def _show(router: Router, verdict: Verdict) -> None:
    kinds = [(f"right, {kind}", f"{share:.1%}") for kind, share in verdict.by_kind.items()]
    show_facts(
        [
            ("embedder", f"{router.embedder.name}, threshold {router.threshold:g}"),
            ("texts", str(verdict.texts)),
            ("right", f"{verdict.right} ({verdict.accuracy:.1%})"),
            *kinds,
            ("wrong", f"{verdict.wrong} of {verdict.taken} taken ({verdict.false_rate:.1%})"),
            ("among the nearest three", f"{verdict.among_three:.1%}"),
        ]
    )
    rows = [
        (miss.text, miss.wanted or "nowhere", miss.got or "nobody", f"{miss.score:.2f}")
        for miss in verdict.misses
    ]
    if rows:
        say("")
        show_table(_MISSES, rows)


def _calibrated(found: Calibration, what: str) -> str:
    if found.threshold is None:
        return f"none keeps to {found.target:.1%} wrong among {found.considered:,} {what}"
    return (
        f"{found.threshold:.4f}: {found.wrong} of {found.taken:,} {what} taken would be wrong "
        f"(at most {found.false_rate_at_most:.1%}, by 95 %)"
    )
