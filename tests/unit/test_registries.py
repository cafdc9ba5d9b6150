"""Credentials of image registries: read from Docker's config.json, kept sealed, given at join, in no release."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from join_world import (
    HERE,
    REGISTRY,
    SPEC,
    WORKER,
    HandClock,
    World,
    birth,
    csrs_of,
    make_world,
    ticket_of,
    tokens,
)

from risen.adapters.store.directory import DirectoryStore
from risen.authority.grant import JoinRequest
from risen.authority.sealing import SealingKey
from risen.codec import records
from risen.codec.cluster_yaml import ClusterFile, read_cluster
from risen.codec.yaml_nodes import Problems
from risen.core.events import Joined
from risen.core.names import ImageDigest, Role
from risen.core.spec import PoolSpec
from risen.instance import layout
from risen.instance.answer import render_release
from risen.instance.release import Release, fill, marks_of
from risen.interfaces.errors import Corrupt, Denied, NotFound
from risen.services.credentials import Credentials
from risen.services.join_desk import Answered

HEAD = """\
apiVersion: risen/v1alpha1
kind: Cluster
metadata: {name: dev}
spec:
  kubernetes: {version: "1.36.3"}
  provider: {local: {}}
  pools:
  - {name: cp, role: control-plane, replicas: 1}
"""
HOST = "registry.example.com"
SECRET = "geheim-2026"
AUTH = base64.b64encode(f"puller:{SECRET}".encode()).decode()
IMAGE = ImageDigest("sha256:" + "a" * 64)


def config(entry: object, key: str = HOST) -> str:
    return json.dumps({"auths": {key: entry}})


def read(file: str, host: str = HOST) -> ClusterFile:
    text = f"{HEAD}  registries:\n  - {{host: '{host}', credentialsFile: ./registry.json}}\n"
    return read_cluster(text, "f", lambda path: {"./registry.json": file}[path])


def refused(registries: str, files: dict[str, str]) -> list[str]:
    def beside(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(2, "No such file or directory")
        return files[path]

    with pytest.raises(Problems) as caught:
        read_cluster(f"{HEAD}  registries:\n{registries}\n", "f", beside)
    return [str(problem) for problem in caught.value.problems]


# --- what users write -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("file", "host"),
    [
        (config({"auth": AUTH}), HOST),
        (config({"username": "puller", "password": SECRET, "email": "a@b"}), HOST),
        (config({"auth": AUTH}, f"https://{HOST}/v1/"), HOST),
        (config({"auth": AUTH}, f"{HOST}:5000"), f"{HOST}:5000"),
        (config({"auth": AUTH}, "https://index.docker.io/v1/"), "docker.io"),
        (json.dumps({"auths": {"other": {}, HOST: {"auth": AUTH}}, "credsStore": "x"}), HOST),
    ],
)
def test_credentials_are_taken_from_dockers_own_file_and_stand_in_no_spec(file: str, host: str) -> None:
    found = read(file, host)
    assert (found.spec.registries, found.registry_auths) == ((host,), {host: AUTH})
    assert AUTH not in repr(found) and AUTH.encode() not in records.encode(found.spec)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("{auths: no", "is not JSON: Expecting property name enclosed in double quotes at 1:2"),
        ("[" * 100_000, "is not JSON"),
        ("[]", 'has no "auths": it must be Docker\'s config.json'),
        (json.dumps({"auths": []}), 'has no "auths"'),
        (config({"auth": AUTH}, "registry.example.org"), f'has no entry for {HOST} under "auths"'),
        (config({}), f"holds no password for {HOST}"),
        (config({"auth": SECRET}), f"holds no password for {HOST}"),
        (config({"auth": base64.b64encode(SECRET.encode()).decode()}), f"holds no password for {HOST}"),
        (config({"identitytoken": SECRET}), "the kubelet knows no identity tokens"),
        (config({"username": "a:b", "password": SECRET}), f"holds no password for {HOST}"),
        (config([SECRET]), f"holds no password for {HOST}"),
    ],
)
def test_a_file_that_holds_no_credentials_is_refused_at_its_place_and_never_quoted(
    file: str, expected: str
) -> None:
    (found,) = refused("  - {host: registry.example.com, credentialsFile: ./r.json}", {"./r.json": file})
    assert found.startswith("f:10:51: spec.registries[0].credentialsFile: ./r.json ")
    assert expected in found
    assert SECRET not in found


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            "{host: a.io, credentialsFile: ./none.json}",
            "./none.json cannot be read: No such file or directory",
        ),
        ("{host: a.io}", "spec.registries[0].credentialsFile: is required"),
        ("{credentialsFile: ./r.json}", "spec.registries[0].host: is required"),
        ("{host: 'https://a.io', credentialsFile: ./r.json}", "must be a registry as images name it"),
        ("{host: a.io/team, credentialsFile: ./r.json}", "must be a registry as images name it"),
        (
            "{host: a.io, password: x, credentialsFile: ./r.json}",
            "spec.registries[0].password: unknown field",
        ),
        (
            "{host: a.io, credentialsFile: ./r.json}\n  - {host: a.io, credentialsFile: ./r.json}",
            'f:11:12: spec.registries[1].host: "a.io" stands twice',
        ),
    ],
)
def test_a_registry_that_is_written_wrongly_is_refused_by_name(written: str, expected: str) -> None:
    found = refused(f"  - {written}", {"./r.json": config({"auth": AUTH}, "a.io")})
    assert any(expected in line for line in found), found


# --- releases ---------------------------------------------------------------------------------------------
def written(release: Release, auth: str) -> dict[str, str]:
    """The credentials file of an instance of this release."""
    own = dict.fromkeys(marks_of(release), "x") | {f"registry.{host}": auth for host in release.registries}
    (file,) = [one for one in fill(release, own) if one.path == layout.REGISTRY_CREDENTIALS]
    assert file.mode == 0o600
    return {key: entry["auth"] for key, entry in json.loads(file.data)["auths"].items()}


@pytest.mark.parametrize("pool", SPEC.pools, ids=lambda pool: pool.name)
def test_a_release_knows_which_registries_and_no_password_so_that_another_one_rolls_nothing(
    pool: PoolSpec,
) -> None:
    both = replace(SPEC, registries=("docker.io", REGISTRY))
    release = render_release(both, pool, IMAGE)
    assert release.registries == ("docker.io", REGISTRY)
    assert written(release, "b25l") == {"https://index.docker.io/v1/": "b25l", REGISTRY: "b25l"}
    assert written(release, "b3RoZXI=")[REGISTRY] == "b3RoZXI="
    assert release.id != render_release(SPEC, pool, IMAGE).id
    none = render_release(replace(SPEC, registries=()), pool, IMAGE)
    assert none.registries == () and layout.REGISTRY_CREDENTIALS not in {file.path for file in none.files}


# --- the store --------------------------------------------------------------------------------------------
@pytest.fixture
def own(tmp_path: Path) -> Credentials:
    return Credentials(DirectoryStore.create(tmp_path), SealingKey(b"k" * 32), HandClock(), tokens("nonces"))


async def test_credentials_lie_sealed_and_only_what_is_another_is_written(own: Credentials) -> None:
    assert await own.registry_auths() == {}
    assert await own.keep_registry_auths({HOST: AUTH, "b.io": "Yjpi"}) == ("b.io", HOST)
    first = await own.store.get(records.REGISTRIES)
    assert first is not None and AUTH.encode() not in first.data and HOST.encode() not in first.data
    assert await own.keep_registry_auths({HOST: AUTH}) == ()
    assert await own.store.get(records.REGISTRIES) == first
    assert await own.keep_registry_auths({HOST: "bmV3"}) == (HOST,)
    assert await own.registry_auths() == {HOST: "bmV3", "b.io": "Yjpi"}


async def test_credentials_that_another_key_sealed_or_that_were_changed_are_refused(own: Credentials) -> None:
    await own.keep_registry_auths({HOST: AUTH})
    with pytest.raises(Denied, match="registries: sealed with key"):
        await replace(own, key=SealingKey(b"o" * 32)).registry_auths()
    there = await own.store.get(records.REGISTRIES)
    assert there is not None
    await own.store.put(records.REGISTRIES, there.data[:-1] + b"x")
    with pytest.raises(Corrupt, match="registries"):
        await own.registry_auths()


# --- at join ----------------------------------------------------------------------------------------------
@pytest.fixture
async def world(tmp_path: Path) -> World:
    made = make_world(DirectoryStore.create(tmp_path))
    await made.bear(WORKER)
    return made


async def given(world: World) -> dict[str, str]:
    """The registries' credentials in the answer to a worker."""
    request = JoinRequest(WORKER, ticket_of(birth(WORKER)), csrs_of(Role.WORKER), HERE)
    answered = await world.service.desk.answer(request)
    assert isinstance(answered, Answered), answered
    with tarfile.open(fileobj=io.BytesIO(answered.archive)) as archive:
        member = archive.getmember(layout.REGISTRY_CREDENTIALS.lstrip("/"))
        file = archive.extractfile(member)
        assert file is not None and member.mode == 0o600
        return {key: entry["auth"] for key, entry in json.load(file)["auths"].items()}


async def test_an_instance_gets_the_password_of_the_day_and_none_is_bound_to_its_ticket(world: World) -> None:
    assert await given(world) == {REGISTRY: "dTpw"}
    world.facts.auths = {REGISTRY: "bmV3"}
    assert await given(world) == {REGISTRY: "bmV3"}
    bound = await world.store.get(records.join_key(WORKER))
    assert bound is not None and b"dTpw" not in bound.data


async def test_without_the_credentials_that_its_release_needs_an_instance_has_to_ask_again(
    world: World,
) -> None:
    world.facts.auths = {}
    with pytest.raises(NotFound, match=f"no credentials for {REGISTRY}, which release r-[0-9a-f]+ needs"):
        await given(world)
    assert not [event for event in world.events if isinstance(event, Joined)]
    world.facts.auths = {REGISTRY: "dTpw"}
    assert await given(world) == {REGISTRY: "dTpw"}


def test_where_no_credentials_are_needed_their_file_need_not_be_there() -> None:
    def nothing(path: str) -> str:
        raise FileNotFoundError(2, "No such file or directory", path)

    text = f"{HEAD}  registries:\n  - {{host: '{HOST}', credentialsFile: ./registry.json}}\n"
    found = read_cluster(text, "cluster.yaml", nothing, with_credentials=False)
    assert (found.spec.registries, found.registry_auths) == ((HOST,), {})
