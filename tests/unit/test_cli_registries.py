"""`risen apply` of a cluster.yaml with registries: what rolls, what is sealed, and what a plan does not hold."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from baking_ground import lay_recipe
from cli_ground import Ground, ground_in
from risen.bootstrap import Cluster, Host, create_cluster, open_cluster, own_credentials
from risen.core.spec import Revision

HOST = "registry.example.com"


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ground:
    """A cluster whose first revision knows a registry."""
    found = ground_in(tmp_path, monkeypatch, capsys)
    lay_recipe(found.folder, found.home)
    asyncio.run(create_cluster(Host(found.home, found.home / "cache"), "lab"))
    login(found, "first")
    found.file(with_registry(found))
    told = found.risen("apply", "--yes")
    assert (told.code, f"sealed  credentials of {HOST}" in told.out) == (0, True), told.both
    return found


def auth_of(password: str) -> str:
    return base64.b64encode(f"puller:{password}".encode()).decode()


def login(ground: Ground, password: str) -> None:
    """As `docker login` leaves it."""
    ground.file(json.dumps({"auths": {HOST: {"auth": auth_of(password)}}}), "registry.json")


def with_registry(ground: Ground) -> str:
    return ground.yaml().replace(
        "spec:\n", f"spec:\n  registries: [{{host: {HOST}, credentialsFile: ./registry.json}}]\n", 1
    )


def opened(ground: Ground) -> Cluster:
    return asyncio.run(open_cluster(Host(ground.home, ground.home / "cache"), "lab"))


def newest(ground: Ground) -> Revision:
    return opened(ground).revision_in_force


def sealed(ground: Ground) -> Mapping[str, str]:
    cluster = opened(ground)
    return asyncio.run(own_credentials(cluster.host, cluster.name, cluster.store).registry_auths())


def test_another_password_is_sealed_and_rolls_nothing(ground: Ground) -> None:
    first = newest(ground)
    login(ground, "second")
    planned = ground.risen("plan", "--detailed-exitcode")
    assert (planned.code, "nothing would change" in planned.out) == (0, True), planned.both
    assert sealed(ground) == {HOST: auth_of("first")}
    told = ground.risen("apply")
    assert f"sealed  credentials of {HOST}: instances get them when they are born" in told.out, told.both
    assert (told.code, newest(ground), sealed(ground)) == (0, first, {HOST: auth_of("second")})
    assert "sealed" not in ground.risen("apply").out


def test_no_password_stands_anywhere_in_the_store_or_in_a_plan(ground: Ground) -> None:
    ground.file(with_registry(ground).replace("# labels: {tier", "labels: {tier"))
    assert ground.risen("plan", "--out", "plan").code == 0
    files = [path for path in ground.home.rglob("*") if path.is_file()]
    files.append(ground.folder / "plan")
    assert [path for path in files if auth_of("first").encode() in path.read_bytes()] == []


def test_a_registry_more_rolls_every_pool(ground: Ground) -> None:
    first = newest(ground)
    ground.file(ground.yaml())
    told = ground.risen("apply", "--yes")
    assert f"spec.registries: {HOST} → none (rolls instances)" in told.out, told.both
    before, after = ({one.pool: one.release for one in each.releases} for each in (first, newest(ground)))
    assert all(before[pool] != after[pool] for pool in before)
    assert sealed(ground) == {HOST: auth_of("first")}, "an older release may be gone back to"


def test_a_plan_whose_registry_was_never_applied_is_refused_by_name(ground: Ground) -> None:
    text = with_registry(ground).replace(HOST, "other.example.com")
    ground.file(json.dumps({"auths": {"other.example.com": {"auth": auth_of("x")}}}), "registry.json")
    ground.file(text)
    ground.risen("plan", "--out", "plan")
    told = ground.risen("apply", "plan")
    assert told.code == 1
    assert "the store has no credentials for other.example.com, and a plan holds none" in told.err


def test_a_credentials_file_that_is_not_there_is_told_with_its_place(ground: Ground) -> None:
    (ground.folder / "registry.json").unlink()
    told = ground.risen("apply", "--yes")
    assert told.code == 1
    assert "spec.registries[0].credentialsFile: ./registry.json cannot be read: No such file" in told.err
