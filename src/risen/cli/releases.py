"""`risen releases` and `risen release show|diff`: what instances are launched from, as the store has it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import click

from risen.bootstrap import Cluster
from risen.cli.context import cluster_option, opened, run
from risen.cli.output import output_option, table, tell_data, tell_next
from risen.codec import records
from risen.core.history import History
from risen.core.names import ReleaseId
from risen.core.spec import Revision
from risen.engine.past import load_past
from risen.engine.record import read_revision
from risen.instance.release import Release
from risen.instance.release_diff import Difference, ReleaseDiff, diff_releases
from risen.interfaces.errors import NotFound
from risen.services.releases import read_release, stored_releases


@dataclass(frozen=True, slots=True)
class Shelved:
    """A release with what the store remembers of it."""

    release: Release
    pools: tuple[str, ...]
    revisions: tuple[int, ...]
    instances: int
    state: str
    evidence: tuple[str, ...]


@click.command("releases")
@cluster_option
@output_option("wide", "name")
def releases(name: str | None, output: str) -> None:
    """List every release of the cluster, those of the newest revision first."""
    found = run(_all_releases(name))
    rows = [_row(one) for one in found]
    match output:
        case "json" | "yaml":
            tell_data(rows, output)
        case "name":
            for one in found:
                click.echo(one.release.id)
        case _:
            click.echo(table(rows) if rows else "no releases")
            tell_next(f"risen release show {found[0].release.id}" if found else "risen up")


@click.group("release")
def release_group() -> None:
    """One release, or what differs between two."""


@release_group.command("show")
@click.argument("release")
@cluster_option
@click.option("--file", "path", default="", help="Print the text of this file, with its marks.")
@output_option("wide")
def show(release: str, name: str | None, path: str, output: str) -> None:
    """Show what instances of RELEASE get; its id may be shortened. `@{risen.…}` marks an instance's own."""
    found = run(_one(name, release))
    if path:
        click.echo(_text_of(found.release, path), nl=False)
        return
    if output != "wide":
        tell_data({**_row(found), **asdict(found.release), "evidence": found.evidence}, output)
        return
    for line in _told(found):
        click.echo(line)
    tell_next(f"risen release show {found.release.id} --file {found.release.files[0].path}")


@release_group.command("diff")
@click.argument("old")
@click.argument("new")
@cluster_option
@output_option("text")
def diff(old: str, new: str, name: str | None, output: str) -> None:
    """Show what differs from release OLD to NEW: components, packages, settings, files."""
    before, after = run(_two(name, old, new))
    found = diff_releases(before, after)
    if output != "text":
        tell_data({**asdict(found), "files": dict(found.files)}, output)
        return
    lines = list(_diff_lines(found))
    for line in lines or [f"{before.id} and {after.id} differ in nothing"]:
        click.echo(line)


def _row(one: Shelved) -> dict[str, object]:
    release = one.release
    return {
        "release": release.id,
        "role": str(release.role),
        "pools": ",".join(one.pools),
        "kubernetes": release.kubernetes,
        "image": release.image.removeprefix("sha256:")[:12],
        "revisions": ",".join(str(number) for number in one.revisions),
        "instances": one.instances,
        "state": one.state,
    }


def _told(found: Shelved) -> Iterator[str]:
    release = found.release
    pools = ", ".join(found.pools) or "no pool"
    yield f"{release.id} · {release.role} · {pools} · Kubernetes {release.kubernetes} · {found.state}"
    for text in found.evidence:
        yield f"        because {text}"
    yield f"IMAGE   {release.image}"
    numbers = ", ".join(str(number) for number in found.revisions) or "none"
    yield f"IN      revisions {numbers}; {found.instances} instances alive"
    if release.api_names:
        yield f"NAMES   {', '.join(release.api_names)} (in the API server's certificate)"
    if release.components:
        yield f"HOLDS   {', '.join(f'{name} {version}' for name, version in release.components)}"
        yield f"        {len(release.packages)} Debian packages (-o json lists them)"
    else:
        yield "HOLDS   not told by the image: it was baked without it"
    for number, file in enumerate(sorted(release.files)):
        yield f"{'FILES' if number == 0 else '':<8}{file.mode:04o} {len(file.text):>6}  {file.path}"


def _diff_lines(found: ReleaseDiff) -> Iterator[str]:
    yield from _section("RELEASE", found.about)
    yield from _section("COMPONENTS", found.components)
    yield from _section("PACKAGES", found.packages)
    yield from _section("SETTINGS", found.settings)
    for _, text in found.files:
        yield ""
        yield text


def _section(head: str, differences: tuple[Difference, ...]) -> Iterator[str]:
    for number, one in enumerate(differences):
        words = f"{one.name}: {one.old or 'none'} → {one.new or 'none'}"
        yield f"{head if number == 0 else '':<12}{words}"


def _text_of(release: Release, path: str) -> str:
    for file in release.files:
        if path in (file.path, file.path.rpartition("/")[2]):
            return file.text
    near = difflib.get_close_matches(path, [file.path for file in release.files], n=3, cutoff=0.3)
    raise click.ClickException(f"{release.id} has no file {path}; near: {', '.join(near) or 'none'}")


async def _two(name: str | None, old: str, new: str) -> tuple[Release, Release]:
    cluster = await opened(name)
    ids = await stored_releases(cluster.store)
    return (
        await read_release(cluster.store, _meant(old, ids)),
        await read_release(cluster.store, _meant(new, ids)),
    )


async def _one(name: str | None, wanted: str) -> Shelved:
    cluster = await opened(name)
    meant = _meant(wanted, await stored_releases(cluster.store))
    return await _shelved(cluster, meant, await _revisions(cluster), (await load_past(cluster.store)).history)


async def _all_releases(name: str | None) -> list[Shelved]:
    cluster = await opened(name)
    revisions, history = await _revisions(cluster), (await load_past(cluster.store)).history
    found = [
        await _shelved(cluster, release, revisions, history)
        for release in await stored_releases(cluster.store)
    ]
    return sorted(found, key=lambda one: (-max(one.revisions, default=0), one.release.role, one.release.id))


def _meant(wanted: str, there: tuple[ReleaseId, ...]) -> ReleaseId:
    """The one release whose id begins so, with or without `r-`."""
    bare = wanted.removeprefix("r-")
    found = [one for one in there if one.removeprefix("r-").startswith(bare)]
    match found:
        case [only]:
            return only
        case []:
            near = difflib.get_close_matches(wanted, there, n=3, cutoff=0.5) or there[:5]
            raise NotFound(f"no release {wanted}; there are: {', '.join(near) or 'none'}")
        case _:
            raise NotFound(f"{len(found)} releases begin with {wanted}: {', '.join(found[:5])}")


async def _revisions(cluster: Cluster) -> list[Revision]:
    return [await read_revision(cluster.store, key) for key in await cluster.store.list(records.REVISIONS)]


async def _shelved(
    cluster: Cluster, release: ReleaseId, revisions: list[Revision], history: History
) -> Shelved:
    naming = [one for one in revisions if any(release == made.release for made in one.releases)]
    pools = {made.pool for one in naming for made in one.releases if made.release == release}
    living = sum(
        1 for life in history.lives.values() if life.birth.release == release and life.gone_at_unix is None
    )
    state, evidence = _state(release, revisions, history)
    return Shelved(
        await read_release(cluster.store, release),
        tuple(sorted(pools)),
        tuple(one.number for one in naming),
        living,
        state,
        evidence,
    )


def _state(release: ReleaseId, revisions: list[Revision], history: History) -> tuple[str, tuple[str, ...]]:
    """One word or two for people, and why."""
    revoked = history.revoked.get(release)
    if revoked is not None:
        return "revoked", revoked.evidence
    wanted = bool(revisions) and any(release == made.release for made in revisions[-1].releases)
    if release in history.passed:
        return ("in force" if wanted else "passed"), history.passed[release]
    return ("wanted, not passed yet" if wanted else "not tried"), ()
