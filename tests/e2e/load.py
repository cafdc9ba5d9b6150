"""Load on the API endpoint that notes every acknowledged write and the longest gap of reads and of writes."""

from __future__ import annotations

import http.client
import itertools
import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from pieces import Credentials

NAMESPACE = "default"


@dataclass(frozen=True, order=True)
class Gap:
    """Seconds without a success, and how many after the window's beginning they began."""

    seconds: float
    began: float


def longest_gap(times: list[float], since: float, until: float) -> Gap:
    """The longest time between two of these moments in a row; both ends of the window count as such."""
    moments = [since, *sorted(one for one in times if since <= one <= until), until]
    return max(Gap(after - before, before - since) for before, after in itertools.pairwise(moments))


@dataclass
class Noted:
    """Monotonic seconds of each success and of the window that they are judged in, and how many requests failed."""

    times: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)
    until: float | None = None
    """None while it goes on."""

    def longest_gap_seconds(self) -> float:
        """What there is before the first success and after the last counts: a gap that never ended is one too."""
        until = time.monotonic() if self.until is None else self.until
        return longest_gap(self.times, self.since, until).seconds


class Load:
    """One writer (a new ConfigMap each) and one reader, each on a connection it keeps, until stopped."""

    def __init__(
        self,
        address: str,
        credentials: Credentials,
        prefix: str,
        pause_seconds: float = 0.02,
        timeout_seconds: float = 5.0,
    ) -> None:
        self.address, self.prefix = address, prefix
        self.pause_seconds, self.timeout_seconds = pause_seconds, timeout_seconds
        self.context = ssl.create_default_context(cafile=str(credentials.authority))
        self.context.load_cert_chain(str(credentials.certificate), str(credentials.key))
        self.writes, self.reads = Noted(), Noted()
        self.acknowledged: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=run) for run in (self._write, self._read)]

    def __enter__(self) -> Load:
        self.writes.since = self.reads.since = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.writes.until = self.reads.until = time.monotonic()
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self) -> None:
        number = 0
        connection = self._connect()
        while not self._stop.wait(self.pause_seconds):
            name = f"{self.prefix}-{number:06d}"
            body = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "labels": {"load": self.prefix}},
            }
            status = self._ask(
                connection, self.writes, "POST", f"/api/v1/namespaces/{NAMESPACE}/configmaps", body
            )
            if status in (201, 409):
                self.acknowledged.append(name)
                number += 1
            if status is None:
                connection = self._connect()

    def _read(self) -> None:
        connection = self._connect()
        while not self._stop.wait(self.pause_seconds):
            path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/kube-root-ca.crt"
            if self._ask(connection, self.reads, "GET", path, None) is None:
                connection = self._connect()

    def _connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            self.address, 6443, context=self.context, timeout=self.timeout_seconds
        )

    @staticmethod
    def _ask(
        connection: http.client.HTTPSConnection, noted: Noted, verb: str, path: str, body: object
    ) -> int | None:
        """The status of an answer; None when the connection is of no more use."""
        try:
            connection.request(
                verb, path, json.dumps(body) if body else None, {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            noted.errors.append(f"{type(error).__name__}: {error}")
            connection.close()
            return None
        if answer.status in (200, 201, 409):
            noted.times.append(time.monotonic())
        else:
            noted.errors.append(str(answer.status))
        return answer.status


def credentials_of(kubeconfig: Path, folder: Path) -> Credentials:
    """Split a kubeconfig with inline data into files."""
    import base64

    import yaml

    config = yaml.safe_load(kubeconfig.read_text())
    user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
    files = {}
    for name, data in (
        ("certificate", user["client-certificate-data"]),
        ("key", user["client-key-data"]),
        ("authority", cluster["certificate-authority-data"]),
    ):
        files[name] = folder / f"{name}.pem"
        files[name].write_bytes(base64.b64decode(data))
    return Credentials(**files)
