"""Under which names containerd will keep what an archive holds, and which archives are refused for their names."""

from __future__ import annotations

import json

import pytest

from image_archives import CONTAINERD_NAME, REF_NAME
from risen.bakery.archive import PAUSE
from risen.bakery.image_names import NotImportable, full_name, image_names


def layout(*entries: object) -> dict[str, bytes]:
    return {"oci-layout": b"{}", "index.json": json.dumps({"manifests": entries}).encode()}


def named(annotation: str, name: str) -> dict[str, object]:
    return {"annotations": {annotation: name}}


def saved(*tags: list[str] | None) -> dict[str, bytes]:
    return {"manifest.json": json.dumps([{"RepoTags": one} for one in tags]).encode()}


@pytest.mark.parametrize(
    ("written", "full"),
    [
        ("acme", "docker.io/library/acme:latest"),
        ("acme:1", "docker.io/library/acme:1"),
        ("acme/agent:1", "docker.io/acme/agent:1"),
        ("docker.io/acme:1", "docker.io/library/acme:1"),
        ("localhost/acme:1", "localhost/acme:1"),
        ("registry:5000/acme:1", "registry:5000/acme:1"),
        ("registry:5000/acme", "registry:5000/acme:latest"),
        ("quay.io/acme@sha256:" + "0" * 64, "quay.io/acme@sha256:" + "0" * 64),
        (PAUSE, PAUSE),
    ],
)
def test_a_full_name_is_what_a_kubelet_asks_for(written: str, full: str) -> None:
    assert full_name(written) == full


def test_short_tags_of_docker_save_are_told_in_full() -> None:
    members = saved(["acme:1", "quay.io/acme/agent:2"], None)
    assert image_names(members) == ("docker.io/library/acme:1", "quay.io/acme/agent:2")


def test_of_a_layout_containerds_own_name_wins_and_what_has_none_is_passed_over() -> None:
    both = {"annotations": {CONTAINERD_NAME: "docker.io/acme/agent:1", REF_NAME: "1"}}
    members = layout(both, named(REF_NAME, "quay.io/acme/agent:2"), {})
    assert image_names(members) == ("docker.io/acme/agent:1", "quay.io/acme/agent:2")


def test_a_layout_is_what_counts_where_there_is_a_manifest_json_too() -> None:
    members = layout(named(REF_NAME, "quay.io/acme/agent:2")) | saved(["other:1"])
    assert image_names(members) == ("quay.io/acme/agent:2",)


@pytest.mark.parametrize("name", ["latest", "acme:1", "docker.io/acme:1", "quay.io/acme/agent"])
def test_a_name_that_no_pod_can_ask_for_is_refused_with_how_to_save_it(name: str) -> None:
    with pytest.raises(NotImportable, match=rf'calls an image "{name}".*oci-archive:FILE:docker\.io/'):
        image_names(layout(named(REF_NAME, name)))


@pytest.mark.parametrize("members", [saved(None), layout({}), layout()])
def test_an_archive_without_a_name_is_refused_with_how_to_save_it(members: dict[str, bytes]) -> None:
    with pytest.raises(NotImportable, match="gives its image no name: save it under its full name"):
        image_names(members)


@pytest.mark.parametrize(
    "members",
    [
        {"manifest.json": b"{"},
        {"manifest.json": b'{"RepoTags": []}'},
        {"oci-layout": b"{}"},
        {"oci-layout": b"{}", "index.json": b"[]"},
    ],
)
def test_an_index_that_cannot_be_read_is_refused(members: dict[str, bytes]) -> None:
    with pytest.raises(NotImportable, match="that can be read"):
        image_names(members)


def test_an_index_without_a_layout_is_refused_as_containerd_does() -> None:
    members = layout(named(REF_NAME, "quay.io/acme/agent:2"))
    del members["oci-layout"]
    with pytest.raises(NotImportable, match=r"no manifest\.json, no oci-layout"):
        image_names(members)
