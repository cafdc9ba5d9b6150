"""Container images as docker-archive tars, rendered in memory: one layer, fixed times, fixed order.

The same files give the same bytes. Source: Docker image specification v1.2 (`docker save` layout), which
`ctr images import` reads. Touches no registry and no file.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass

PAUSE = "risen.local/pause:1"
BUSYBOX = "risen.local/busybox:1"
BUSYBOX_LINKS = (
    "awk", "cat", "cp", "cut", "date", "dd", "df", "echo", "env", "false", "free", "grep", "head", "hostname",
    "httpd", "id", "ip", "kill", "ln", "ls", "mkdir", "mount", "mv", "nc", "netstat", "nslookup", "ping",
    "printf", "ps", "pwd", "rm", "sed", "seq", "sh", "sleep", "sort", "stat", "tail", "tar", "tee", "telnet",
    "test", "time", "touch", "tr", "true", "uname", "vi", "wc", "wget", "which", "xargs", "yes",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ContainerImage:
    """A one-layer image: `files` are (path, bytes, mode), `links` (path, target)."""

    reference: str
    files: tuple[tuple[str, bytes, int], ...]
    entrypoint: tuple[str, ...]
    links: tuple[tuple[str, str], ...] = ()
    directories: tuple[tuple[str, int], ...] = ()
    architecture: str = "amd64"


def coredns_reference(version: str) -> str:
    """How the baked CoreDNS image is called."""
    return f"risen.local/coredns:{version}"


def pause_image(catatonit: bytes, architecture: str = "amd64") -> ContainerImage:
    """The sandbox image: Debian's `catatonit -P` reaps and waits."""
    return ContainerImage(
        PAUSE, (("catatonit", catatonit, 0o755),), ("/catatonit", "-P"), architecture=architecture
    )


def coredns_image(version: str, coredns: bytes, architecture: str = "amd64") -> ContainerImage:
    """CoreDNS alone; it needs no file of its own."""
    return ContainerImage(
        coredns_reference(version), (("coredns", coredns, 0o755),), ("/coredns",), architecture=architecture
    )


def busybox_image(busybox: bytes, architecture: str = "amd64") -> ContainerImage:
    """A small image for tests, from Debian's busybox-static."""
    return ContainerImage(
        BUSYBOX,
        (("bin/busybox", busybox, 0o755), ("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n", 0o644)),
        (),
        tuple((f"bin/{name}", "busybox") for name in BUSYBOX_LINKS),
        (("tmp", 0o1777),),
        architecture,
    )


def render_archive(image: ContainerImage) -> bytes:
    """The image as a docker-archive tar."""
    layer = _layer(image)
    layer_digest = hashlib.sha256(layer).hexdigest()
    settings: dict[str, object] = {"Env": ["PATH=/bin:/usr/bin"]}
    settings["Entrypoint" if image.entrypoint else "Cmd"] = list(image.entrypoint) or ["/bin/sh"]
    config = _canonical(
        {
            "architecture": image.architecture,
            "config": settings,
            "created": "1970-01-01T00:00:00Z",
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "risen bake"}],
            "os": "linux",
            "rootfs": {"diff_ids": [f"sha256:{layer_digest}"], "type": "layers"},
        }
    )
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{layer_digest}/layer.tar"
    manifest = _canonical([{"Config": config_name, "Layers": [layer_name], "RepoTags": [image.reference]}])
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in ((config_name, config), (layer_name, layer), ("manifest.json", manifest)):
            tar.addfile(_member(name, len(data), 0o644), io.BytesIO(data))
    return out.getvalue()


def _layer(image: ContainerImage) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        paths = [path for path, _, _ in image.files] + [path for path, _ in image.links]
        named = {path.rpartition("/")[0]: 0o755 for path in paths if "/" in path}
        for path, mode in sorted({**named, **dict(image.directories)}.items()):
            directory = _member(path, 0, mode)
            directory.type = tarfile.DIRTYPE
            tar.addfile(directory)
        for path, data, mode in sorted(image.files):
            tar.addfile(_member(path, len(data), mode), io.BytesIO(data))
        for path, target in sorted(image.links):
            link = _member(path, 0, 0o777)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    return out.getvalue()


def _member(name: str, size: int, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, mode, 0
    return member


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
