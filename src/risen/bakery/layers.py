"""Which steps make the image of a role, from the lowest layer to the highest, and which file goes where.

Decides only; reads no file and knows no cache. Layers: the Debian base, programs of every role (with the
baked container images), programs of the control plane, then the role's own content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from risen.bakery.archive import PAUSE, coredns_reference
from risen.bakery.components import COMPONENTS
from risen.bakery.lock import Lock, LockedComponent
from risen.bakery.recipe import Recipe
from risen.bakery.steps import (
    Archived,
    BaseStep,
    ContentStep,
    CopiedFile,
    LaidFile,
    Placed,
    ProgramsStep,
)
from risen.core.names import Role
from risen.instance.content import ImageContent

ARCHIVES = "usr/lib/risen/images"
"""Where container image tars lie in an image: containerd imports and pins every `*.tar` there at boot. Beside
each lies the list of its images, see `names_beside`."""
UNITS = "etc/systemd/system"


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """Bytes of the recipe's files and units by their source path, and the sha256 of its image archives."""

    data: Mapping[str, bytes]
    archives: Mapping[str, str]


def names_beside(archive: str) -> str:
    """Where the full names of an archive's images lie, one a line: what the instance looks for in containerd."""
    return archive.removesuffix(".tar") + ".names"


def base_step(lock: Lock) -> BaseStep:
    """The Debian base of every role."""
    return BaseStep(lock.suite, lock.architecture, lock.requested, lock.packages)


def program_steps(lock: Lock, kubernetes: str, base: str, role: Role) -> tuple[ProgramsStep, ...]:
    """Programs above a base tree: first what every role has, then what only the control plane has.

    Raises KeyError when the lock lacks a component."""
    everyone: list[Placed] = []
    control_plane: list[Placed] = []
    for component in _baked(lock, kubernetes):
        for program in COMPONENTS[component.name].programs:
            placed = Placed(
                f"usr/bin/{program.name}", component.name, component.version, program.name,
                program_key(component, program.name),
            )  # fmt: skip
            if Role.WORKER in program.roles:
                everyone.append(placed)
            elif Role.CONTROL_PLANE in program.roles:
                control_plane.append(placed)
    common = ProgramsStep("programs", base, tuple(everyone), _archives(lock))
    if role is not Role.CONTROL_PLANE:
        return (common,)
    return (common, ProgramsStep("programs control-plane", base, tuple(control_plane)))


def program_key(component: LockedComponent, program: str) -> str:
    """What names a program's bytes: their own sha256, or all that they are compiled from."""
    pinned = component.program(program).sha256
    return pinned or f"{component.sha256}+{component.toolchain}+{program}"


def content_step(recipe: Recipe, role: Role, base: str, content: ImageContent, own: OwnFiles) -> ContentStep:
    """A role's own layer. A later file of the same path wins: the recipe's over ours."""
    files: dict[str, LaidFile] = {}
    for one in content.files:
        path = one.path.lstrip("/")
        files[path] = LaidFile(path, one.data, one.mode, one.link or "")
    for unit in content.enabled_units:
        _enable(files, unit)
    for path, data in _kernel_files(recipe):
        files[path] = LaidFile(path, data)
    for written in recipe.files:
        if role in written.roles:
            path = written.path.lstrip("/")
            files[path] = LaidFile(path, own.data[written.source], written.mode)
    for unit_file in recipe.units:
        if role in unit_file.roles:
            path = f"{UNITS}/{unit_file.name}"
            files[path] = LaidFile(path, own.data[unit_file.source])
            if unit_file.enabled:
                _enable(files, unit_file.name)
    copied = tuple(
        CopiedFile(
            f"{ARCHIVES}/own-{own.archives[image.path][:16]}.tar", image.path, own.archives[image.path]
        )
        for image in recipe.images
        if role in image.roles
    )
    return ContentStep(f"content {role}", base, tuple(sorted(files.values())), copied)


def components_of(lock: Lock, kubernetes: str, role: Role) -> tuple[tuple[str, str], ...]:
    """(name, version) of every component with something in the image of a role, sorted. CoreDNS is in every
    image, as a container image; what comes from Debian is also among the packages."""
    found = []
    for component in lock.components:
        known = COMPONENTS[component.name]
        runs_here = any(role in program.roles for program in known.programs) or component.name == "coredns"
        if component.name == "kubernetes":
            runs_here = component.version == kubernetes
        if runs_here or known.debian:
            found.append((component.name, component.version))
    return tuple(sorted(found))


def _baked(lock: Lock, kubernetes: str) -> tuple[LockedComponent, ...]:
    """Components whose programs go into images, with the one Kubernetes version asked for."""
    rest = [one for one in lock.components if one.name != "kubernetes" and COMPONENTS[one.name].programs]
    return (lock.component("kubernetes", kubernetes), *sorted(rest))


def _archives(lock: Lock) -> tuple[Archived, ...]:
    catatonit = next((one.sha256 for one in lock.packages if one.name == "catatonit"), "")
    pause = Archived(f"{ARCHIVES}/pause.tar", PAUSE, "base", "1", "usr/bin/catatonit", catatonit)
    try:
        coredns = lock.component("coredns")
    except KeyError:
        return (pause,)
    reference = coredns_reference(coredns.version)
    key = program_key(coredns, "coredns")
    return (
        pause,
        Archived(f"{ARCHIVES}/coredns.tar", reference, "coredns", coredns.version, "coredns", key),
    )


def _enable(files: dict[str, LaidFile], unit: str) -> None:
    """A `wants` link, as `systemctl enable` would make it for an ordinary unit. A unit that ships with Debian
    is linked from its own folder."""
    target = f"/{UNITS}/{unit}" if f"{UNITS}/{unit}" in files else f"/usr/lib/systemd/system/{unit}"
    wanted_by = "sockets.target" if unit.endswith(".socket") else "multi-user.target"
    wanted_by = "timers.target" if unit.endswith(".timer") else wanted_by
    path = f"{UNITS}/{wanted_by}.wants/{unit}"
    files[path] = LaidFile(path, link=target)


def _kernel_files(recipe: Recipe) -> tuple[tuple[str, bytes], ...]:
    out = []
    if recipe.kernel_modules:
        text = "".join(f"{name}\n" for name in recipe.kernel_modules)
        out.append(("usr/lib/modules-load.d/risen-recipe.conf", text.encode()))
    if recipe.sysctls:
        text = "".join(f"{name} = {value}\n" for name, value in recipe.sysctls)
        out.append(("usr/lib/sysctl.d/60-risen-recipe.conf", text.encode()))
    return tuple(out)
