"""The layer table of architecture.toml, checked on the syntax tree of every file under src/.

Nothing is imported or run, so a file that is broken in other ways is still judged.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "risen"
TABLE: dict[str, Any] = tomllib.loads((ROOT / "tests" / "architecture.toml").read_text())
LAYERS: dict[str, Any] = TABLE["layer"]
MUTABLE_CALLS = frozenset(
    {
        "list",
        "dict",
        "set",
        "bytearray",
        "defaultdict",
        "OrderedDict",
        "Counter",
        "deque",
        "WeakValueDictionary",
    }
)


@dataclass(frozen=True)
class Module:
    """A source file: its dotted name without `risen.`, and its syntax tree."""

    name: str
    tree: ast.Module
    is_package: bool = False

    @property
    def layer(self) -> str:
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Imported:
    """A dotted name that a module imports or reaches through an import."""

    name: str
    line: int


@cache
def nodes(module: Module) -> tuple[ast.AST, ...]:
    """Every node of a module's syntax tree."""
    return tuple(ast.walk(module.tree))


@cache
def modules() -> tuple[Module, ...]:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name and name != "__main__":
            found.append(Module(name, ast.parse(path.read_text(), str(path)), parts[-1] == "__init__"))
    return tuple(found)


def listed(found: Iterable[str]) -> str:
    """Faults one a line, for an assertion that shows them all."""
    return "".join(f"\n{one}" for one in found)


def module_of(name: str, source: str) -> Module:
    """A module made of a snippet."""
    return Module(name, ast.parse(source))


def imports_of(module: Module) -> Iterator[Imported]:
    """Every imported name, those inside functions and TYPE_CHECKING blocks too, as `package.name`."""
    for node in nodes(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Imported(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            for alias in node.names:
                yield Imported(f"{base}.{alias.name}", node.lineno)


def names_used(module: Module) -> Iterator[Imported]:
    """Imports, and dotted names reached through them: `asyncio.sleep` after `import asyncio`."""
    known: dict[str, str] = {}
    for node in nodes(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                head = alias.name.partition(".")[0]
                known[alias.asname or head] = alias.name if alias.asname else head
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            for alias in node.names:
                known[alias.asname or alias.name] = f"{base}.{alias.name}"
    yield from imports_of(module)
    for node in nodes(module):
        if isinstance(node, ast.Attribute):
            head, _, rest = (_dotted(node) or "").partition(".")
            if head in known and rest:
                yield Imported(f"{known[head]}.{rest}", node.lineno)


def layer_faults(module: Module) -> Iterator[str]:
    """Imports that the layer table does not allow."""
    row = LAYERS.get(module.layer)
    if row is None:
        yield f"{module.name}: no layer named {module.layer} in architecture.toml"
        return
    for imported in imports_of(module):
        top, _, rest = imported.name.partition(".")
        where = f"{module.name}:{imported.line}: "
        if top == "risen":
            yield from _own_faults(module, row, rest, where)
        elif top in sys.stdlib_module_names:
            if row["stdlib"] == "pure" and top not in TABLE["stdlib"]["pure"]:
                yield f"{where}{module.layer} is pure and may not import {top}"
        elif top not in row["third_party"]:
            yield f"{where}{module.layer} may not import {top}"


def banned_faults(module: Module) -> Iterator[str]:
    """Names that are banned in a layer, whichever way they are reached."""
    row = LAYERS.get(module.layer, {})
    banned = [name for group in row.get("banned", ()) for name in TABLE["banned"][group]]
    if row.get("stdlib") == "pure":
        banned += TABLE["banned"]["virtual"]
    for used in names_used(module):
        for name in banned:
            if used.name == name or used.name.startswith(f"{name}."):
                yield f"{module.name}:{used.line}: {module.layer} may not use {used.name}"


def state_faults(module: Module) -> Iterator[str]:
    """Module-level state: a list, dict or set bound to a name, or `global`."""
    for node in module.tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            targets = [node.target]
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        value = getattr(node, "value", None)
        if names and names != ["__all__"] and value is not None and _is_mutable(value):
            yield f"{module.name}:{node.lineno}: {names[0]} is mutable: a tuple, frozenset or MappingProxyType"
    for inner in nodes(module):
        if isinstance(inner, ast.Global):
            yield f"{module.name}:{inner.lineno}: global {', '.join(inner.names)}"


def _own_faults(module: Module, row: dict[str, Any], imported: str, where: str) -> Iterator[str]:
    layer = imported.partition(".")[0]
    if layer == "__version__":
        return
    if layer != module.layer and layer not in row["may_import"]:
        yield f"{where}{module.layer} may not import {layer}"
    if layer == module.layer and row.get("siblings") == "apart":
        mine, theirs = module.name.split(".")[1:2], imported.split(".")[1:2]
        if mine and theirs and mine != theirs:
            yield f"{where}{layer}/{mine[0]} may not import its sibling {theirs[0]}"


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = ["risen", *module.name.split(".")]
    keep = len(parts) - node.level + (1 if module.is_package else 0)
    return ".".join([*parts[:keep], *([node.module] if node.module else [])])


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := _dotted(node.value)):
        return f"{base}.{node.attr}"
    return None


def _is_mutable(value: ast.expr) -> bool:
    if isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
        return True
    if not isinstance(value, ast.Call):
        return False
    return (_dotted(value.func) or "").rpartition(".")[2] in MUTABLE_CALLS


def test_imports_point_down_the_layer_table() -> None:
    assert listed([fault for module in modules() for fault in layer_faults(module)]) == ""


def test_time_chance_and_threads_come_only_through_interfaces() -> None:
    assert listed([fault for module in modules() for fault in banned_faults(module)]) == ""


def test_no_module_keeps_mutable_state() -> None:
    assert listed([fault for module in modules() for fault in state_faults(module)]) == ""


def test_the_layer_table_itself_points_down() -> None:
    order = list(LAYERS)
    assert [
        f"{layer} before {other}"
        for layer in order
        for other in LAYERS[layer]["may_import"]
        if layer != "cli" and order.index(other) >= order.index(layer)
    ] == []
    assert set(LAYERS["cli"]["may_import"]) & {"adapters", "transport"} == set()


@pytest.mark.parametrize(
    ("name", "source", "fault"),
    [
        ("core.x", "import os", "core.x:1: core is pure and may not import os"),
        (
            "core.x",
            "def f():\n    from asyncio import sleep",
            "core.x:2: core is pure and may not import asyncio",
        ),
        ("core.x", "from risen.engine.loop import run", "core.x:1: core may not import engine"),
        ("core.x", "from risen import engine", "core.x:1: core may not import engine"),
        ("core.rules.x", "from ...engine import loop", "core.rules.x:1: core may not import engine"),
        ("bakery.x", "import yaml", "bakery.x:1: bakery may not import yaml"),
        ("cli.x", "from risen.adapters.local import network", "cli.x:1: cli may not import adapters"),
        (
            "adapters.local.x",
            "import risen.adapters.etcd.client",
            "adapters.local.x:1: adapters/local may not import its sibling etcd",
        ),
        ("stray.x", "", "stray.x: no layer named stray in architecture.toml"),
    ],
)
def test_an_import_that_points_up_is_found(name: str, source: str, fault: str) -> None:
    assert list(layer_faults(module_of(name, source))) == [fault]


@pytest.mark.parametrize(
    ("name", "source", "used"),
    [
        ("engine.x", "import asyncio\nasyncio.sleep(1)", "asyncio.sleep"),
        ("engine.x", "import asyncio as a\na.wait_for(1)", "asyncio.wait_for"),
        ("engine.x", "import uuid", "uuid"),
        ("services.x", "from subprocess import run", "subprocess.run"),
        ("core.x", "from datetime import datetime\ndatetime.now()", "datetime.datetime.now"),
        ("adapters.local.x", "from risen.core.picture import Picture", "risen.core.picture.Picture"),
    ],
)
def test_a_banned_name_is_found_whichever_way_it_is_reached(name: str, source: str, used: str) -> None:
    faults = list(banned_faults(module_of(name, source)))
    assert faults and all(fault.endswith(f"may not use {used}") for fault in faults)


@pytest.mark.parametrize(
    "source",
    [
        "x = []",
        "x: dict[str, int] = {}",
        "x = {1}",
        "x = dict()",
        "x = collections.deque()",
        "def f():\n  global x",
    ],
)
def test_mutable_module_state_is_found(source: str) -> None:
    assert len(list(state_faults(module_of("core.x", source)))) == 1


@pytest.mark.parametrize(
    "source",
    ["x = ()", "x = frozenset({1})", "x = MappingProxyType({})", "__all__ = ['x']", "def f():\n  x = []"],
)
def test_constants_and_local_state_are_not_module_state(source: str) -> None:
    assert list(state_faults(module_of("core.x", source))) == []
