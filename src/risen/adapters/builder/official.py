"""Upstream's own release files: whether they can be reached, what their sha256 is, and fetching them.

The sha256 is taken when the lock is made (from upstream's checksum file where there is one) and checked at
every bake. Downloads nothing else.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import tarfile
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit, urlunsplit

from risen.adapters.builder.apt import check_sha256
from risen.bakery.components import Component
from risen.bakery.lock import LockedComponent, LockedProgram
from risen.interfaces.errors import Corrupt, NotFound, Unreachable

REACH_SECONDS = 3.0
_READ_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Upstream:
    """Upstream's hosts. `instead` maps a host to another scheme and address, for tests and mirrors; `silent`
    remembers hosts that did not answer, so that each costs its 3 s once a lock."""

    instead: Mapping[str, str] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)

    def url(self, url: str) -> str:
        """The URL to ask in place of this one."""
        parts = urlsplit(url)
        other = self.instead.get(parts.netloc)
        if other is None:
            return url
        scheme, _, address = other.partition("://")
        return urlunsplit((scheme, address, parts.path, parts.query, ""))

    def reachable(self, url: str) -> None:
        """A HEAD within 3 s, name look-up included. Raises Unreachable, NotFound (it answers, but has no such
        file)."""
        host = urlsplit(url).netloc
        if host in self.silent:
            raise Unreachable(f"{url}: {host} did not answer")
        answers: list[Exception | None] = []
        head = threading.Thread(target=self._head, args=(url, answers), daemon=True)
        head.start()
        head.join(REACH_SECONDS + 0.5)
        error = answers[0] if answers else Unreachable(f"{url}: no answer within {REACH_SECONDS:.0f} s")
        if isinstance(error, Unreachable):
            self.silent.add(host)
        if error is not None:
            raise error

    def _head(self, url: str, answers: list[Exception | None]) -> None:
        try:
            with _opened(urllib.request.Request(self.url(url), method="HEAD"), REACH_SECONDS):
                answers.append(None)
        except (Unreachable, NotFound) as error:
            answers.append(error)

    def text(self, url: str) -> str:
        """A small text file. Raises Unreachable, NotFound."""
        with _opened(urllib.request.Request(self.url(url)), _READ_SECONDS) as answer:
            return bytes(answer.read(4 * 1024 * 1024)).decode(errors="replace")

    def download(self, url: str, into: Path) -> str:
        """Fetch to a file; its sha256. Nothing is left of a broken download. Raises Unreachable, NotFound."""
        digest = hashlib.sha256()
        into.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=into.parent, prefix=".download-")
        try:
            with (
                os.fdopen(descriptor, "wb") as file,
                _opened(urllib.request.Request(self.url(url)), _READ_SECONDS) as answer,
            ):
                while block := answer.read(1024 * 1024):
                    digest.update(block)
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, into)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return digest.hexdigest()


@contextmanager
def _opened(request: urllib.request.Request, seconds: float) -> Iterator[IO[bytes]]:
    """An answer, with network errors said in our own types."""
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            yield answer
    except urllib.error.HTTPError as error:
        if error.code in (404, 410):
            raise NotFound(f"{request.full_url}: {error.code}") from None
        raise Unreachable(f"{request.full_url}: {error.code}") from None
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise Unreachable(f"{request.full_url}: {reason}") from None


def lock_official(
    component: Component, version: str, architecture: str, cache: Path, upstream: Upstream
) -> LockedComponent:
    """A component pinned to upstream's files: its programs with URL, member and sha256 of the download.

    Raises Unreachable, NotFound (no such release), Corrupt (checksum file and download differ)."""
    if component.official is None:
        raise NotFound(f"upstream publishes no release files of {component.name} that Risen knows")
    programs = []
    fields = {"v": version, "arch": architecture}
    upstream.reachable(component.official.url.format(**fields, p=component.programs[0].name))
    for program in component.programs:
        url = component.official.url.format(**fields, p=program.name)
        checksum = component.official.checksum.format(**fields, p=program.name)
        if checksum:
            pinned = _checksum(upstream.text(checksum), url.rpartition("/")[2], checksum)
        else:
            path = cache / "official" / ".unpinned"
            pinned = upstream.download(url, path)
            os.replace(path, cache / "official" / pinned)
        member = program.official_member.format(**fields)
        programs.append(LockedProgram(program.name, pinned, url, member))
    why = (
        "upstream's release, checksum from upstream" if component.official.checksum else "upstream's release"
    )
    return LockedComponent(
        component.name, version, "official", programs[0].url, why, programs=tuple(programs)
    )


def fetched(component: LockedComponent, program: str, cache: Path, upstream: Upstream) -> Path:
    """The file of a locked program, from the cache or upstream.

    Only a download is pinned, so what is in it is unpacked anew each time (under a second, and only for a layer
    that is not there yet): a file left by a crash or damaged since would go into images unseen.

    Raises Corrupt (the download is removed), Unreachable, NotFound."""
    locked = component.program(program)
    download = cache / "official" / locked.sha256
    if not download.is_file():
        upstream.download(locked.url, download)
    check_sha256(download, locked.sha256)
    if not locked.member:
        return download
    unpacked = cache / "official" / f"{locked.sha256}-{program}"
    _unpack(download, locked.member, unpacked)
    return unpacked


def _checksum(text: str, filename: str, url: str) -> str:
    """The sha256 that a checksum file gives: alone, or on the line that names the file."""
    for line in text.splitlines():
        words = line.split()
        names_it = len(words) == 1 or (len(words) > 1 and words[1].lstrip("*").rpartition("/")[2] == filename)
        if names_it and re.fullmatch(r"[0-9a-f]{64}", words[0]):
            return words[0]
    raise Corrupt(f"{url} gives no sha256 for {filename}")


def _unpack(archive: Path, member: str, path: Path) -> None:
    path.unlink(missing_ok=True)
    try:
        with tarfile.open(archive) as tar:
            source = tar.extractfile(member)
            if source is None:
                raise Corrupt(f"{archive} holds no file {member}")
            with path.open("wb") as file:
                shutil.copyfileobj(source, file)
    except (KeyError, tarfile.TarError, EOFError) as error:
        raise Corrupt(f"{archive}: {error}") from None
    path.chmod(0o755)
