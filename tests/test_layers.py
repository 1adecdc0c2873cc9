"""Imports follow the layers of docs/architecture.md: downwards only, and without cycles.

Every import counts: at the top of a module, inside a function, and under `TYPE_CHECKING`.
"""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted((ROOT / "dialoeval").rglob("*.py"))
}


def imports(module: str) -> set[str]:
    """Return the modules of the package that a module imports."""
    package = module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(ast.parse(FILES[module].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            source = ".".join([*parents, node.module] if node.module else parents)
            names.update(f"{source}.{alias.name}" for alias in node.names)
    # A name that is not a module is an attribute of the module before its last dot.
    targets = {name if name in FILES else name.rpartition(".")[0] for name in names}
    return targets & FILES.keys() - {module}


def room(module: str) -> str:
    """Return the file or folder directly below dialoeval/ that a module belongs to."""
    return [*module.split("."), "__init__"][1]


def layers() -> dict[str, int]:
    """Return the layer of each room, as the table of docs/architecture.md numbers them."""
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", page, re.M)
    return {name: int(number) for number, names in rows for name in re.findall(r"`(\w+)`", names)}


def test_every_module_has_a_layer_and_every_layer_a_module():
    assert layers().keys() == {room(module) for module in FILES}


def test_no_import_points_up_or_sideways():
    layer = layers()
    edges = [(source, target) for source in FILES for target in imports(source) if room(source) != room(target)]
    assert len(edges) > 100
    assert [f"{a} -> {b}" for a, b in edges if layer[room(a)] <= layer[room(b)]] == []


def test_no_circles():
    try:
        TopologicalSorter({module: imports(module) for module in FILES}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))
