"""Ground for the local provider's tests: a tiny image, a cluster with its own names, the host before and after."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from children import ENDS_WITH_US
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from risen.adapters.answer_file import noted
from risen.adapters.local import outside
from risen.adapters.local.endpoint import LocalEndpoint
from risen.adapters.local.host import run
from risen.adapters.local.launcher import launcher_for
from risen.adapters.local.machine import bridge_ports
from risen.adapters.local.power import destroy_all
from risen.adapters.local.provider import LocalProvider
from risen.adapters.local.settings import UPLINK, LocalSettings
from risen.adapters.local.site import LocalSite
from risen.core.names import ClusterUid, ImageDigest, InstanceName, PoolName, Role
from risen.interfaces.builder import BakedImage
from risen.interfaces.endpoint import Endpoint
from risen.interfaces.errors import NotFound
from risen.interfaces.provider import LaunchRequest, Provider


def net(process: int) -> str:
    """The first half of the subnets of a run of tests, so that two runs on one host do not meet."""
    return f"10.{200 + process % 50}"


NET = net(os.getpid())
TINY_PACKAGES = "systemd,systemd-sysv,dbus,iproute2"
DIGEST = ImageDigest("sha256:" + "0" * 64)
PROOF = """[Unit]
After=systemd-networkd.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo up >> /var/lib/etcd/proof'
ExecStop=/bin/sh -c 'echo stopping >> /var/lib/etcd/proof; sync /var/lib/etcd'
"""
"""Tells from inside that the machine has booted, and that its units were stopped in order."""


def tiny_root() -> Path:
    """A small Debian root, made once and kept in the cache."""
    folder = Path(os.environ.get("RISEN_CACHE", "/var/cache/risen")) / "tests" / "tiny"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_suffix(f".partial{os.getpid()}")
    argv = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={TINY_PACKAGES}",
        "bookworm",
        str(partial),
    ]
    sources = Path("/etc/apt/sources.list.d/debian.sources")
    subprocess.run([*argv, str(sources)] if sources.exists() else argv, check=True, capture_output=True)
    os.replace(partial, folder)
    return folder


def write_layer(folder: Path) -> Path:
    """The layer above: Risen's own power button, the network service, and the proof."""
    units = folder / "usr/lib/systemd/system"
    wants = folder / "etc/systemd/system/multi-user.target.wants"
    scripts = folder / "usr/lib/risen"
    for path in (units, wants, scripts):
        path.mkdir(parents=True)
    source = files("risen.instance") / "files"
    for name in ("risen-power-button.path", "risen-power-button.service"):
        (units / name).write_text((source / "units" / name).read_text())
    (scripts / "press-power-button").write_text((source / "press-power-button").read_text())
    (units / "proof.service").write_text(PROOF)
    for name in ("systemd-networkd.service", "risen-power-button.path", "proof.service"):
        (wants / name).symlink_to(f"/usr/lib/systemd/system/{name}")
    return folder


@dataclass(frozen=True)
class TinyImages:
    """The one image these tests know."""

    layers: tuple[Path, ...]

    def get(self, digest: ImageDigest) -> BakedImage:
        if digest != DIGEST:
            raise NotFound(f"no image {digest}")
        return BakedImage(digest, Role.WORKER, self.layers, 0)

    def list(self) -> tuple[BakedImage, ...]:
        return (self.get(DIGEST),)


@dataclass(frozen=True)
class Ground:
    """A local cluster of a test's own."""

    settings: LocalSettings
    site: LocalSite
    provider: LocalProvider
    endpoint: LocalEndpoint
    authority: Authority

    def group(self, name: str) -> str:
        """The cgroup path that labels an instance, whichever way this host starts it."""
        return launcher_for(self.settings.name).group(name)

    def proof(self, name: str) -> list[str]:
        """What the instance's proof unit has written to its disk so far."""
        file = self.settings.instances / name / "disk" / "etcd" / "proof"
        return file.read_text().split() if file.exists() else []


@dataclass(frozen=True)
class Authority:
    """A certificate authority of the test's own."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, folder: Path, dns_name: str) -> Path:
        """A server's key and certificate in one PEM file."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(dns_name)])
        certificate = (
            _builder(dns_name, self.certificate.subject, key.public_key())
            .add_extension(names, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = folder / f"{dns_name}-{certificate.serial_number:x}.pem"
        file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        return file


def _builder(name: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )


def make_authority(name: str = "ca") -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        _builder(name, subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(key, certificate)


def settings_of(process: int, number: int, home: Path, ca: bytes | None = None) -> LocalSettings:
    """Of the ground that a run of tests with this process id gives that number."""
    name = f"t{process}-{number}"
    return LocalSettings(
        name, ClusterUid(f"uid-{process}-{number}"), home, f"{net(process)}.{number}.0/24", 1, ca
    )


def make_ground(folder: Path, number: int) -> Ground:
    """A cluster named after this run, on a subnet by `number`; nothing is started."""
    authority = make_authority()
    settings = settings_of(os.getpid(), number, folder / "home", authority.pem)
    images = TinyImages((tiny_root(), write_layer(folder / "layer")))
    return Ground(
        settings,
        LocalSite(settings),
        noted(LocalProvider(settings, images), Provider),
        noted(LocalEndpoint(settings), Endpoint),
        authority,
    )


async def end_ground(settings: LocalSettings) -> None:
    """Remove everything, whatever state a test left it in."""
    try:
        await destroy_all(settings.home, settings.name)
    except NotFound:
        shutil.rmtree(settings.instances, ignore_errors=True)
    for stranger in set(bridge_ports(settings)) - {UPLINK}:
        run(["ip", "-n", settings.netns, "link", "del", stranger])
    await LocalSite(settings).clear()


def request(name: str = "worker-bcdfg", user_data: bytes = b"#cloud-config\n") -> LaunchRequest:
    return LaunchRequest(
        InstanceName(name), ClusterUid("uid"), PoolName("worker"), Role.WORKER, DIGEST, user_data
    )


def until(true: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether it came true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def traces_of(settings: LocalSettings) -> dict[str, str]:
    """Everything on this host that names the cluster: empty when nothing of it is left."""
    marks = (settings.name, settings.table, str(settings.home), settings.subnet.removesuffix("0/24"))
    seen = {
        "links": _out("ip", "-br", "link"),
        "addresses": _out("ip", "-br", "addr"),
        "routes": _out("ip", "route", "show", "table", "all"),
        "namespaces": _out("ip", "netns"),
        "rules": _out("nft", "list", "ruleset"),
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "loops": _out("losetup", "-a"),
        "cgroups": _out("find", "/sys/fs/cgroup", "-name", settings.name),
        "programs": _out("ps", "-ewwo", "args"),
        "sockets": _out("find", "/run/risen") if Path("/run/risen").exists() else "",
    }
    return {
        what: lines
        for what, text in seen.items()
        if (lines := "\n".join(line for line in text.splitlines() if any(mark in line for mark in marks)))
    }


def host_values() -> dict[str, str]:
    """Host sysctls that a cluster may change, and rules of the host's firewall.

    While another cluster is up beside the tests, what Risen has recorded of the host stands for its sysctls.
    """
    names = ("net/ipv4/ip_forward", "fs/inotify/max_user_instances", "fs/inotify/max_user_watches")
    bridge = ("net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables")
    values = {
        name: (Path("/proc/sys") / name).read_text().strip()
        for name in (*names, *bridge)
        if (Path("/proc/sys") / name).exists()
    }
    values |= {name.removeprefix("/proc/sys/"): value for name, value in recorded_values().items()}
    return {**values, "iptables": _out("iptables-save") if shutil.which("iptables-save") else ""}


def recorded_values() -> dict[str, str]:
    """What Risen has recorded of this host in this boot."""
    file = outside.SHARED / "host.json"
    return dict(json.loads(file.read_text())["sysctls"]) if file.exists() else {}


def _out(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


@contextmanager
def serving(ground: Ground, address: str, pem: Path, status: int = 200) -> Iterator[subprocess.Popen[bytes]]:
    """An HTTPS server in the cluster's namespace that answers every path with this status and its address."""
    settings = ground.settings
    link = ["ip", "-n", settings.netns, "addr", "add", f"{address}/32", "dev", "br0"]
    subprocess.run(link, check=False, capture_output=True)
    argv = [
        *ENDS_WITH_US,
        "nsenter", f"--net={settings.netns_path}", "--", "python3", "-c", SERVER, address, str(pem), str(status),
    ]  # fmt: skip
    server = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    try:
        yield server
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


SERVER = """
import http.server, socket, ssl, sys
address, pem, status = sys.argv[1], sys.argv[2], int(sys.argv[3])
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = address.encode()
        self.send_response(status if self.path.startswith("/readyz?") else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(pem)
server = http.server.ThreadingHTTPServer((address, 6443), Answer)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print("ready", flush=True)
server.serve_forever()
"""


def haproxy_pids(ground: Ground) -> list[int]:
    """HAProxys of this cluster."""
    config = str(ground.settings.folder / "endpoint" / "haproxy.cfg")
    return [int(line.split()[0]) for line in _out("ps", "-ewwo", "pid=,args=").splitlines() if config in line]


def records_of(ground: Ground, name: str) -> dict[str, object]:
    """An instance's record as it lies on disk."""
    value = json.loads((ground.settings.instances / name / "instance.json").read_text())
    assert isinstance(value, dict)
    return value
