"""Under which names containerd will keep the container images of an archive, from the archive's own indexes.

Sources: OCI image-layout 1.0 with containerd's `io.containerd.image.name`, and Docker image specification v1.2
with Docker's short names. Decides what containerd 1.6's `ctr images import` does; opens no archive.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

LAYOUT, INDEX, MANIFEST = "oci-layout", "index.json", "manifest.json"
INDEXES = (LAYOUT, INDEX, MANIFEST)
"""Members of an archive that tell what is in it."""
_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
"""containerd takes the first that an entry of index.json has, as it stands."""
_SAVE = (
    "save it under its full name, such as docker.io/acme/agent:1: `docker save`, `podman save`, or "
    "`skopeo copy SOURCE oci-archive:FILE:docker.io/acme/agent:1`"
)


class NotImportable(ValueError):
    """No pod could use what is in the archive; `str` goes on after its name and says what to do."""


def image_names(members: Mapping[str, bytes]) -> tuple[str, ...]:
    """Full names, sorted, from those members of an archive that are in `INDEXES`. Raises NotImportable.

    A layout wins over manifest.json, as in containerd; `docker save` writes both since version 25."""
    if LAYOUT in members:
        names = _read(members, INDEX)
        unusable = next((name for name in names if full_name(name) != name), None)
        if unusable is not None:
            raise NotImportable(f'calls an image "{unusable}", which is no full name: {_SAVE}')
    elif MANIFEST in members:
        names = {full_name(tag) for tag in _read(members, MANIFEST)}
    else:
        raise NotImportable(f"is no container image (no {MANIFEST}, no {LAYOUT}): use `docker save`")
    if not names:
        raise NotImportable(f"gives its image no name: {_SAVE}")
    return tuple(sorted(names))


def full_name(reference: str) -> str:
    """What a kubelet asks for where a pod says `reference`: `acme:1` is docker.io/library/acme:1."""
    registry, slash, path = reference.partition("/")
    if not slash or not (registry == "localhost" or "." in registry or ":" in registry):
        registry, path = "docker.io", reference
    if registry == "docker.io" and "/" not in path:
        path = f"library/{path}"
    return f"{registry}/{path}" if ":" in path else f"{registry}/{path}:latest"


def _read(members: Mapping[str, bytes], index: str) -> set[str]:
    try:
        value = json.loads(members[index])
        return set(_of_layout(value) if index == INDEX else _of_docker(value))
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise NotImportable(f"has no {index} that can be read ({error}): save it again") from None


def _of_layout(value: Any) -> Iterator[str]:
    for entry in value["manifests"]:
        annotations = entry.get("annotations") or {}
        name = next((annotations[one] for one in _ANNOTATIONS if annotations.get(one)), None)
        if name is not None:
            yield str(name)


def _of_docker(value: Any) -> Iterator[str]:
    for entry in value:
        yield from map(str, entry.get("RepoTags") or ())
