"""What Risen itself puts into an image: units, scripts and settings, equal for every cluster.

Three contracts with a provider:

- **Power button.** It binds a directory of the host's, one per instance, at `/run/risen-host` (read-only is
  enough) and presses the button by creating `power` in it; it removes that file before it powers the
  instance on again. Inside, a path unit sees the file and asks logind to power off, so that the kubelet's
  inhibitor holds until pods have ended. Providers with ACPI need none of this.
- **Memory.** A provider whose instances share one host's memory writes each one's share, in MiB, to `memory` in that
  directory before it starts the instance. Without it the memory that an instance sees is its own.
- **Join.** `/etc/risen/identity` is there once cloud-init has read the user data; what the cluster is needed for
  starts when `/var/lib/risen/joined` exists, at this boot and at every later one.

Reads only the package's own files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files

from risen.core.names import Role
from risen.instance import layout

_UNITS = "/usr/lib/systemd/system"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file, or with `link` a symbolic link, of an image. Owned by root."""

    path: str
    data: bytes = field(repr=False, default=b"")
    mode: int = 0o644
    link: str | None = None


@dataclass(frozen=True, slots=True)
class ImageContent:
    """Files of an image and units to start at boot (`multi-user.target`)."""

    files: tuple[ImageFile, ...]
    enabled_units: tuple[str, ...]


_AT_BOOT = (
    "systemd-networkd.service",
    "containerd.service",
    "risen-prepare.service",
    "risen-sandbox-image.service",
    "risen-join.service",
    "risen-joined.path",
    "risen-power-button.path",
)
_IMAGES = "risen-images.timer"
"""A worker unpacks its container images while it joins. A control-plane instance is long from its first pod then, and
its join, its etcd and its API server would wait for CPU and disk: it unpacks them once its API server lives."""
_NODE_ONCE_JOINED = ("kubelet.service", "kube-proxy.service", "flanneld.service", "risen-cni.path")
_CONTROL_PLANE_ONCE_JOINED = (
    "etcd.service",
    "kube-apiserver.service",
    "risen-await-apiserver.service",
    "kube-controller-manager.service",
    "kube-scheduler.service",
)
_STARTED_BY_OTHERS = (
    "risen-joined.target",
    "risen-power-button.service",
    "risen-images.service",
    "risen-cni.service",
    "etc-cni-net.d.mount",
)
_SCRIPTS = (
    "join",
    "run",
    "prepare",
    "import-images",
    "write-cni",
    "write-resolv",
    "reserve-memory",
    "wait-for",
    "await-subnet",
    "await-routes",
    "press-power-button",
    "leave-balancers",
)
_CONTROL_PLANE_SCRIPTS = ("await-etcd", "await-apiserver", "hold-etcd")
_SETTINGS = (
    ("/etc/hosts", "hosts"),
    ("/etc/containerd/config.toml", "containerd.toml"),
    ("/etc/cloud/cloud.cfg.d/99-risen.cfg", "cloud.cfg"),
    ("/etc/systemd/logind.conf.d/50-risen.conf", "logind.conf"),
    ("/etc/systemd/journald.conf.d/50-risen.conf", "journald.conf"),
    ("/usr/lib/sysctl.d/50-risen.conf", "sysctl.conf"),
    ("/usr/lib/modules-load.d/risen.conf", "modules.conf"),
    ("/usr/lib/systemd/network/90-risen.network", "dhcp.network"),
)
_MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "cloud-config.service",
    "cloud-final.service",
    "cloud-init-hotplugd.socket",
    "console-getty.service",
    "getty.target",
    "nftables.service",
)
"""Nothing changes an instance by itself, nobody logs in, Debian's nftables would flush kube-proxy's rules, and
cloud-init's later stages have nothing to do but start Python twice."""


def image_content(role: Role) -> ImageContent:
    """Everything Risen puts into the image of a role, sorted by path."""
    control_plane = role is Role.CONTROL_PLANE
    once_joined = _NODE_ONCE_JOINED + ((*_CONTROL_PLANE_ONCE_JOINED, _IMAGES) if control_plane else ())
    at_boot = _AT_BOOT if control_plane else (*_AT_BOOT, _IMAGES)
    own_at_boot = tuple(unit for unit in at_boot if unit.startswith("risen-"))
    found = [_unit(name) for name in (*own_at_boot, *once_joined, *_STARTED_BY_OTHERS)]
    found += [
        ImageFile(f"{_UNITS}/risen-joined.target.wants/{name}", link=f"../{name}") for name in once_joined
    ]
    found += [ImageFile(f"/etc/systemd/system/{name}", link="/dev/null") for name in _MASKED]
    scripts = _SCRIPTS + (_CONTROL_PLANE_SCRIPTS if control_plane else ())
    found += [ImageFile(f"{layout.LIBRARY}/{name}", _read(name), 0o755) for name in scripts]
    found += [ImageFile(path, _read(f"etc/{name}")) for path, name in _SETTINGS]
    found += [
        ImageFile(f"{_UNITS}/containerd.service.d/10-risen.conf", _read("units/containerd.conf")),
        ImageFile("/usr/lib/systemd/system-generators/risen-container-generator", _read("generator"), 0o755),
        ImageFile(
            "/etc/systemd/system/network-online.target.wants/systemd-networkd-wait-online.service",
            link="/usr/lib/systemd/system/systemd-networkd-wait-online.service",
        ),
        ImageFile(f"{layout.LIBRARY}/role", f"{role}\n".encode()),
        ImageFile(f"{layout.LIBRARY}/purposes", _lines(layout.purposes(role))),
        ImageFile(
            f"{layout.LIBRARY}/answer-names",
            _lines(tuple(path.lstrip("/") for path in layout.answer_paths(role))),
        ),
    ]
    return ImageContent(tuple(sorted(found, key=lambda file: file.path)), at_boot)


def _unit(name: str) -> ImageFile:
    return ImageFile(f"{_UNITS}/{name}", _read(f"units/{name}"))


def _lines(values: tuple[str, ...]) -> bytes:
    return "".join(f"{value}\n" for value in values).encode()


def _read(name: str) -> bytes:
    return files("risen.instance").joinpath("files", name).read_bytes()
