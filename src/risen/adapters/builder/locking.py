"""Makes a lock: each component from the first of the recipe's sources that has it, saying why. Or keeps all of
one but the hashes of the recipe's own files.

The only place that decides where something comes from. Compiles and installs nothing.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from risen.adapters.builder import golang, official
from risen.adapters.builder.apt import Apt
from risen.adapters.builder.archives import archived_names
from risen.adapters.builder.bake import read_inputs
from risen.adapters.builder.shelf import disk_errors, only_one, write_whole
from risen.bakery.components import BASE_PACKAGES, COMPONENTS, TOOLCHAIN, Component
from risen.bakery.lock import Lock, LockedComponent, LockedFile, LockedPackage, LockedProgram, render_lock
from risen.bakery.recipe import LocalFolder, NamedSource, Recipe, Source
from risen.codec.recipe_yaml import load_recipe
from risen.interfaces.builder import BakeProgress, Report
from risen.interfaces.errors import InterfaceError, Invalid, NotFound, Unreachable


@dataclass(frozen=True, slots=True)
class LockRequest:
    """What to lock and where. `kubernetes` holds every version that images shall be baked for."""

    recipe: Path
    lock: Path
    cache: Path
    kubernetes: tuple[str, ...]
    upstream: official.Upstream = field(default_factory=official.Upstream)


def make_lock(request: LockRequest, report: Report) -> Lock:
    """Resolve a recipe and write its lock.

    Raises NotFound (a version no source has, with what each said; a file that is not there), Unreachable,
    Invalid, NoCapacity, and codec's Problems for a wrong recipe."""
    with disk_errors(str(request.cache)):

        def waits(for_what: str) -> None:
            report(BakeProgress("wait", for_what))

        with only_one(request.cache / "lock", waits):
            return _make_lock(request, report)


def _make_lock(request: LockRequest, report: Report) -> Lock:
    try:
        text = request.recipe.read_text()
    except FileNotFoundError:
        raise NotFound(f"{request.recipe} is not there: `risen init` writes one") from None
    recipe = load_recipe(text, str(request.recipe))
    packages = _packages(recipe, request, report)
    asked = _Asked(request, recipe, packages)
    components = tuple(
        asked.component(name, version, report)
        for name, version in (*(("kubernetes", one) for one in request.kubernetes), *recipe.components)
    )
    lock = Lock(
        recipe_sha256=hashlib.sha256(text.encode()).hexdigest(),
        architecture=recipe.architecture,
        suite=recipe.suite,
        requested=requested_packages(recipe),
        packages=packages,
        components=components,
        files=_files(recipe, request.recipe.parent),
    )
    write_whole(request.lock, render_lock(lock))
    return lock


def lock_files(recipe_path: Path, lock_path: Path) -> tuple[str, ...]:
    """Pin the recipe's own files as they are now and keep all else that its lock says; which files changed.

    Asks nobody: needs no network and no cache. Raises NotFound, Invalid (there is no lock of just this recipe and
    this Risen), NoCapacity, and codec's Problems for a wrong recipe."""
    recipe, kept = read_inputs(recipe_path, lock_path)
    if set(kept.requested) != set(requested_packages(recipe)):
        raise Invalid(
            f"{lock_path} is of a Risen that asks Debian for other packages than this one: run `risen recipe lock`"
        )
    files = _files(recipe, recipe_path.parent)
    with disk_errors(str(lock_path)):
        write_whole(lock_path, render_lock(replace(kept, files=files)))
    return tuple(sorted({one.path for one in {*files} ^ {*kept.files}}))


def requested_packages(recipe: Recipe) -> tuple[str, ...]:
    """Debian packages asked for by name: the recipe's and Risen's own."""
    components = [COMPONENTS[name].debian for name, version in recipe.components if version == "debian"]
    return tuple(sorted({*BASE_PACKAGES, *recipe.packages, *components}))


def _packages(recipe: Recipe, request: LockRequest, report: Report) -> tuple[LockedPackage, ...]:
    started = time.monotonic()
    report(BakeProgress("packages", "this host's Debian mirrors"))
    root = request.cache / "apt" / f"{recipe.suite}-{recipe.architecture}"
    found = Apt(root, recipe.suite, recipe.architecture).resolve(requested_packages(recipe))
    report(BakeProgress("packages", f"{len(found)} Debian packages", time.monotonic() - started))
    return found


@dataclass(frozen=True, slots=True)
class _Asked:
    """Everything that resolving one component looks at."""

    request: LockRequest
    recipe: Recipe
    packages: tuple[LockedPackage, ...]

    def component(self, name: str, version: str, report: Report) -> LockedComponent:
        """The first source that has it, with what was passed over and why. Raises NotFound."""
        component = COMPONENTS[name]
        if version == "debian":
            return _from_debian(component, self.packages)
        started = time.monotonic()
        refused: list[str] = []
        passed_over: list[str] = []
        for source in self.recipe.sources:
            word = source.path if isinstance(source, LocalFolder) else source.name
            try:
                found = _from(source, component, version, self.recipe, self.request)
            except (NotFound, Unreachable) as error:
                refused.append(f"{word}: {error}")
                passed_over.append(f"{word} {_short(error)}")
                continue
            report(
                BakeProgress(
                    f"{name} {version}", "; ".join([found.why, *refused]), time.monotonic() - started
                )
            )
            why = f"{found.why} ({', '.join(passed_over)})" if passed_over else found.why
            return replace(found, why=why)
        said = "".join(f"\n  {one}" for one in refused)
        raise NotFound(f"no source has {name} {version}:{said}")


def _short(error: InterfaceError) -> str:
    """Why a source was passed over, in words that are the same at every try."""
    return "cannot be reached" if isinstance(error, Unreachable) else "does not have it"


def _from(
    source: Source, component: Component, version: str, recipe: Recipe, request: LockRequest
) -> LockedComponent:
    match source:
        case LocalFolder(path):
            return _from_folder(component, version, path, request.recipe.parent)
        case NamedSource("official"):
            return official.lock_official(
                component, version, recipe.architecture, request.cache, request.upstream
            )
        case NamedSource("go-modules"):
            return _from_modules(component, version, recipe.architecture)
        case NamedSource("debian"):
            raise NotFound(f'only where the recipe says "{component.name}: debian"')
        case NamedSource(name):
            raise Invalid(f"unknown source {name}")


def _from_folder(component: Component, version: str, path: str, beside: Path) -> LockedComponent:
    """Ready binaries in `PATH/NAME-VERSION/`."""
    origin = f"{path.rstrip('/')}/{component.name}-{version}"
    folder = beside / origin
    if not folder.is_dir():
        raise NotFound(f"{folder} is not there")
    missing = [one.name for one in component.programs if not (folder / one.name).is_file()]
    if missing:
        raise NotFound(f"{folder} lacks {', '.join(missing)}")
    programs = tuple(LockedProgram(one.name, _sha256(folder / one.name)) for one in component.programs)
    return LockedComponent(
        component.name, version, "path", origin, "binaries in a local folder", programs=programs
    )


def _from_modules(component: Component, version: str, architecture: str) -> LockedComponent:
    modules = golang.module_set(component.name, version)
    pinned = modules.pinned(architecture)
    return LockedComponent(
        component.name, version, "go-modules", f"{component.name}-{version}", "compiled here from Go modules",
        modules.sha256, True, TOOLCHAIN,
        tuple(LockedProgram(one.name, pinned.get(one.name, "")) for one in component.programs),
    )  # fmt: skip


def _from_debian(component: Component, packages: tuple[LockedPackage, ...]) -> LockedComponent:
    if not component.debian:
        raise NotFound(f"{component.name} is not taken from Debian: name a version")
    package = next((one for one in packages if one.name == component.debian), None)
    if package is None:
        raise NotFound(f"Debian has no package {component.debian}")
    return LockedComponent(
        component.name, package.version, "debian", package.name, "the recipe says debian", package.sha256
    )


def _files(recipe: Recipe, beside: Path) -> tuple[LockedFile, ...]:
    named = {*recipe.own_sources(), *(one.path for one in recipe.images)}
    found = []
    for path in sorted(named):
        if not (beside / path).is_file():
            raise NotFound(f"{beside / path}, named in the recipe, is not there")
        found.append(LockedFile(path, _sha256(beside / path)))
    for image in recipe.images:
        archived_names(beside / image.path)
    return tuple(found)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
