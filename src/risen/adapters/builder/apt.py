"""Debian packages by apt, in a folder of its own: what to install, and exactly those files, by sha256.

Mirrors and proxies are the host's; its installed packages and lists are never looked at or changed. The one
place that talks to apt.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from risen.adapters.builder.programs import run
from risen.bakery.lock import LockedPackage
from risen.interfaces.errors import Corrupt, Invalid, NotFound

_PRINTED = re.compile(r"^'([^']+)' (\S+) (\d+) SHA256:([0-9a-f]{64})$")
_ESSENTIAL = "?and(?essential,?not(?exact-name(apt)))"
"""Instances install nothing, so they carry no apt."""
_PIN = "Package: *\nPin: release o=Debian\nPin-Priority: 990\n"
_LOCK_AGAIN = "run `risen recipe lock` again"


@dataclass(frozen=True, slots=True)
class Apt:
    """A private apt under `root`, for one suite and architecture. `sources` are one-line sources to use in
    place of the host's."""

    root: Path
    suite: str
    architecture: str
    sources: str = ""

    def resolve(self, packages: Iterable[str]) -> tuple[LockedPackage, ...]:
        """Essential packages, these, and all they depend on, from lists fetched just now.

        Raises Unreachable, Invalid (a name Debian does not have)."""
        self._update()
        wanted = [_ESSENTIAL, *sorted(set(packages))]
        printed = self._apt("-o", "Acquire::ForceHash=SHA256", "--print-uris", "-y", "install", *wanted)
        found = [_printed(line) for line in printed.splitlines() if line.startswith("'")]
        if not found:
            raise Invalid(f"apt resolved no package of {self.suite}")
        return tuple(sorted(found))

    def fetch(self, packages: Sequence[LockedPackage], into: Path) -> int:
        """Make `into/SHA256.deb` exist for every package; how many had to be fetched.

        Raises NotFound for a version no longer served, Corrupt (the file is removed) for other bytes."""
        into.mkdir(parents=True, exist_ok=True)
        missing = [one for one in packages if not _is(into / f"{one.sha256}.deb", one)]
        if not missing:
            return 0
        self._update()
        with tempfile.TemporaryDirectory(dir=into, prefix=".fetch-") as name:
            folder = Path(name)
            self._download(missing, folder)
            for package in missing:
                _keep(package, folder, into)
        return len(missing)

    def _download(self, packages: Sequence[LockedPackage], folder: Path) -> None:
        words = [f"{one.name}={one.version}" for one in packages]
        try:
            self._apt("-q", "download", *words, cwd=folder)
        except Invalid as error:
            gone = re.findall(r"Version '([^']+)' for '([^']+)' was not found", str(error))
            gone += [("", name) for name in re.findall(r"Unable to locate package (\S+)", str(error))]
            if not gone:
                raise
            names = ", ".join(f"{name} {version}".strip() for version, name in gone)
            raise NotFound(f"no longer served by this host's mirrors: {names}: {_LOCK_AGAIN}") from None

    def _update(self) -> None:
        for name in ("state/lists/partial", "cache/archives/partial", "preferences.d"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "status").write_text("")
        (self.root / "preferences").write_text(_PIN)
        (self.root / "sources.list").write_text(self.sources or self._sources())
        self._apt("update")

    def _apt(self, *words: str, cwd: Path | None = None) -> str:
        root = self.root
        options = {
            "Dir::Etc::SourceList": str(root / "sources.list"),
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": str(root / "preferences"),
            "Dir::Etc::PreferencesParts": str(root / "preferences.d"),
            "Dir::State": str(root / "state"),
            "Dir::State::status": str(root / "status"),
            "Dir::Cache": str(root / "cache"),
            "APT::Architecture": self.architecture,
            "APT::Architectures": self.architecture,
            "APT::Sandbox::User": "root",
            "APT::Install-Recommends": "false",
            "Acquire::Languages": "none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "Acquire::Retries": "3",
            "APT::Update::Post-Invoke-Success::": "true",
        }
        argv = ["apt-get"]
        for name, value in options.items():
            argv += ["-o", f"{name}={value}"]
        return run([*argv, *words], cwd=cwd)

    def _sources(self) -> str:
        """One-line sources of this suite: the host's own, else those mmdebstrap would take."""
        lines = []
        form = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ARCHITECTURE) $(SIGNED_BY)"
        for line in run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"]).splitlines():
            uri, release, component, architecture, *key = line.split(" ")
            ours = {self.suite, f"{self.suite}-updates", f"{self.suite}-security"}
            if release in ours and component == "main" and architecture == self.architecture:
                signed = f" signed-by={key[0]}" if key and key[0].startswith("/") else ""
                lines.append(f"deb [arch={architecture}{signed}] {uri} {release} main")
        return "".join(f"{line}\n" for line in sorted(set(lines))) or self._default_sources()

    def _default_sources(self) -> str:
        with tempfile.TemporaryDirectory(prefix="risen-sources-") as name:
            out = Path(name) / "sources"
            hook = f'cat "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/* 2>/dev/null > {out}; exit 1'
            argv = ["mmdebstrap", "--mode=root", "--variant=custom", f"--setup-hook={hook}", self.suite]
            try:
                run([*argv, Path(name) / "tree"])
            except Invalid as error:
                if not out.exists():
                    raise Invalid(f"this host knows no Debian {self.suite} mirror: {error}") from None
            return out.read_text()


def _printed(line: str) -> LockedPackage:
    match = _PRINTED.match(line)
    if match is None:
        raise Invalid(f"apt names no SHA256: {line}")
    url, filename, size, sha256 = match.groups()
    name, version, architecture = unquote(filename).removesuffix(".deb").split("_")
    place = url[url.rfind("/pool/") + 1 :] if "/pool/" in url else filename
    return LockedPackage(name, version, architecture, sha256, int(size), place)


def _is(path: Path, package: LockedPackage) -> bool:
    return path.is_file() and path.stat().st_size == package.size


def _keep(package: LockedPackage, folder: Path, into: Path) -> None:
    version = package.version.replace(":", "%3a")
    came = folder / f"{package.name}_{version}_{package.architecture}.deb"
    if not came.is_file():
        raise NotFound(f"{package.name} {package.version} did not come: {_LOCK_AGAIN}")
    check_sha256(came, package.sha256)
    came.chmod(0o644)
    os.replace(came, into / f"{package.sha256}.deb")


def check_sha256(path: Path, wanted: str) -> None:
    """Raises Corrupt, and removes the file, when its bytes are not what the lock pins."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted:
        path.unlink()
        raise Corrupt(f"{path.name}: sha256 is {found}, the lock pins {wanted}: refused, file removed")


def flat_repository(packages: Sequence[LockedPackage], debs: Path, folder: Path, suite: str) -> None:
    """Write an unsigned repository of exactly these packages, each checked against the lock again.

    Raises Corrupt."""
    folder.mkdir(mode=0o755)
    paragraphs = []
    for package in sorted(packages):
        deb = debs / f"{package.sha256}.deb"
        check_sha256(deb, package.sha256)
        name = f"{package.name}_{package.architecture}.deb"
        try:
            os.link(deb, folder / name)
        except OSError:
            shutil.copyfile(deb, folder / name)
        fields = run(["dpkg-deb", "-f", deb]).rstrip("\n")
        paragraphs.append(f"{fields}\nFilename: ./{name}\nSize: {package.size}\nSHA256: {package.sha256}\n")
    index = "\n".join(paragraphs).encode()
    (folder / "Packages").write_bytes(index)
    (folder / "Release").write_text(
        f"Origin: risen\nSuite: {suite}\nCodename: {suite}\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n"
        f"SHA256:\n {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n"
    )
