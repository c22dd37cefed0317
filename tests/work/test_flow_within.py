"""Flows within flow files: other files and inline, their names, and what is not read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coordq.errors import CoordqError, InvalidFlow
from coordq.work.flow.file import read_file
from coordq.work.flow.plan import FlowPlan
from coordq.work.flow.within import DEPTH_MAX, FILES_MAX

PUBLISH = """
name: publish
ttl: 2h
parameters: {where: nowhere}
options: {queue: web}
tasks:
  render: {args: {to: "${where}"}, fallback: [{task: plain}]}
  pages: {map: {over: render.pages, into: page}}
  upload: {inputs: {pages: pages}}
  log: {after: render, on: always}
returns: upload
milestones: [{name: rendered, needs: [render]}]
"""


def plan_of(folder: Path, text: str, **given: str) -> FlowPlan:
    """The plan of a flow file."""
    (folder / "main.yaml").write_text(text)
    return read_file(folder / "main.yaml", given).plan()


def edges(plan: FlowPlan, key: str) -> set[tuple[str, str]]:
    """(parent, on) of the edges into a node."""
    keys = {node.id: node.key for node in plan.nodes}
    node = next(one for one in plan.nodes if one.key == key)
    return {(keys[edge.parent], edge.on) for edge in node.parents}


def sources(plan: FlowPlan, key: str) -> dict[str, object]:
    """Where a node takes its inputs from, by key."""
    keys = {node.id: node.key for node in plan.nodes}
    node = next(one for one in plan.nodes if one.key == key)
    text = json.dumps(json.loads(node.args).get("$from", {}))
    for node_id, name in keys.items():
        text = text.replace(node_id, name)
    found: dict[str, object] = json.loads(text)
    return found


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with a flow file in a folder of it."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "publish.yaml").write_text(PUBLISH)
    return tmp_path


def test_another_file_becomes_part_of_the_flow(site: Path) -> None:
    """With its own options, what `set` gives, its own keys behind that of the part."""
    plan = plan_of(
        site,
        """
name: main
options: {queue: audits}
tasks:
  audit: {}
  out: {flow: site/publish.yaml, set: {where: "${host}"}, after: audit}
  tell: {inputs: {url: out}}
  count: {inputs: {pages: out.pages, first: out.render.pages.0}}
  close: {after: out}
""",
        host="web-1",
    )
    nodes = {node.key: node for node in plan.nodes}

    assert {key for key in nodes if key.startswith("out.")} == {
        f"out.{one}" for one in ("render", "render.fallback", "pages", "upload", "log")
    }
    assert edges(plan, "out.render") == {("audit", "success")}
    assert json.loads(nodes["out.render"].args)["to"] == "web-1"
    assert nodes["out.upload"].template.spec.queue == "web"
    assert nodes["tell"].template.spec.queue == "audits"
    assert sources(plan, "tell") == {"url": "out.upload"}
    assert sources(plan, "count") == {"pages": "out.pages*", "first": "out.render/pages/0"}
    assert edges(plan, "close") == {("out.upload", "success"), ("out.log", "success")}
    assert plan.about["milestones"] == [{"name": "out.rendered", "needs": ["out.render"]}]
    assert (plan.name, plan.ttl_s, "returns" in plan.about) == ("main", 3600, False)


def test_a_flow_may_stand_in_the_file(tmp_path: Path) -> None:
    """With the options of the file, unless it has its own; and flows in it again."""
    plan = plan_of(
        tmp_path,
        """
name: main
options: {queue: audits, max_attempts: 7}
tasks:
  deep:
    flow:
      options: {max_attempts: 2}
      tasks:
        look: {}
        again: {flow: {tasks: {look: {}}}, after: look}
      returns: again.look
  tell: {inputs: {x: deep}, after: deep.look}
returns: deep.again.look
""",
    )
    nodes = {node.key: node for node in plan.nodes}

    assert set(nodes) == {"deep.look", "deep.again.look", "tell"}
    spec = nodes["deep.again.look"].template.spec
    assert (spec.queue, spec.max_attempts, nodes["tell"].template.spec.max_attempts) == (
        "audits",
        2,
        7,
    )
    assert edges(plan, "deep.again.look") == {("deep.look", "success")}
    assert sources(plan, "tell") == {"x": "deep.again.look"}
    assert plan.about["returns"] == "deep.again.look"


def test_a_part_may_come_after_any_end(tmp_path: Path) -> None:
    """As a task does that stands by itself."""
    text = "name: m\ntasks:\n  p: {flow: {tasks: {a: {}}}, after: {task: q, on: always}}\n  q: {}\n"

    assert edges(plan_of(tmp_path, text), "p.a") == {("q", "always")}


def test_a_file_may_be_taken_in_twice_and_by_files_beside_it(site: Path) -> None:
    """Paths count from the folder of the file in which they stand."""
    (site / "site" / "all.json").write_text(
        json.dumps({"name": "all", "tasks": {"p": {"flow": "publish.yaml"}}})
    )
    text = "name: main\ntasks:\n  a: {flow: site/all.json}\n  b: {flow: site/all.json, after: a}\n"

    plan = plan_of(site, text)

    assert len(plan.nodes) == 10
    assert edges(plan, "b.p.render") == {("a.p.upload", "success"), ("a.p.log", "success")}


def test_a_file_that_takes_itself_in_names_the_way_round(tmp_path: Path) -> None:
    """Directly, or through others; by whatever path it is named."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.yaml").write_text("name: a\ntasks: {x: {flow: sub/b.yaml}}")
    (tmp_path / "sub" / "b.yaml").write_text("name: b\ntasks: {x: {flow: ../a.yaml}}")
    (tmp_path / "self.yaml").write_text("name: s\ntasks: {x: {flow: ./sub/../self.yaml}}")

    with pytest.raises(InvalidFlow, match=r"a\.yaml -> sub/b\.yaml -> a\.yaml") as caught:
        read_file(tmp_path / "a.yaml")
    with pytest.raises(InvalidFlow, match=r"self\.yaml -> self\.yaml"):
        read_file(tmp_path / "self.yaml")

    assert caught.value.facts["place"] == "tasks.x.flow"


def test_nothing_outside_the_folder_of_the_first_file_is_read(tmp_path: Path) -> None:
    """Not by .., not by an absolute path, not through a link, and not by a file further in."""
    folder = tmp_path / "mine"
    (folder / "in").mkdir(parents=True)
    (tmp_path / "secret.yaml").write_text("name: s\ntasks: {x: {}}")
    (folder / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (folder / "in" / "up.yaml").write_text("name: u\ntasks: {x: {flow: ../../secret.yaml}}")
    (folder / "in" / "side.yaml").write_text("name: u\ntasks: {x: {flow: ../fine.yaml}}")
    (folder / "fine.yaml").write_text("name: f\ntasks: {x: {}}")
    secret = str(tmp_path / "secret.yaml")

    for path in ("../secret.yaml", secret, "link.yaml", "in/up.yaml", "../none.yaml"):
        with pytest.raises(InvalidFlow, match=r"lies outside .* of its own folder"):
            plan_of(folder, f"name: m\ntasks: {{p: {{flow: {path}}}}}")

    assert len(plan_of(folder, "name: m\ntasks: {p: {flow: in/side.yaml}}").nodes) == 1
    inside = str(folder / "fine.yaml")
    assert len(plan_of(folder, f"name: m\ntasks: {{p: {{flow: {inside}}}}}").nodes) == 1


BAD = [
    ("p: {flow: pulbish.yaml}", r"tasks\.p\.flow: there is no file .*did you mean publish\.yaml"),
    ("p: {flow: none/x.yaml}", "its path counts from the folder of this file"),
    ("p: {flow: .}", "there is no file"),
    ("p: {flow: 7}", "write the path of a flow file, or a flow"),
    ("p: {flow: ''}", "write the path of a flow file, or a flow"),
    ("p: {flow: publish.yaml, queue: x}", "queue is not known"),
    ("p: {flow: publish.yaml, map: [1]}", "it cannot be map and flow at once"),
    ("p: {flow: publish.yaml, set: {where: 3}}", "write names with texts"),
    ("p: {flow: publish.yaml, set: {wher: x}}", r"publish\.yaml: it has no \$\{wher\}"),
    (
        "p: {flow: {tasks: {a: {}}}, set: {b: c}}",
        r"tasks\.p\.set: it is for a flow of another file",
    ),
    ("p: {flow: needs.yaml}", r"nobody gave \$\{x\}: add `set: \{x: \.\.\.\}` where main\.yaml"),
    ("p: {set: {b: c}}", r"tasks\.p\.set: it is for a flow of another file"),
    ("p: {flow: {tasks: {}}}", r"main\.yaml: tasks\.p\.flow\.tasks: write at least one task"),
    ("p: {flow: {tasks: {a: {afer: b}}}}", r"tasks\.p\.flow\.tasks\.a: afer is not known"),
    ("p: {flow: {tasks: {a: {}}, parameters: {}}}", "write them at the top of the file"),
    ("p: {flow: {tasks: {a: {}}, on_failure: x}}", r"tasks\.p: .*on_failure is about a whole flow"),
    ("p: {flow: {tasks: {a: {}}}}\n  q: {inputs: {x: p}}", "flow p returns nothing.*such as p.a"),
    (
        "p: {flow: {tasks: {a: {}}}}\n  q: {after: p.b}",
        r"there is no task 'p\.b'; did you mean p\.a",
    ),
    ("p: {flow: {tasks: {a: {}}}}\n  q: {fallback: p}", "p is, or is in, a flow"),
    ("p: {flow: {tasks: {a: {}}}}\n  q: {fallback: [p.a]}", "p.a is, or is in, a flow"),
    ("p: {flow: {tasks: {a: {}}}, after: q}\n  q: {after: p.a}", "wait for each other: .*p.*q"),
    ("p: {flow: broken.yaml}", r"broken\.yaml: tasks: write at least one task"),
    ("p: {flow: text.yaml}", r"text\.yaml: it is no mapping"),
]


@pytest.mark.parametrize(("text", "words"), BAD, ids=[bad[0][:60] for bad in BAD])
def test_a_part_that_cannot_be_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """With the file and the place in which it is wrong."""
    (tmp_path / "publish.yaml").write_text(PUBLISH)
    (tmp_path / "broken.yaml").write_text("name: x")
    (tmp_path / "text.yaml").write_text("hello")
    (tmp_path / "needs.yaml").write_text('name: n\ntasks: {a: {args: {b: "${x}"}}}')

    with pytest.raises(CoordqError, match=f"(?s){words}") as caught:
        plan_of(tmp_path, f"name: main\ntasks:\n  {text}\n")

    assert caught.value.code == "invalid-flow"
    assert "file" in caught.value.facts


def test_a_flow_is_made_of_so_many_files_and_no_more(tmp_path: Path) -> None:
    """Files that each take in many others would be a flow without end out of few bytes."""
    many = "\n".join(f"  t{n}: {{flow: leaf.yaml}}" for n in range(FILES_MAX + 1))
    (tmp_path / "leaf.yaml").write_text("name: leaf\ntasks: {a: {}}")
    for level in range(DEPTH_MAX + 1):
        (tmp_path / f"d{level}.yaml").write_text(
            f"name: d\ntasks: {{x: {{flow: d{level + 1}.yaml}}}}"
        )
    (tmp_path / f"d{DEPTH_MAX + 1}.yaml").write_text("name: d\ntasks: {x: {}}")

    with pytest.raises(InvalidFlow, match=f"more than {FILES_MAX} files"):
        plan_of(tmp_path, f"name: main\ntasks:\n{many}\n")
    with pytest.raises(InvalidFlow, match=f"{DEPTH_MAX} within each other"):
        read_file(tmp_path / "d0.yaml")
