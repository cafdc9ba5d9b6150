"""Container image tars: the same bytes every time, in the layout that containerd imports."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

from risen.bakery.archive import (
    busybox_image,
    coredns_image,
    coredns_reference,
    pause_image,
    render_archive,
)


def members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar if one.isfile()}  # type: ignore[union-attr]


def test_the_same_program_gives_the_same_bytes() -> None:
    assert render_archive(pause_image(b"x")) == render_archive(pause_image(b"x"))
    assert render_archive(pause_image(b"x")) != render_archive(pause_image(b"y"))


def test_names_inside_are_the_digests_of_what_they_name() -> None:
    found = members(render_archive(coredns_image("1.15.0", b"program")))
    manifest = json.loads(found["manifest.json"])[0]
    assert manifest["RepoTags"] == [coredns_reference("1.15.0")] == ["risen.local/coredns:1.15.0"]
    assert manifest["Config"] == hashlib.sha256(found[manifest["Config"]]).hexdigest() + ".json"
    layer = found[manifest["Layers"][0]]
    config = json.loads(found[manifest["Config"]])
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest()]
    assert config["config"]["Entrypoint"] == ["/coredns"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        assert [(one.name, one.mode, one.uid, one.mtime) for one in tar] == [("coredns", 0o755, 0, 0)]


def test_the_test_image_has_its_applets_as_links_and_starts_a_shell() -> None:
    found = members(render_archive(busybox_image(b"program")))
    manifest = json.loads(found["manifest.json"])[0]
    assert json.loads(found[manifest["Config"]])["config"]["Cmd"] == ["/bin/sh"]
    with tarfile.open(fileobj=io.BytesIO(found[manifest["Layers"][0]])) as tar:
        links = {one.name: one.linkname for one in tar if one.issym()}
    wanted = "sh wget httpd sleep cat ls nc hostname nslookup ping echo seq date true"
    assert {links[f"bin/{name}"] for name in wanted.split()} == {"busybox"}
