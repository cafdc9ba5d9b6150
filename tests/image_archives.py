"""Small archives of container images, as programs other than Risen write them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping

REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"


def tar_of(members: Mapping[str, bytes]) -> bytes:
    """A plain tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def oci_archive(*annotations: Mapping[str, str], folder: str = "") -> bytes:
    """An OCI layout whose index lists one small image once for each of `annotations`, under `folder`."""
    layer = tar_of({"hello": b"hello"})
    kinds = {
        "config": "application/vnd.oci.image.config.v1+json",
        "layer": "application/vnd.oci.image.layer.v1.tar",
    }
    rootfs = {"type": "layers", "diff_ids": [_digest(layer)]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    manifest_kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": manifest_kind,
            "config": _descriptor(kinds["config"], config),
            "layers": [_descriptor(kinds["layer"], layer)],
        }
    ).encode()
    entries = [{**_descriptor(manifest_kind, manifest), "annotations": dict(one)} for one in annotations]
    members = {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": entries}).encode(),
        **{f"blobs/{_digest(one).replace(':', '/')}": one for one in (layer, config, manifest)},
    }
    return tar_of({folder + name: data for name, data in members.items()})


def _descriptor(kind: str, data: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": _digest(data), "size": len(data)}


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
