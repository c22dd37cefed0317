"""What is wrong with a topology is found, all of it, and names the agents concerned."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordq.errors import InvalidInput, InvalidName, InvalidTopology
from coordq.fleet.topology.check import check, degrees_of, problems
from coordq.fleet.topology.make import make
from coordq.fleet.topology.shape import Pair, Topology, read_topology
from coordq.fleet.topology.survey import survey

AB = ("a", "b", "c", "d", "e", "f")


def graph(*links: str, members: str = "", **given: Any) -> Topology:
    """A custom graph out of two-letter links."""
    return make("graph", list(members), links=[tuple(link) for link in links], **given)


WRONG: list[tuple[Topology, str, tuple[str, ...]]] = [
    (make("mesh"), "size", ()),
    (make("ring", ["a", "b"]), "size", ("a", "b")),
    (make("ring", ["a"]), "size", ("a",)),
    (make("mesh", ["a", "b", "a"]), "duplicate", ("a",)),
    (make("star", ["a", "b"], hub="z"), "unknown-agent", ("z",)),
    (Topology("star", ("a", "b")), "hub", ()),
    (make("tree", ["a", "b"], reports={"b": "z"}), "unknown-agent", ("z",)),
    (make("tree", ["a", "b", "c"], reports={"b": "a"}), "roots", ("a", "c")),
    (make("tree", ["a", "b"], reports=[("b", "a"), ("a", "b")]), "cycle", ("a", "b")),
    (make("tree", ["a", "b", "c"], reports=[("b", "a"), ("c", "a"), ("c", "b")]),
     "two-bosses", ("c",)),
    (make("tree", ["a"], reports={"a": "a"}), "self-loop", ("a",)),
    (make("groups", ["a", "b"], groups=[["a", "b"], ["b"]]), "duplicate", ("b",)),
    (make("groups", ["a"], groups=[["a", "z"]]), "unknown-agent", ("z",)),
    (make("groups", ["a", "b", "c"], groups=[["a", "b"]]), "orphan", ("c",)),
    (graph("ab", "cc"), "self-loop", ("c",)),
    (graph("ab", members="abc"), "orphan", ("c",)),
    (graph("ab", "cd", "de"), "disconnected", ("a", "b")),
    (graph("ab", "bc", "ca", acyclic=True), "cycle", ("a", "b", "c")),
    (graph("ab", "bc", "ca", acyclic=True, one_way=True), "cycle", ("a", "b", "c")),
    (graph("ab", "az", members="ab"), "unknown-agent", ("z",)),
    (graph("ab", "bc", reports=[("c", "a")]), "unlinked-report", ("c",)),
    (graph("ab", one_way=True, reports=[("b", "a")]), "unlinked-report", ("b",)),
    (graph("ab", "bc", reports=[("a", "b"), ("b", "a")]), "cycle", ("a", "b")),
    (make("star", ["a", "b", "c"], degree_max=1), "degree", ("a",)),
    (make("mesh", ["a", "b", "c"], degree_max=1), "degree", ("a", "b", "c")),
    (graph("ab", "ac", "ad", degree_max=2), "degree", ("a",)),
]  # fmt: skip


@pytest.mark.parametrize(("topology", "rule", "agents"), WRONG)
def test_what_no_network_can_be_is_refused_by_name(
    topology: Topology, rule: str, agents: tuple[str, ...]
) -> None:
    """A program reads the rule and the agents, a person the sentence."""
    with pytest.raises(InvalidTopology) as caught:
        check(topology)

    assert caught.value.code == "invalid-topology"
    assert caught.value.rule == rule
    assert tuple(sorted(caught.value.agents)) == agents
    assert all(agent in str(caught.value) for agent in agents)


def test_all_that_is_wrong_is_said_at_once() -> None:
    """One look mends them all."""
    with pytest.raises(InvalidTopology, match="2 more wrong") as caught:
        check(graph("ab", "cd", "ee", members="abb"))

    rules = [one["rule"] for one in caught.value.problems]
    assert rules == ["duplicate", "unknown-agent", "self-loop"]


def test_agents_that_do_not_exist_are_named_when_it_is_known_who_does() -> None:
    """A plan for those who will come is no mistake, so nobody has to ask."""
    (found,) = problems(make("mesh", ["a", "b"]), registered={"a"})

    assert (found.rule, found.agents) == ("unregistered", ("b",))


@pytest.mark.parametrize(
    ("kind", "members", "options", "words"),
    [
        ("circle", ["a"], {}, "use one of mesh"),
        ("mesh", "abc", {}, "list of names"),
        ("mesh", 5, {}, "list of names"),
        ("mesh", ["a"], {"hub": "a"}, "has no 'hub'"),
        ("star", ["a"], {"links": []}, "has no 'links'"),
        ("tree", ["a", "b"], {"fanout": 0}, "whole number"),
        ("tree", ["a", "b"], {"fanout": True}, "whole number"),
        ("tree", ["a", "b"], {"reports": "ba"}, "pairs of names"),
        ("tree", ["a", "b"], {"reports": [("b",)]}, "no pair"),
        ("groups", ["a", "b"], {"group_size": "two"}, "whole number"),
        ("groups", ["a", "b"], {"groups": "ab"}, "lists of names"),
        ("groups", ["a", "b"], {"groups": ["ab"]}, "list of names"),
        ("graph", ["a"], {"links": ["ab"]}, "no pair"),
        ("graph", ["a"], {"links": 5}, "pairs of names"),
        ("graph", ["a"], {"one_way": "yes"}, "True or False"),
        ("mesh", ["a"], {"degree_max": -1}, "whole number"),
        ("mesh", ["a"], {"degree_max": 1.5}, "whole number"),
        ("mesh", ["a"], {"strangers": "maybe"}, "refuse, allow"),
        ("mesh", ["a"], {"in_flight": "drop"}, "deliver, return"),
        ("mesh", ["a"], {"adapt": 5}, "settings by name"),
        ("mesh", ["a"], {"adapt": {"stars": 5}}, "adapt has no 'stars'"),
        ("auto", ["a"], {"adapt": {"star_max": 0}}, "from 1 to 1000"),
        ("auto", ["a"], {"adapt": {"star_max": 8.5}}, "from 1 to 1000"),
        ("auto", ["a"], {"adapt": {"slack": "none"}}, "from 0.05 to 0.9"),
        ("auto", ["a"], {"adapt": {"settle_s": -1}}, "from 0 to 86400"),
        ("auto", ["a"], {"adapt": {"settle_s": float("nan")}}, "from 0 to 86400"),
        ("auto", ["a"], {"adapt": {"star_max": 30}}, "too near"),
        ("mesh", [f"a{n}" for n in range(5001)], {}, "too many"),
    ],
)
def test_what_cannot_be_understood_is_refused(
    kind: str, members: Any, options: dict[str, Any], words: str
) -> None:
    """Before a byte is sent."""
    with pytest.raises(InvalidTopology, match=words):
        make(kind, members, **options)


@pytest.mark.parametrize("name", ["", "a b", ":a", "x" * 101, None, 5])
def test_members_have_names_like_all_agents(name: Any) -> None:
    """They end up on command lines and in keys."""
    with pytest.raises(InvalidName):
        make("mesh", [name])


@pytest.mark.parametrize("facts", [None, [], "mesh", {}, {"kind": "mesh", "size": 3}, {"kind": []}])
def test_a_file_that_is_no_topology_is_refused(facts: Any) -> None:
    """JSON can hold anything."""
    with pytest.raises(InvalidInput):
        read_topology(facts)


# -- whatever graph is drawn -----------------------------------------------------------------------

NODES = list(AB)
PAIRS = st.tuples(st.sampled_from(NODES), st.sampled_from(NODES))


@given(
    links=st.lists(PAIRS, max_size=12),
    one_way=st.booleans(),
    acyclic=st.booleans(),
    degree_max=st.integers(0, 4),
)
def test_the_validator_agrees_with_an_oracle_on_any_graph(
    *, links: list[Pair], one_way: bool, acyclic: bool, degree_max: int
) -> None:
    """Reachability and cycles by transitive closure, which shares no code with networkx."""
    topology = make(
        "graph", NODES, links=links, one_way=one_way, acyclic=acyclic, degree_max=degree_max
    )

    rules = {one.rule for one in problems(topology)}

    if any(a == b for a, b in links):
        assert rules == {"self-loop"}
        return
    both = {pair for a, b in links for pair in ((a, b), (b, a))}
    alone = {n for n in NODES if not any(n in pair for pair in links)}
    joined = closure(both)
    parts = {frozenset(m for m in NODES if m == n or (n, m) in joined) for n in NODES}
    assert ("orphan" in rules) == bool(alone)
    assert ("disconnected" in rules) == (len([part for part in parts if len(part) > 1]) > 1)
    assert ("cycle" in rules) == (acyclic and has_cycle(links, parts, one_way=one_way))
    over = any(sum(n in pair for pair in {tuple(sorted(p)) for p in links}) > degree_max
               for n in NODES)  # fmt: skip
    assert ("degree" in rules) == (degree_max > 0 and over)


@given(links=st.lists(PAIRS, max_size=12), one_way=st.booleans())
def test_the_validator_agrees_with_networkx_on_any_graph(
    *, links: list[Pair], one_way: bool
) -> None:
    """A network is right exactly if networkx calls it connected, without loops, a forest."""
    topology = make("graph", NODES, links=links, one_way=one_way, acyclic=True)
    drawn = nx.DiGraph() if one_way else nx.Graph()
    drawn.add_nodes_from(NODES)
    drawn.add_edges_from(links)

    fits = nx.is_directed_acyclic_graph(drawn) if one_way else nx.is_forest(drawn)
    right = nx.is_connected(nx.Graph(drawn)) and fits and nx.number_of_selfloops(drawn) == 0

    assert (problems(topology) == ()) == right


@given(st.dictionaries(st.sampled_from(NODES), st.sampled_from(NODES)))
def test_a_tree_is_right_exactly_if_networkx_calls_it_one(reports: dict[str, str]) -> None:
    """One root, nobody left out, nobody above himself."""
    drawn = nx.DiGraph([(high, low) for low, high in reports.items()])
    drawn.add_nodes_from(NODES)

    assert (problems(make("tree", NODES, reports=reports)) == ()) == nx.is_arborescence(drawn)


def closure(pairs: set[Pair]) -> set[Pair]:
    """Whoever can be reached from whom."""
    known = set(pairs)
    while True:
        more = {(a, d) for a, b in known for c, d in known if b == c} - known
        if not more:
            return known
        known |= more


def has_cycle(links: list[Pair], parts: set[frozenset[str]], *, one_way: bool) -> bool:
    """One way: somebody reaches itself. Both ways: a part has as many links as members."""
    if one_way:
        return any(a == b for a, b in closure(set(links)))
    edges = {tuple(sorted(link)) for link in links}
    return any(sum(a in part for a, _ in edges) >= len(part) for part in parts)


# -- what is laid out by itself --------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(1, 9), st.sampled_from(["mesh", "star", "tree", "groups"]))
def test_what_is_laid_out_by_itself_is_always_right(size: int, width: int, kind: str) -> None:
    """Whatever the number of agents."""
    wish = {"tree": {"fanout": width}, "groups": {"group_size": width}}.get(kind, {})
    topology = make(kind, [f"a{n}" for n in range(size)], **wish)

    assert problems(topology) == ()
    assert read_topology(topology.to_json()) == topology


def test_groups_are_filled_evenly() -> None:
    """Nobody sits alone while others are full."""
    made = make("groups", [f"a{n}" for n in range(10)], group_size=4)

    assert sorted(len(group) for group in made.groups) == [3, 3, 4]


def test_members_are_those_that_are_named() -> None:
    """Who has written the links need not write the names again."""
    assert graph("ab", "bc").members == ("a", "b", "c")
    assert make("tree", reports={"b": "a", "c": "b"}).members == ("a", "b", "c")
    assert make("groups", groups=[["a", "b"], ["c"]]).members == ("a", "b", "c")


# -- what it means ---------------------------------------------------------------------------------


def test_a_survey_names_those_whose_loss_parts_the_others() -> None:
    """What an operator wants to know before he sets it."""
    star, ring = survey(make("star", AB)), survey(make("ring", AB))
    tree, mesh = survey(make("tree", AB, fanout=2)), survey(make("mesh", AB))

    assert (star.weak, star.longest, star.busiest_links) == (("a",), 2, 5)
    assert (ring.weak, ring.longest, ring.links) == ((), 3, 6)
    assert (tree.weak, tree.longest) == (("a", "b", "c"), 4)
    assert (mesh.weak, mesh.longest, mesh.links) == ((), 1, 15)


@given(st.integers(1, 30), st.sampled_from(["mesh", "star", "tree", "groups"]))
def test_a_survey_agrees_with_networkx(size: int, kind: str) -> None:
    """What is known by the kind is not looked for, and must be the same."""
    topology = make(kind, [f"a{n}" for n in range(size)])
    drawn = nx.Graph(list(topology.pairs()))
    drawn.add_nodes_from(topology.members)

    seen = survey(topology)

    assert seen.links == drawn.number_of_edges()
    assert seen.longest == nx.diameter(drawn)
    assert set(seen.weak) == set(nx.articulation_points(drawn))
    assert dict(degrees_of(topology)) | {one: 0 for one in topology.members if size == 1} == dict(
        drawn.degree()
    )
