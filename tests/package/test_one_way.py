"""The order of the rooms, as ``docs/architecture.md`` gives it: a room imports only what stands above it there."""

from __future__ import annotations

import re
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "architecture.md"


def rooms(heading: str) -> list[str]:
    """The names in the first column of the table under a heading, from the bottom of the house to its top."""
    _, _, section = DOCUMENT.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    cells = re.findall(r"^\| (`[^|]*) \|", section.partition("\n## ")[0], re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)(?:/|\.py)`", cell)]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """Every import of every module, also those within functions and those for types alone."""
    return grimp.build_graph("xrv_node", cache_dir=None)


@pytest.mark.parametrize(
    ("place", "heading"), [("xrv_node", "The rooms"), ("xrv_node.lab", "The laboratory")]
)
def test_no_room_imports_what_stands_below_it_in_the_table(
    graph: grimp.ImportGraph, place: str, heading: str
) -> None:
    order = rooms(heading)
    against = graph.find_illegal_dependencies_for_layers(layers=list(reversed(order)), containers={place})
    assert not against, "\n".join(
        f"{route.importer} imports {route.imported}: "
        + "; ".join(f"{sorted(r.heads)} .. {sorted(r.tails)}" for r in route.routes)
        for route in against
    )


@pytest.mark.parametrize(
    ("place", "heading"), [("xrv_node", "The rooms"), ("xrv_node.lab", "The laboratory")]
)
def test_every_room_stands_in_the_table_once(graph: grimp.ImportGraph, place: str, heading: str) -> None:
    there = {name.rpartition(".")[2] for name in graph.find_children(place)}
    named = rooms(heading)
    assert sorted(named) == sorted(there - {"__main__"})


def test_no_modules_import_each_other_in_a_circle(graph: grimp.ImportGraph) -> None:
    imports = {m: graph.find_modules_directly_imported_by(m) for m in graph.modules}
    before = 0
    while len(imports) != before:  # take away what imports none of the others, and what none of them imports
        before = len(imports)
        used = set().union(*imports.values())
        imports = {
            m: found & imports.keys() for m, found in imports.items() if m in used and found & imports.keys()
        }
    assert not imports, f"these modules import each other: {sorted(imports)}"


def test_the_way_of_one_image_names_functions_that_there_are() -> None:
    _, _, way = DOCUMENT.read_text(encoding="utf-8").partition("\n## The way of one image\n")
    named = re.findall(r"`(xrv_node[\w.]*):([\w.]+)`", way.partition("\n## ")[0])
    assert len(named) > 10
    for module, name in named:
        assert callable(attrgetter(name)(import_module(module))), f"{module}:{name}"
