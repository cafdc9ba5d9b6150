"""The join script for real: sh, curl, openssl and tar against a TLS service on loopback that plays the part."""

from __future__ import annotations

import datetime
import email
import email.policy
import hashlib
import http.server
import io
import ipaddress
import os
import signal
import ssl
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from risen.core.names import Role
from risen.instance import layout
from risen.instance.answer import pack_answer
from risen.instance.content import image_content
from risen.instance.settings import AnswerFile

NAME, TICKET = "worker-bcdfg", "dGlja2V0+/="
Form: TypeAlias = dict[str, bytes]
Answer: TypeAlias = tuple[int, dict[str, str], bytes]
Answering: TypeAlias = Callable[[Form], Answer]


@dataclass
class Authority:
    """Signs whatever key it is given."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def sign(self, common_name: str, key: CertificatePublicKeyTypes, *, is_ca: bool = False) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(is_ca, None), True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
            )
        )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    @property
    def pem(self) -> bytes:
        if not hasattr(self, "_pem"):
            self._pem = self.sign("authority", self.key.public_key(), is_ca=True)
        return self._pem

    def certify(self, form: Form, role: Role) -> list[AnswerFile]:
        """Certificates for the requests of a form, and the other files that a worker could not do without."""
        out = [AnswerFile("/etc/kubernetes/kubelet.flags", b"--v=1\n")]
        for purpose in layout.purposes(role):
            request = x509.load_pem_x509_csr(form[f"csr.{purpose}"])
            out.append(AnswerFile(layout.certificate(purpose), self.sign(NAME, request.public_key())))
        return out


@dataclass
class Service:
    """The join service's part: answers by a script, the last answer for ever, and keeps every form."""

    authority: Authority
    answers: list[Answering]
    forms: list[Form] = field(default_factory=list)
    url: str = ""

    def answer(self, form: Form) -> Answer:
        self.forms.append(form)
        answering = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answering(form)


def later(_: Form) -> Answer:
    return 503, {"Retry-After": "0.1"}, b"not a member yet"


def refused(_: Form) -> Answer:
    return 403, {}, b"ticket used by another key"


def joined(service_authority: Authority, *more: AnswerFile) -> Answering:
    def answering(form: Form) -> Answer:
        return 200, {}, pack_answer((*service_authority.certify(form, Role.WORKER), *more))

    return answering


def tls_context(authority: Authority, file: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + authority.sign("service", key.public_key())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def serve(service: Service, folder: Path) -> http.server.ThreadingHTTPServer:
    class Requests(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send(200, {}, service.authority.pem)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
            form = {
                str(part.get_param("name", header="content-disposition")): bytes(
                    part.get_payload(decode=True) or b""
                )
                for part in message.iter_parts()
            }
            self.send(*service.answer(form))

        def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    context = tls_context(service.authority, folder / "service.pem")
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    service.url = f"https://127.0.0.1:{listening.server_address[1]}"
    threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
    return listening


@dataclass
class Instance:
    """An instance's file system under a folder, with what the image holds of join in it."""

    root: Path
    service: Service

    def lay(self, digest: str | None = None) -> None:
        for file in image_content(Role.WORKER).files:
            if file.path.startswith(layout.LIBRARY):
                path = self.root / file.path.lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(file.data)
        identity = self.root / layout.IDENTITY.lstrip("/")
        identity.parent.mkdir(parents=True)
        digest = digest or hashlib.sha256(self.service.authority.pem).hexdigest()
        identity.write_text(
            f"INSTANCE={NAME}\nJOIN_URL={self.service.url}\nAUTHORITY={'0' * 64},{digest}\nTICKET={TICKET}\n"
        )

    def start(self, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["sh", self.root / "usr/lib/risen/join"], stderr=subprocess.PIPE, text=True,
            env={**os.environ, **environment, "RISEN_ROOT": str(self.root)}, start_new_session=True,
        )  # fmt: skip

    def join(self, **environment: str) -> tuple[int, str]:
        """Exit status and what it said."""
        running = self.start(**environment)
        _, said = running.communicate(timeout=30)
        return running.returncode, said

    def join_until(self, text: str) -> None:
        """Lets it try until it says this, sees that it goes on trying, and ends it."""
        running = self.start()
        assert running.stderr is not None
        said = []
        for line in running.stderr:
            said.append(line)
            if text in line:
                break
        else:
            raise AssertionError(f"never said {text!r}: {said}")
        assert running.poll() is None
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()

    def file(self, path: str) -> Path:
        return self.root / path.lstrip("/")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    authority = Authority()
    made = Service(authority, [joined(authority)])
    listening = serve(made, tmp_path)
    yield made
    listening.shutdown()
    listening.server_close()


@pytest.fixture
def instance(tmp_path: Path, service: Service) -> Instance:
    return Instance(tmp_path / "root", service)


def public_keys(form: Form) -> set[bytes]:
    return {
        x509.load_pem_x509_csr(data).public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        for name, data in form.items()
        if name.startswith("csr.")
    }  # fmt: skip


def await_that(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "never came true"
        time.sleep(0.02)


def test_told_later_it_asks_again_with_the_same_keys_and_lays_down_what_it_then_gets(
    instance: Instance, service: Service
) -> None:
    service.answers.insert(0, later)
    instance.lay()
    status, said = instance.join()
    assert (status, len(service.forms)) == (0, 2), said
    assert public_keys(service.forms[0]) == public_keys(service.forms[1])
    assert service.forms[1]["instance"] == NAME.encode()
    assert service.forms[1]["ticket"] == TICKET.encode()
    key = instance.file(layout.key("kubelet-client"))
    assert key.stat().st_mode & 0o777 == 0o600
    assert instance.file(layout.certificate("kubelet-client")).read_bytes().startswith(b"-----BEGIN CERT")
    assert instance.file("/etc/kubernetes/kubelet.flags").read_text() == "--v=1\n"
    assert instance.file(layout.JOINED).exists()
    assert not instance.file("/var/lib/risen/keys").exists()
    assert "not a member yet" in said


def test_a_disk_that_has_joined_never_asks_again(instance: Instance, service: Service) -> None:
    instance.lay()
    assert instance.join()[0] == 0
    assert instance.join()[0] == 0
    assert len(service.forms) == 1


def test_an_authority_that_user_data_does_not_name_is_told_nothing(
    instance: Instance, service: Service
) -> None:
    instance.lay(digest="f" * 64)
    instance.join_until("which user data does not name")
    assert service.forms == []
    assert not instance.file(layout.JOINED).exists()


def test_refused_for_good_it_says_why_and_stays_condemned_over_a_reboot(
    instance: Instance, service: Service
) -> None:
    service.answers = [refused]
    instance.lay()
    status, said = instance.join()
    assert status == 78
    assert "ticket used by another key" in said
    status, said = instance.join()
    assert (status, len(service.forms)) == (78, 1)
    assert "ticket used by another key" in said


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGTERM])
def test_ended_while_it_waits_it_sends_the_same_keys_after_the_restart(
    instance: Instance, service: Service, ended_by: signal.Signals
) -> None:
    service.answers.insert(0, later)
    service.answers.insert(1, later)
    instance.lay()
    running = instance.start()
    await_that(lambda: len(service.forms) >= 1)
    os.killpg(running.pid, ended_by)
    running.communicate()
    status, said = instance.join()
    assert status == 0, said
    assert len({frozenset(public_keys(form)) for form in service.forms}) == 1


def test_ended_before_any_of_its_lasting_steps_it_ends_in_the_same_state(
    instance: Instance, service: Service
) -> None:
    instance.lay()
    programs = instance.root / "programs"
    programs.mkdir()
    shim = programs / "mv"
    shim.write_text(
        '#!/bin/sh\necho >> "$COUNT"\n'
        '[ "$(wc -l < "$COUNT")" != "$END_AT" ] || { kill -9 "$PPID"; exit 1; }\nexec /bin/mv "$@"\n'
    )
    shim.chmod(0o755)
    ended, step = 0, 0
    while not instance.file(layout.JOINED).exists():
        step += 1
        count = instance.root / f"count-{step}"
        path = f"{programs}:{os.environ['PATH']}"
        status, said = instance.join(PATH=path, COUNT=str(count), END_AT=str(step))
        assert status in (0, -signal.SIGKILL), said
        ended += status != 0
    sent = [public_keys(form) for form in service.forms]
    assert ended >= 7
    assert all(keys == sent[0] for keys in sent)
    for purpose in layout.purposes(Role.WORKER):
        certificate = x509.load_pem_x509_certificate(instance.file(layout.certificate(purpose)).read_bytes())
        key = serialization.load_pem_private_key(instance.file(layout.key(purpose)).read_bytes(), None)
        assert certificate.public_key() == key.public_key()


@pytest.mark.parametrize(
    "name", ["etc/passwd", "../outside", "etc/kubernetes/../../outside", "etc/kubernetes"]
)
def test_a_name_that_is_not_on_the_list_is_not_written(
    instance: Instance, service: Service, name: str
) -> None:
    service.answers = [joined(service.authority, AnswerFile(name, b"mine now"))]
    instance.lay()
    instance.join_until(f"it holds '{name}', which is not on the list")
    assert not instance.file("/etc/passwd").exists()
    assert not (instance.root.parent / "outside").exists()
    assert not instance.file("/etc/kubernetes/kubelet.flags").exists()
    assert not instance.file(layout.JOINED).exists()


def test_a_link_under_a_listed_name_is_refused(instance: Instance, service: Service) -> None:
    def linked(form: Form) -> Answer:
        out = io.BytesIO(pack_answer(tuple(service.authority.certify(form, Role.WORKER))))
        with tarfile.open(fileobj=out, mode="a") as archive:
            member = tarfile.TarInfo("etc/kubernetes/kubelet.yaml")
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/shadow"
            archive.addfile(member)
        return 200, {}, out.getvalue()

    service.answers = [linked]
    instance.lay()
    instance.join_until("no regular file")
    assert not instance.file("/etc/kubernetes/kubelet.yaml").is_symlink()


def test_a_certificate_for_another_key_is_refused_and_the_right_one_taken_later(
    instance: Instance, service: Service
) -> None:
    def for_another(form: Form) -> Answer:
        stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
        files = service.authority.certify(form, Role.WORKER)
        swapped = AnswerFile(layout.certificate("kubelet-client"), service.authority.sign(NAME, stranger))
        return 200, {}, pack_answer((*(file for file in files if file.path != swapped.path), swapped))

    service.answers.insert(0, for_another)
    instance.lay()
    status, said = instance.join()
    assert status == 0, said
    assert "not for this instance's key" in said
    assert len(service.forms) == 2


def test_a_ticket_or_an_address_is_never_run_as_shell(instance: Instance, service: Service) -> None:
    instance.lay()
    identity = instance.file(layout.IDENTITY)
    evil = f"$(touch {instance.root}/ran);`touch {instance.root}/ran`"
    identity.write_text(identity.read_text().replace(TICKET, evil))
    status, said = instance.join()
    assert status == 0, said
    assert service.forms[0]["ticket"] == evil.encode()
    assert not (instance.root / "ran").exists()
