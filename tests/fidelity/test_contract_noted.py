"""No contract test asks a real adapter unheard: each is laid into `noted` where it is made."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CONTRACT = Path(__file__).parent.parent / "contract"
ADAPTERS = {
    "LocalProvider": "Provider",
    "LocalEndpoint": "Endpoint",
    "EtcdClient": "Etcd",
    "KubernetesClient": "Kubernetes",
    "DirectoryStore": "Store",
    "DirectoryLeadership": "Leadership",
}


def made_in(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """(line, adapter, interface it is noted as or nothing) of each adapter that a module makes."""
    noted = {
        id(call.args[0]): ast.unparse(call.args[1])
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "noted" and len(call.args) == 2
    }
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            name = ast.unparse(call.func).removesuffix(".create")
            if name in ADAPTERS:
                yield call.lineno, name, noted.get(id(call), "")


def test_every_adapter_that_a_contract_test_makes_is_noted_as_what_it_is() -> None:
    made = [
        (f"{file.name}:{line}", adapter, interface)
        for file in sorted(CONTRACT.glob("*.py"))
        for line, adapter, interface in made_in(ast.parse(file.read_text()))
    ]
    assert {adapter for _, adapter, _ in made} == set(ADAPTERS)
    silent = [
        f"{where}: write noted({adapter}(…), {ADAPTERS[adapter]})"
        for where, adapter, interface in made
        if interface != ADAPTERS[adapter]
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x = EtcdClient(i)", [(1, "EtcdClient", "")]),
        ("x = noted(DirectoryStore.create(p), Store)", [(1, "DirectoryStore", "Store")]),
        ("x = noted(EtcdClient(i), Store)", [(1, "EtcdClient", "Store")]),
    ],
)
def test_an_adapter_that_is_not_noted_is_found(text: str, found: list[tuple[int, str, str]]) -> None:
    assert list(made_in(ast.parse(text))) == found
