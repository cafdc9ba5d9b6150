"""Bakes the images of a lock: each step's layer from the cache or made now, and one record per role.

Uses the lock and nothing else: what it does not pin is not fetched. One bake at a time per home and cache.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from risen.adapters.builder import debian, golang, official
from risen.adapters.builder.apt import Apt, check_sha256
from risen.adapters.builder.archives import archived_names
from risen.adapters.builder.shelf import Layer, Shelf, disk_errors, only_one
from risen.adapters.builder.tools import tool_path
from risen.adapters.builder.trees import lay_file, lay_link, remove
from risen.bakery.archive import ContainerImage, coredns_image, pause_image, render_archive
from risen.bakery.components import COMPONENTS
from risen.bakery.digest import image_digest
from risen.bakery.layers import (
    OwnFiles,
    base_step,
    components_of,
    content_step,
    names_beside,
    program_steps,
)
from risen.bakery.lock import Lock, LockedComponent, LockError, lock_digest, parse_lock
from risen.bakery.recipe import EVERY_ROLE, Recipe
from risen.bakery.steps import BaseStep, ContentStep, ProgramsStep, Step, step_digest
from risen.codec.recipe_yaml import load_recipe
from risen.core.names import ImageDigest, Role
from risen.instance.content import ImageContent
from risen.interfaces.builder import BakedImage, BakeProgress, Report
from risen.interfaces.errors import Corrupt, Invalid, NotFound


@dataclass(frozen=True, slots=True)
class BakeRequest:
    """What to bake and where. `kubernetes` may be empty where the lock holds one version only."""

    recipe: Path
    lock: Path
    home: Path
    cache: Path
    content: Callable[[Role], ImageContent]
    roles: tuple[Role, ...] = EVERY_ROLE
    kubernetes: str = ""

    def bake(self, report: Report) -> dict[Role, BakedImage]:
        """See `bake`."""
        return bake(self, report)

    def foresee(self) -> dict[Role, ImageDigest] | None:
        """See `foresee`."""
        return foresee(self)


def bake(request: BakeRequest, report: Report) -> dict[Role, BakedImage]:
    """Bake an image for each role. A second call with nothing changed takes every layer from the cache.

    Raises NotFound (no lock, a package no longer served), Corrupt (a digest mismatch), Unreachable,
    NoCapacity, Denied, Invalid, and codec's Problems for a wrong recipe."""
    recipe, lock = read_inputs(request.recipe, request.lock)
    kubernetes = _kubernetes_of(lock, request.kubernetes)
    shelf = Shelf(request.home)

    def waits(for_what: str) -> None:
        report(BakeProgress("wait", for_what))

    with ExitStack() as held:
        held.enter_context(disk_errors(str(request.home)))
        held.enter_context(only_one(shelf.folder / "lock", waits))
        held.enter_context(only_one(request.cache / "lock", waits))
        shelf.sweep()
        sweep_cache(request.cache)
        oven = _Oven(request, recipe, lock, kubernetes, shelf, report)
        return oven.images()


def foresee(request: BakeRequest) -> dict[Role, ImageDigest] | None:
    """What `bake` would give, or None where a layer is still to be made. Makes and fetches nothing.

    Raises what reading the inputs raises: NotFound, Corrupt, Invalid, codec's Problems."""
    recipe, lock = read_inputs(request.recipe, request.lock)
    kubernetes = _kubernetes_of(lock, request.kubernetes)
    oven = _Oven(request, recipe, lock, kubernetes, Shelf(request.home), lambda progress: None)
    return oven.foreseen()


def sweep_cache(cache: Path) -> None:
    """Take away what an interrupted compile or download left. Only under the cache's lock."""
    for pattern in (
        "components/.compile-*",
        "toolchains/.install-*",
        "debs/.fetch-*",
        "official/.download-*",
    ):
        for left in cache.glob(pattern):
            remove(left)


def read_inputs(recipe_path: Path, lock_path: Path) -> tuple[Recipe, Lock]:
    """The recipe and its lock. Raises NotFound or Invalid that says to run `risen recipe lock`."""
    try:
        text = recipe_path.read_text()
    except FileNotFoundError:
        raise NotFound(f"{recipe_path} is not there: `risen init` writes one") from None
    recipe = load_recipe(text, str(recipe_path))
    try:
        lock = parse_lock(lock_path.read_text())
    except FileNotFoundError:
        raise NotFound(f"{lock_path} is not there: run `risen recipe lock`") from None
    except LockError as error:
        raise Invalid(f"{lock_path} {error}") from None
    if lock.recipe_sha256 != hashlib.sha256(text.encode()).hexdigest():
        raise Invalid(f"{recipe_path} has changed since {lock_path.name} was made: run `risen recipe lock`")
    return recipe, lock


def _kubernetes_of(lock: Lock, wanted: str) -> str:
    versions = lock.kubernetes_versions()
    if not wanted and len(versions) == 1:
        return versions[0]
    if wanted in versions:
        return wanted
    held = f"the lock holds Kubernetes {', '.join(versions) or 'in no version'}"
    if not wanted:
        raise Invalid(f"{held}: say which one with --kubernetes")
    raise Invalid(f"{held}, not {wanted}: run `risen recipe lock --kubernetes {wanted}`")


@dataclass(frozen=True, slots=True)
class _Oven:
    """One bake."""

    request: BakeRequest
    recipe: Recipe
    lock: Lock
    kubernetes: str
    shelf: Shelf
    report: Report

    def images(self) -> dict[Role, BakedImage]:
        base = base_step(self.lock)
        lowest = self.layer(base, f"{len(base.packages)} Debian packages", self.fill_base(base))
        own = self.own_files()
        baked = {}
        for role in self.request.roles:
            stack = [lowest]
            for step in self.steps_above(role, lowest, own):
                match step:
                    case ProgramsStep():
                        stack.append(
                            self.layer(step, "compiling and copying", self.fill_programs(step, lowest))
                        )
                    case ContentStep():
                        stack.append(self.layer(step, "copying", self.fill_content(step, lowest)))
            facts = {
                "kubernetes": self.kubernetes,
                "lock": lock_digest(self.lock),
                "compiled_here": sorted(one.name for one in self.lock.components if one.compiled),
                "components": dict(components_of(self.lock, self.kubernetes, role)),
                "packages": {one.name: one.version for one in self.lock.packages},
            }
            baked[role] = self.shelf.keep_image(role, stack, facts)
        self.tools()
        return baked

    def foreseen(self) -> dict[Role, ImageDigest] | None:
        """Digests of the images, from layers that are there."""
        lowest = self.shelf.layer_of(step_digest(base_step(self.lock)))
        if lowest is None:
            return None
        own = self.own_files()
        found: dict[Role, ImageDigest] = {}
        for role in self.request.roles:
            above = [self.shelf.layer_of(step_digest(step)) for step in self.steps_above(role, lowest, own)]
            stack = [lowest, *(layer for layer in above if layer is not None)]
            if len(stack) <= len(above):
                return None
            found[role] = image_digest(role, (layer.digest for layer in stack))
        return found

    def steps_above(self, role: Role, lowest: Layer, own: OwnFiles) -> tuple[ProgramsStep | ContentStep, ...]:
        """What makes the image of a role above the Debian base."""
        programs = program_steps(self.lock, self.kubernetes, lowest.digest, role)
        content = content_step(self.recipe, role, lowest.digest, self.request.content(role), own)
        return (*programs, content)

    def layer(self, step: Step, waits_for: str, fill: Callable[[Path, Path], None]) -> Layer:
        """A step's layer, from the cache or made now."""
        digest = step_digest(step)
        found = self.shelf.layer_of(digest)
        if found is not None:
            self.report(BakeProgress(step.name, step.describe(), 0.0, cached=True))
            return found
        started = time.monotonic()
        self.report(BakeProgress(step.name, waits_for))
        layer = self.shelf.make_layer(digest, step.describe(), fill)
        self.report(BakeProgress(step.name, step.describe(), time.monotonic() - started))
        return layer

    def fill_base(self, step: BaseStep) -> Callable[[Path, Path], None]:
        """How to make the Debian tree."""

        def fill(tree: Path, scratch: Path) -> None:
            cache = self.request.cache
            self.report(BakeProgress("base", "packages from this host's Debian mirrors"))
            apt = Apt(cache / "apt" / f"{step.suite}-{step.architecture}", step.suite, step.architecture)
            apt.fetch(step.packages, cache / "debs")
            self.report(BakeProgress("base", "mmdebstrap to install them"))
            debian.make_base(step, cache / "debs", tree, scratch)

        return fill

    def fill_programs(self, step: ProgramsStep, base: Layer) -> Callable[[Path, Path], None]:
        """How to lay programs and pack baked container images."""

        def fill(tree: Path, scratch: Path) -> None:
            tree.mkdir()
            for placed in step.programs:
                source = self.program(placed.component, placed.version, placed.program)
                lay_file(tree, base.path, placed.path, source, placed.mode)
            for archived in step.archives:
                if archived.component == "base":
                    image = pause_image((base.path / archived.program).read_bytes(), self.lock.architecture)
                else:
                    data = self.program(archived.component, archived.version, archived.program).read_bytes()
                    image = _image_of(archived.component, archived.version, data, self.lock.architecture)
                lay_file(tree, base.path, archived.path, render_archive(image), 0o644)
                _lay_names(tree, base, archived.path, (image.reference,))

        return fill

    def fill_content(self, step: ContentStep, base: Layer) -> Callable[[Path, Path], None]:
        """How to lay Risen's own files and the recipe's."""

        def fill(tree: Path, scratch: Path) -> None:
            tree.mkdir()
            for one in step.files:
                if one.link:
                    lay_link(tree, base.path, one.path, one.link)
                else:
                    lay_file(tree, base.path, one.path, one.data, one.mode)
            for copied in step.copied:
                lay_file(tree, base.path, copied.path, self.beside(copied.source), copied.mode)
                check_sha256(tree / copied.path, copied.sha256)
                _lay_names(tree, base, copied.path, archived_names(self.beside(copied.source)))

        return fill

    def program(self, name: str, version: str, program: str) -> Path:
        """The file of a locked program, fetched or compiled if the cache lacks it."""
        component = self.lock.component(name, version)
        cache, architecture = self.request.cache, self.lock.architecture
        if component.source == "path":
            path = self.beside(component.origin) / program
            _same_bytes(path, component.program(program).sha256)
            return path
        if component.source == "official":
            return official.fetched(component, program, cache, official.Upstream())
        if not golang.kept_at(component, architecture, cache).is_dir():
            self.compile(component)
        return golang.compiled(component, architecture, cache) / program

    def compile(self, component: LockedComponent) -> None:
        """Compile a component, saying so: it takes minutes."""
        started = time.monotonic()
        step = f"compile {component.name}"
        self.report(BakeProgress(step, f"the Go compiler, {component.toolchain} (minutes, once)"))
        golang.compiled(component, self.lock.architecture, self.request.cache)
        self.report(BakeProgress(step, f"{component.name} {component.version}", time.monotonic() - started))

    def own_files(self) -> OwnFiles:
        """The recipe's own files by source path, each as the lock pins it, and its images' sha256.

        Raises Corrupt when one has changed since the lock was made."""
        pinned = {one.path: one.sha256 for one in self.lock.files}
        files = {}
        for path in self.recipe.own_sources():
            data = self.beside(path).read_bytes()
            if hashlib.sha256(data).hexdigest() != pinned.get(path):
                raise Corrupt(f"{path} is not the file that was locked: run `risen recipe lock --files-only`")
            files[path] = data
        return OwnFiles(files, {one.path: pinned[one.path] for one in self.recipe.images})

    def beside(self, path: str) -> Path:
        """A path relative to the recipe. Raises NotFound."""
        found = self.request.recipe.parent / path
        if not found.exists():
            raise NotFound(f"{found}, named in {self.request.recipe}, is not there")
        return found

    def tools(self) -> None:
        """Put what only this host uses (kubectl, etcdctl) where the CLI looks for it.

        One that lies there with the bytes the lock pins is not wanted of the cache, which may be gone.
        """
        for name, version in (("kubernetes", self.kubernetes), ("etcd", None)):
            try:
                component = self.lock.component(name, version)
            except KeyError:
                continue
            for program in COMPONENTS[name].programs:
                if not program.roles:
                    path = tool_path(self.request.home, name, component.version, program.name)
                    if not _is_there(path, component.program(program.name).sha256):
                        _keep_tool(self.program(name, component.version, program.name), path)


def _is_there(path: Path, wanted: str) -> bool:
    return wanted != "" and path.is_file() and _sha256(path) == wanted


def _keep_tool(source: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(source.read_bytes())
    partial.chmod(0o755)
    partial.replace(path)


def _image_of(component: str, version: str, data: bytes, architecture: str) -> ContainerImage:
    if component == "coredns":
        return coredns_image(version, data, architecture)
    raise Invalid(f"no container image is made of {component}")


def _lay_names(tree: Path, base: Layer, archive: str, names: tuple[str, ...]) -> None:
    text = "".join(f"{name}\n" for name in names)
    lay_file(tree, base.path, names_beside(archive), text.encode(), 0o644)


def _same_bytes(path: Path, wanted: str) -> None:
    found = _sha256(path)
    if found != wanted:
        raise Corrupt(f"{path} has sha256 {found}, the lock pins {wanted}: put the right file there, or lock")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
