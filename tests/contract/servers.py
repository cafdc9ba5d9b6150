"""Starts real etcd and kube-apiserver programs on loopback, with a certificate authority of the test's own."""

from __future__ import annotations

import contextlib
import datetime
import functools
import ipaddress
import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from children import ENDS_WITH_US
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from risen.adapters.builder import golang
from risen.bakery.components import TOOLCHAIN
from risen.bakery.lock import LockedComponent, LockedProgram
from risen.transport.tls import TlsIdentity

ARCHITECTURE = "amd64"
START_SECONDS = 90.0


def component_binary(name: str) -> Path:
    """A component's program: in RISEN_TEST_BIN, else from the bakery's cache (RISEN_CACHE), compiled into it if
    it is not there: the bake of the same run then finds it."""
    folder = os.environ.get("RISEN_TEST_BIN")
    if folder:
        path = Path(folder) / name
        if not path.is_file():
            raise FileNotFoundError(f"RISEN_TEST_BIN is {folder}, which holds no {name}")
        return path
    return _compiled("etcd" if name.startswith("etcd") else "kubernetes") / name


@functools.cache
def _compiled(component: str) -> Path:
    version = golang.shipped_versions(component)[-1]
    modules = golang.module_set(component, version)
    pinned = modules.pinned(ARCHITECTURE)
    programs = tuple(LockedProgram(*item) for item in pinned.items())
    why = "tested against"
    locked = LockedComponent(
        component, version, "go-modules", version, why, modules.sha256, True, TOOLCHAIN, programs
    )
    cache = Path(os.environ.get("RISEN_CACHE", "/var/cache/risen"))
    return golang.compiled(locked, ARCHITECTURE, cache)


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on just now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for opened in sockets:
            opened.bind(("127.0.0.1", 0))
        return [opened.getsockname()[1] for opened in sockets]
    finally:
        for opened in sockets:
            opened.close()


class Authority:
    """A certificate authority whose certificates live a day."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name}-{os.urandom(4).hex()}")])
        builder = self._builder(self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.pem = _pem(builder.sign(self._key, hashes.SHA256()))

    def identity(self, common_name: str, organization: str = "") -> TlsIdentity:
        """A certificate for client and server use on loopback, trusting this authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if organization:
            names.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        sans = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = (
            self._builder(x509.Name(names), key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName(sans), critical=False)
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return TlsIdentity(_pem(builder.sign(self._key, hashes.SHA256())), pem, self.pem)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def write_identity(folder: Path, name: str, identity: TlsIdentity) -> tuple[str, str, str]:
    """Paths of certificate, key and authorities, for a program's flags."""
    paths = (folder / f"{name}.crt", folder / f"{name}.key", folder / f"{name}-ca.crt")
    for path, data in zip(paths, (identity.certificate, identity.key, identity.authorities), strict=True):
        path.write_bytes(data)
    return str(paths[0]), str(paths[1]), str(paths[2])


@dataclass
class Program:
    """A running program and where it logs."""

    arguments: list[str]
    log: Path
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it (again)."""
        with self.log.open("ab") as log:
            arguments = [*ENDS_WITH_US, *self.arguments]
            self.running = subprocess.Popen(arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        """End it hard and wait until it is gone."""
        if self.running is not None:
            self.running.kill()
            self.running.wait()
            self.running = None

    def pause(self) -> None:
        """Stop it where it stands, connections open."""
        assert self.running is not None
        self.running.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Undo `pause`."""
        assert self.running is not None
        self.running.send_signal(signal.SIGCONT)

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:]


@dataclass
class EtcdMember:
    """One etcd on loopback."""

    name: str
    client_port: int
    peer_port: int
    program: Program = field(repr=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.client_port}"

    @property
    def peer_url(self) -> str:
        return f"https://127.0.0.1:{self.peer_port}"


class EtcdServers:
    """Members of one etcd cluster; `join` adds an existing-cluster member."""

    def __init__(self, folder: Path, authority: Authority | None = None) -> None:
        self.folder = folder
        self.authority = authority or Authority("etcd")
        self.identity = self.authority.identity("etcd-test")
        self.prepared: list[EtcdMember] = []
        self.members: list[EtcdMember] = []

    def prepare(self, name: str) -> EtcdMember:
        """A member that is not started."""
        client, peer = free_ports(2)
        member = EtcdMember(name, client, peer, Program([], self.folder / f"{name}.log"))
        self.prepared.append(member)
        return member

    def found(self, count: int) -> None:
        """Start a new cluster of `count` members and wait until each answers."""
        self.members = [self.prepare(f"m{index}") for index in range(count)]
        initial = ",".join(f"{member.name}={member.peer_url}" for member in self.members)
        for member in self.members:
            self.start(member, initial, "new")
        for member in self.members:
            self.wait(member)

    def start(self, member: EtcdMember, initial: str, state: str) -> None:
        """Start one member with that initial-cluster."""
        certificate, key, authorities = write_identity(self.folder, member.name, self.identity)
        tls = (
            f"cert-file={certificate}",
            f"key-file={key}",
            f"trusted-ca-file={authorities}",
            "client-cert-auth",
        )
        member.program.arguments = [
            str(component_binary("etcd")),
            f"--name={member.name}",
            f"--data-dir={self.folder / member.name}",
            f"--listen-client-urls=https://{member.address}",
            f"--advertise-client-urls=https://{member.address}",
            f"--listen-peer-urls={member.peer_url}",
            f"--initial-advertise-peer-urls={member.peer_url}",
            f"--initial-cluster={initial}",
            f"--initial-cluster-state={state}",
            "--unsafe-no-fsync",
            *(f"--{flag}" for flag in tls),
            *(f"--peer-{flag}" for flag in tls),
        ]
        member.program.start()

    def wait(self, member: EtcdMember) -> None:
        """Until the member says that it is alive."""
        wait_until_ok(f"https://{member.address}/readyz", self.identity, self.folder, member.program)

    def wait_listening(self, member: EtcdMember) -> None:
        """Until it takes connections: a learner is not ready before it is promoted."""
        wait_until_ok(f"https://{member.address}/livez", self.identity, self.folder, member.program)

    def stop(self) -> None:
        """End every member."""
        for member in self.prepared:
            member.program.kill()


def wait_until_ok(url: str, identity: TlsIdentity, folder: Path, program: Program) -> None:
    """Ask `url` until it answers 200. Fails with the program's log."""
    certificate, key, authorities = write_identity(folder, "waiting", identity)
    context = ssl.create_default_context(cafile=authorities)
    context.load_cert_chain(certificate, key)
    deadline = time.monotonic() + START_SECONDS
    last = ""
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, context=context, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError) as error:
            last = str(error)
        if program.running is None or program.running.poll() is not None:
            raise RuntimeError(f"{program.arguments[0]} ended:\n{program.tail()}")
        time.sleep(0.1)
    raise RuntimeError(f"{url} not ready in {START_SECONDS} s ({last}):\n{program.tail()}")


class ApiServer:
    """etcd and kube-apiserver on loopback; no kubelet, no controllers. Leases have no watch cache, so that
    compaction of etcd is felt at once by who watches them."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder = folder
        self.flags = flags
        self.etcd = EtcdServers(folder)
        self.authority = Authority("cluster")
        self.admin = self.authority.identity("test-admin", "system:masters")
        (self.port,) = free_ports(1)
        self.url = f"https://127.0.0.1:{self.port}"
        self.program = Program([], folder / "apiserver.log")

    def start(self) -> None:
        """Start both and wait until the API is ready."""
        self.etcd.found(1)
        certificate, key, authorities = write_identity(
            self.folder, "apiserver", self.authority.identity("kube-apiserver")
        )
        etcd_certificate, etcd_key, etcd_authorities = write_identity(
            self.folder, "apiserver-etcd", self.etcd.identity
        )
        account_public, account_key, _ = write_identity(self.folder, "sa", self.authority.identity("sa"))
        self.program.arguments = [
            str(component_binary("kube-apiserver")),
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--etcd-servers=https://{self.etcd.members[0].address}",
            f"--etcd-certfile={etcd_certificate}",
            f"--etcd-keyfile={etcd_key}",
            f"--etcd-cafile={etcd_authorities}",
            "--etcd-compaction-interval=0",
            "--watch-cache-sizes=leases.coordination.k8s.io#0",
            f"--client-ca-file={authorities}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={account_public}",
            f"--service-account-signing-key-file={account_key}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=Node,RBAC",
            "--disable-admission-plugins=ServiceAccount",
            "--endpoint-reconciler-type=none",
            f"--cert-dir={self.folder}",
            *self.flags,
        ]
        self.program.start()
        wait_until_ok(f"{self.url}/readyz", self.admin, self.folder, self.program)

    def stop(self) -> None:
        """End both."""
        self.program.kill()
        self.etcd.stop()


@contextlib.contextmanager
def etcd_servers(folder: Path, count: int, authority: Authority | None = None) -> Iterator[EtcdServers]:
    """A founded cluster, ended afterwards."""
    servers = EtcdServers(folder, authority)
    try:
        servers.found(count)
        yield servers
    finally:
        servers.stop()


@contextlib.contextmanager
def api_server(folder: Path, *flags: str) -> Iterator[ApiServer]:
    """A ready API server, ended afterwards; `flags` beside its own, or instead of them."""
    server = ApiServer(folder, *flags)
    try:
        server.start()
        yield server
    finally:
        server.stop()
