"""For developers: makes the module set (go.mod, go.sum, sha256 of the programs) of a component's version.

    python -m risen.adapters.builder.module_sets kubernetes 1.36.3          resolve and compile, write the set
    python -m risen.adapters.builder.module_sets --pin-only kubernetes 1.36.3   compile a set that is there

Asks Go modules by the ordinary `go` client only. Users never need it: the sets are part of the package.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from risen.adapters.builder import golang
from risen.adapters.builder.programs import run
from risen.adapters.builder.shelf import only_one
from risen.bakery.components import COMPONENTS, TOOLCHAIN
from risen.bakery.lock import LockedComponent, LockedProgram

_K8S = "k8s.io/kubernetes"
_STAGING = re.compile(r"^\s+(k8s\.io/[a-z0-9-]+) v0\.0\.0\s*(?://.*)?$", re.MULTILINE)
_GO = "1.26.0"


@dataclass(frozen=True, slots=True)
class _Main:
    """Main packages of a component, and what must be replaced. `{v}` is the version."""

    packages: tuple[str, ...]
    replaced: tuple[str, ...] = ()


_VPC = "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/vpc"
_MAINS: Mapping[str, _Main] = MappingProxyType(
    {
        "kubernetes": _Main(
            tuple(f"{_K8S}/cmd/{program.name}@v{{v}}" for program in COMPONENTS["kubernetes"].programs)
        ),
        "etcd": _Main(
            (
                "go.etcd.io/etcd/server/v3@v{v}",
                "go.etcd.io/etcd/etcdutl/v3@v{v}",
                "go.etcd.io/etcd/etcdctl/v3@v{v}",
            )
        ),
        # The version of this backend's module that flannel names is not served.
        "flannel": _Main(("github.com/flannel-io/flannel@v{v}",), (f"{_VPC} => {_VPC} v1.0.1000",)),
        "coredns": _Main(("github.com/coredns/coredns@v{v}",)),
    }
)


def write_module_set(component: str, version: str, folder: Path, cache: Path) -> None:
    """Resolve a version into `folder/go.mod` and `go.sum`. Raises Unreachable, Invalid (not served)."""
    go = golang.toolchain(cache, "amd64")
    main = _MAINS[component]
    with tempfile.TemporaryDirectory(prefix="risen-modules-") as name:
        work = Path(name)
        replaced = [*main.replaced, *(_staging(go, work, version) if component == "kubernetes" else ())]
        text = f"module risen.local/{component}\n\ngo {_GO}\n"
        text += "".join(f"replace {one}\n" for one in replaced)
        (work / "go.mod").write_text(text)
        extra = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
        run([go, "get", "-tool", *(one.format(v=version) for one in main.packages)], cwd=work, extra=extra)
        run([go, "list", "-deps", "tool"], cwd=work, extra=extra)
        folder.mkdir(parents=True, exist_ok=True)
        for one in ("go.mod", "go.sum"):
            (folder / one).write_bytes((work / one).read_bytes())


def _staging(go: Path, work: Path, version: str) -> list[str]:
    """Modules that k8s.io/kubernetes takes from its own tree (v0.0.0 in its go.mod) and publishes as v0.*."""
    answer = run([go, "mod", "download", "-json", f"{_K8S}@v{version}"], cwd=work)
    upstream = Path(json.loads(answer)["GoMod"]).read_text()
    published = "v0." + version.partition(".")[2]
    return [f"{one} => {one} {published}" for one in sorted(set(_STAGING.findall(upstream)))]


def pin_programs(component: str, version: str, architecture: str, cache: Path) -> None:
    """Compile a set and write the sha256 of each program beside it. Minutes of work."""
    modules = golang.module_set(component, version)
    programs = tuple(LockedProgram(one.name, "") for one in COMPONENTS[component].programs)
    locked = LockedComponent(
        component, version, "go-modules", modules.folder.name, "", modules.sha256, True, TOOLCHAIN, programs
    )
    folder = golang.compiled(locked, architecture, cache)
    pins = {one.name: hashlib.sha256((folder / one.name).read_bytes()).hexdigest() for one in programs}
    text = json.dumps(pins, indent=1, sort_keys=True) + "\n"
    (modules.folder / f"sha256-{architecture}.json").write_text(text)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Make the module set of a component's version.")
    parser.add_argument("component", choices=sorted(_MAINS))
    parser.add_argument("version")
    parser.add_argument("--pin-only", action="store_true", help="compile the set that is there")
    asked = parser.parse_args()
    cache = Path(os.environ.get("RISEN_CACHE", "/var/cache/risen"))
    with only_one(cache / "lock", print):
        if not asked.pin_only:
            folder = golang.MODULES / f"{asked.component}-{asked.version}"
            write_module_set(asked.component, asked.version, folder, cache)
        pin_programs(asked.component, asked.version, "amd64", cache)


if __name__ == "__main__":
    main()
