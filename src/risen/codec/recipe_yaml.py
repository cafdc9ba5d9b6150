"""recipe.yaml: its fields, their words for people, and the way from its text to a `Recipe`.

Fields of what is not built are refused by name. Opens no file and resolves nothing: that is the lock's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from risen.bakery.components import BASE_PACKAGES, COMPONENTS, WRITTEN
from risen.bakery.recipe import (
    DEFAULT_SOURCES,
    EVERY_ROLE,
    LocalFolder,
    NamedSource,
    Recipe,
    RecipeFile,
    RecipeImage,
    RecipeUnit,
    Source,
)
from risen.codec.written import Written, did_you_mean, parse
from risen.codec.yaml_nodes import Document, Problem
from risen.core.names import Role

_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.-]+)?")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_UNIT = re.compile(r"[A-Za-z0-9:_.@-]+\.(service|socket|timer|path|mount|target|slice)")
_SYSCTL = re.compile(r"[a-z0-9_]+([./][A-Za-z0-9_*-]+)+")
_MODULE = re.compile(r"[A-Za-z0-9_-]+")
_OURS = ("/usr/lib/risen/", "/proc/", "/sys/", "/dev/", "/run/", "/tmp/", "/var/lib/risen/", "/etc/risen/")
_KEPT_OUT = ("openssh-server", "dropbear", "telnetd", "tinysshd")


def _matching(pattern: re.Pattern[str], words: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"must be {words}")
        return value

    return AfterValidator(check)


def _component_name(value: str) -> str:
    if value == "kubernetes":
        raise ValueError(
            "Kubernetes' version stands in cluster.yaml (spec.kubernetes.version), and only there"
        )
    if value not in WRITTEN:
        raise ValueError(f"unknown component{did_you_mean(value, WRITTEN)}; known: {', '.join(WRITTEN)}")
    return value


def _version(value: str) -> str:
    if value != "debian" and not _VERSION.fullmatch(value):
        raise ValueError('must be a version such as "3.6.16", in quotes, or debian')
    return value


def _absolute(value: str) -> str:
    parts = value.split("/")
    if not value.startswith("/") or value.endswith("/") or ".." in parts or "" in parts[1:] or "." in parts:
        raise ValueError('must be an absolute path such as "/etc/acme/agent.conf"')
    if value.startswith(_OURS):
        raise ValueError(f"must not lie in {', '.join(_OURS)}: that is Risen's own or not part of an image")
    return value


def _beside(value: str) -> str:
    if not value or value.startswith("/") or ".." in value.split("/") or "\0" in value:
        raise ValueError("must be a path below the recipe's own folder, such as ./files/agent.conf")
    return value.removeprefix("./")


def _mode(value: str) -> str:
    if not re.fullmatch(r"0?[0-7]{3}", value):
        raise ValueError('must be three octal digits such as "0644", in quotes; setuid bits are refused')
    return value


def _package(value: str) -> str:
    if not _PACKAGE.fullmatch(value):
        raise ValueError("must be the name of a Debian package")
    if value in _KEPT_OUT:
        raise ValueError("nobody logs in to an instance: `risen autopsy` and logs tell what happened")
    return value


def _sysctl_value(value: str) -> str:
    if not value.strip() or "\n" in value:
        raise ValueError("must be one line of text")
    return value.strip()


Beside = Annotated[str, AfterValidator(_beside)]
RoleWritten = Literal["control-plane", "worker"]


class RecipeMetadata(Written):
    """What the recipe is called."""

    name: Annotated[str, _matching(re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?"), "a DNS label")] = Field(
        description="the recipe's name, a DNS label"
    )


class DebianWritten(Written):
    """The Debian base."""

    not_built: ClassVar[Mapping[str, str]] = MappingProxyType({"snapshot": "versions pinned by recipe.lock"})
    suite: Literal["bookworm"] = Field(default="bookworm", description="the Debian suite")


class BaseWritten(Written):
    """What images start from."""

    debian: DebianWritten = Field(default_factory=DebianWritten, description="the Debian base")


class SourceWritten(Written):
    """A local folder of ready binaries."""

    path: Beside = Field(description="folder beside the recipe; NAME-VERSION/PROGRAM in it")


class KernelWritten(Written):
    """Kernel settings."""

    modules: list[Annotated[str, _matching(_MODULE, "a kernel module's name")]] = Field(
        default_factory=list, description="modules loaded at boot"
    )
    sysctls: dict[
        Annotated[str, _matching(_SYSCTL, "a name such as net.core.somaxconn")],
        Annotated[str, AfterValidator(_sysctl_value)],
    ] = Field(default_factory=dict, description="kernel parameters, values in quotes")


class FileWritten(Written):
    """A file of the user's own."""

    path: Annotated[str, AfterValidator(_absolute)] = Field(description="where it lies in the image")
    source: Beside = Field(description="the file, beside the recipe")
    mode: Annotated[str, AfterValidator(_mode)] = Field(default="0644", description="octal mode, in quotes")
    roles: list[RoleWritten] | None = Field(default=None, description="only for these roles")


class UnitWritten(Written):
    """A systemd unit of the user's own."""

    name: Annotated[str, _matching(_UNIT, "a unit's name such as agent.service")] = Field(
        description="the unit's name"
    )
    source: Beside = Field(description="the unit file, beside the recipe")
    enabled: bool = Field(default=True, description="whether it starts at boot")
    roles: list[RoleWritten] | None = Field(default=None, description="only for these roles")


class ImageWritten(Written):
    """A container image to preload."""

    not_built: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"reference": "path, of a docker-archive or OCI tar"}
    )
    path: Beside = Field(
        description="a docker-archive, or an OCI tar with full image names; not compressed, beside the recipe"
    )
    roles: list[RoleWritten] | None = Field(default=None, description="only for these roles")


class RecipeSpecWritten(Written):
    """What goes into images."""

    not_built: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "ports": "no firewall inside instances",
            "tests": "checks of your own after `risen up`",
            "kernelImage": "the host's kernel",
        }
    )
    architectures: list[Literal["amd64"]] = Field(
        default_factory=list[Literal["amd64"]], max_length=1, description="amd64"
    )
    base: BaseWritten = Field(default_factory=BaseWritten, description="what images start from")
    components: dict[
        Annotated[str, AfterValidator(_component_name)], Annotated[str, AfterValidator(_version)]
    ] = Field(description=f"a version or debian for each of {', '.join(WRITTEN)}")
    sources: list[Literal["official", "go-modules", "debian"] | SourceWritten] = Field(
        default_factory=list[Literal["official", "go-modules", "debian"] | SourceWritten],
        description="where components come from, in this order; official, go-modules, debian if empty",
    )
    packages: list[Annotated[str, AfterValidator(_package)]] = Field(
        default_factory=list, description="further Debian packages"
    )
    kernel: KernelWritten = Field(default_factory=KernelWritten, description="kernel settings")
    files: list[FileWritten] = Field(default_factory=list, description="files of your own")
    units: list[UnitWritten] = Field(default_factory=list, description="systemd units of your own")
    images: list[ImageWritten] = Field(default_factory=list, description="container images to preload")


class RecipeWritten(Written):
    """A whole recipe.yaml."""

    api_version: Literal["risen/v1alpha1"] = Field(description="risen/v1alpha1")
    kind: Literal["Recipe"] = Field(description="Recipe")
    metadata: RecipeMetadata = Field(description="what the recipe is called")
    spec: RecipeSpecWritten = Field(description="what goes into images")


def load_recipe(text: str, filename: str) -> Recipe:
    """Read recipe.yaml. Raises yaml_nodes.Problems with everything that is wrong."""
    written, _ = parse(text, filename, RecipeWritten, (_missing_components, _same_path_twice))
    spec = written.spec
    sources: tuple[Source, ...] = tuple(
        NamedSource(one) if isinstance(one, str) else LocalFolder(one.path) for one in spec.sources
    )
    return Recipe(
        name=written.metadata.name,
        components=tuple(sorted(spec.components.items())),
        architecture=next(iter(spec.architectures), "amd64"),
        suite=spec.base.debian.suite,
        sources=sources or DEFAULT_SOURCES,
        packages=tuple(sorted(set(spec.packages))),
        kernel_modules=tuple(spec.kernel.modules),
        sysctls=tuple(sorted(spec.kernel.sysctls.items())),
        files=tuple(
            RecipeFile(one.path, one.source, int(one.mode, 8), _roles(one.roles)) for one in spec.files
        ),
        units=tuple(RecipeUnit(one.name, one.source, one.enabled, _roles(one.roles)) for one in spec.units),
        images=tuple(RecipeImage(one.path, _roles(one.roles)) for one in spec.images),
    )


def _roles(written: list[RoleWritten] | None) -> tuple[Role, ...]:
    return EVERY_ROLE if written is None else tuple(Role(one) for one in written)


def _missing_components(document: Document) -> Iterator[Problem]:
    """Every component of the table is needed, and those from Debian come only from there."""
    here = ("spec", "components")
    written = document.at(here)
    if not isinstance(written, dict):
        return
    missing = [name for name in WRITTEN if name not in written]
    if missing:
        yield document.problem(here, f"lacks {', '.join(missing)}: name a version of each, or debian")
    for name, version in written.items():
        known = COMPONENTS.get(name)
        if known is None or not isinstance(version, str):
            continue
        if known.debian and version != "debian":
            yield document.problem((*here, name), f"comes from Debian only: write {name}: debian")
        if not known.debian and version == "debian":
            yield document.problem((*here, name), "is not taken from Debian: write a version in quotes")


def _same_path_twice(document: Document) -> Iterator[Problem]:
    """Two files for one place and one role: which should win?"""
    for field, key in (("files", "path"), ("units", "name")):
        entries = document.at(("spec", field))
        seen: dict[tuple[str, str], int] = {}
        for index, one in enumerate(entries if isinstance(entries, list) else ()):
            place = one.get(key) if isinstance(one, dict) else None
            roles = one.get("roles") if isinstance(one, dict) else None
            if not isinstance(place, str):
                continue
            for role in roles if isinstance(roles, list) else [str(role) for role in EVERY_ROLE]:
                if (place, str(role)) in seen:
                    message = f"stands already in {field}[{seen[place, str(role)]}] for {role}: keep one"
                    yield document.problem(("spec", field, index, key), message)
                    break
                seen[place, str(role)] = index


def default_recipe_yaml() -> str:
    """The commented recipe that `risen init` writes."""
    return _DEFAULT.format(base=", ".join(BASE_PACKAGES))


_DEFAULT = """\
# What goes into images. `risen recipe lock` pins all of it in recipe.lock; `risen bake` uses only that lock.
apiVersion: risen/v1alpha1
kind: Recipe
metadata: {{name: node}}
spec:
  architectures: [amd64]
  base: {{debian: {{suite: bookworm}}}}
  # Kubernetes' own version stands in cluster.yaml, and only there.
  components:
    etcd: "3.6.16"
    flannel: "0.28.10"
    coredns: "1.15.0"
    containerd: debian
    runc: debian
    cni-plugins: debian
  # Asked in this order by `risen recipe lock`, which says what it took and why. A folder of ready binaries
  # beside this file ({{path: ./vendor}}, in it NAME-VERSION/PROGRAM) may stand first.
  sources: [official, go-modules, debian]
  # Debian packages besides {base}.
  packages: []
  kernel:
    modules: [overlay, br_netfilter, vxlan]
    sysctls: {{}}
  # files:
  # - {{path: /etc/acme/agent.conf, source: ./files/agent.conf, mode: "0644", roles: [worker]}}
  # units:
  # - {{name: acme-agent.service, source: ./files/acme-agent.service, enabled: true}}
  # Container images to preload, as `docker save` or `ctr images export` writes them:
  # images:
  # - {{path: ./images/acme-agent.tar}}
"""
