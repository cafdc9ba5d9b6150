"""A recipe that bakes in a moment, offline and without root: programs of a few bytes beside it, a base of one file.

The base is what a real bake installs Debian packages for; everything above it is made by the real builder.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from risen.adapters.builder.locking import requested_packages
from risen.adapters.builder.shelf import Shelf
from risen.adapters.builder.trees import lay_file
from risen.bakery.components import COMPONENTS
from risen.bakery.layers import base_step
from risen.bakery.lock import (
    Lock,
    LockedComponent,
    LockedFile,
    LockedPackage,
    LockedProgram,
    parse_lock,
    render_lock,
)
from risen.bakery.steps import step_digest
from risen.codec.recipe_yaml import default_recipe_yaml, load_recipe

VERSIONS = {"kubernetes": "1.36.3", "etcd": "3.6.16", "flannel": "0.28.10", "coredns": "1.15.0"}
DEBIAN = {"containerd": "1.6.20", "runc": "1.1.5", "cni-plugins": "1.1.1"}


def lay_recipe(
    folder: Path, home: Path, sysctls: str = "{}", openssl: str = "3.0.17", coredns: str = "1.15.0"
) -> None:
    """recipe.yaml, recipe.lock and programs in `folder`, and their base on the shelf of `home`.

    `sysctls` and the versions of a package and of CoreDNS change what is baked."""
    recipe = default_recipe_yaml().replace("sysctls: {}", f"sysctls: {sysctls}")
    recipe = recipe.replace('coredns: "1.15.0"', f'coredns: "{coredns}"')
    (folder / "recipe.yaml").write_text(recipe)
    packages = (
        LockedPackage("catatonit", "0.1.7", "amd64", "a" * 64, 1, "pool/c.deb"),
        LockedPackage("openssl", openssl, "amd64", "b" * 64, 1, "pool/o.deb"),
    )
    components = [
        _component(folder, name, version) for name, version in {**VERSIONS, "coredns": coredns}.items()
    ]
    components += [
        LockedComponent(name, version, "debian", name, "debian") for name, version in DEBIAN.items()
    ]
    lock = Lock(
        hashlib.sha256(recipe.encode()).hexdigest(), "amd64", "bookworm",
        requested_packages(load_recipe(recipe, "recipe.yaml")), packages, tuple(components),
    )  # fmt: skip
    (folder / "recipe.lock").write_text(render_lock(lock))

    def fill(tree: Path, scratch: Path) -> None:
        tree.mkdir()
        lay_file(tree, tree, "usr/bin/catatonit", openssl.encode(), 0o755)

    Shelf(home).make_layer(step_digest(base_step(lock)), "a base of one file", fill)


def add_own_file(folder: Path, source: str, data: bytes) -> None:
    """A file beside the recipe that goes into workers, in the recipe and pinned by its lock."""
    (folder / source).write_bytes(data)
    recipe = (folder / "recipe.yaml").read_text()
    recipe += f"  files: [{{path: /etc/acme/{source}, source: ./{source}, roles: [worker]}}]\n"
    (folder / "recipe.yaml").write_text(recipe)
    lock = replace(
        parse_lock((folder / "recipe.lock").read_text()),
        recipe_sha256=hashlib.sha256(recipe.encode()).hexdigest(),
        files=(LockedFile(source, hashlib.sha256(data).hexdigest()),),
    )
    (folder / "recipe.lock").write_text(render_lock(lock))


def _component(folder: Path, name: str, version: str) -> LockedComponent:
    origin = f"vendor/{name}-{version}"
    programs = []
    for program in COMPONENTS[name].programs:
        data = f"{name} {version} {program.name}".encode()
        path = folder / origin / program.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        programs.append(LockedProgram(program.name, hashlib.sha256(data).hexdigest()))
    return LockedComponent(name, version, "path", origin, "a local folder", programs=tuple(programs))
