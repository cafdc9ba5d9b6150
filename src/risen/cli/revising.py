"""Applying a spec: what changes, whether it may, baking what is missing, and writing the revision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import click

from risen.bootstrap import CLOCK, Cluster, images_of, own_credentials
from risen.cli.asking import caller, new_id
from risen.cli.baking import bake_for, bake_missing, foresee_for, lock_digest, missing_images
from risen.cli.context import ask, host
from risen.cli.glimpse import glance
from risen.cli.grounds import grounds, moved
from risen.cli.views import view_of
from risen.codec import records
from risen.codec.cluster_changes import Change, compare
from risen.codec.cluster_yaml import ClusterFile
from risen.core.history import History, LiftIntent
from risen.core.names import ReleaseId
from risen.core.spec import ClusterSpec, Revision
from risen.engine.past import load_past
from risen.engine.record import read_newest
from risen.interfaces.errors import Conflict
from risen.interfaces.store import IfAbsent
from risen.services.releases import adopt_releases
from risen.services.revise import (
    Baked,
    first_revision,
    images_of_revision,
    next_revision,
    rolled_revision,
    same_wish,
    write_revision,
)


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """`yes`: do not ask. `override`: why a revoked release is taken nevertheless; empty to refuse it."""

    yes: bool = False
    reason: str = ""
    override: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What applying a file would do to a cluster that has a revision."""

    last: Revision
    spec: ClusterSpec
    changes: tuple[Change, ...]
    lock_changed: bool

    @property
    def rolls(self) -> bool:
        """Whether releases are rendered anew."""
        return self.lock_changed or any(change.rolls for change in self.changes)

    @property
    def something(self) -> bool:
        """Whether there would be another revision."""
        return self.lock_changed or bool(self.changes)

    @property
    def refusal(self) -> str:
        """Why it is not applied; empty where it may be."""
        fixed = ", ".join(change.path for change in self.changes if change.fixed)
        if not fixed:
            return ""
        return f"{fixed}: cannot be changed on a cluster that is up; put the old value back, or make a new cluster"

    def revision(self, baked: Baked) -> Revision:
        """The revision that would be written, for these images."""
        if self.rolls:
            return rolled_revision(self.last, self.spec, baked)
        images = {**baked.images, **images_of_revision(self.last)}
        return next_revision(self.last, self.spec, images)


def propose(last: Revision, spec: ClusterSpec, folder: Path) -> Proposal:
    """What applying a spec beside its recipe would do. Bakes and writes nothing."""
    lock = lock_digest(spec, folder)
    return Proposal(last, spec, compare(last.spec, spec), lock is not None and lock != last.lock)


def foreseen(proposal: Proposal, folder: Path) -> Revision | None:
    """The revision that applying would write; None where images are still to be baked for it."""
    if proposal.rolls or _lacks_a_role(proposal):
        baked = foresee_for(proposal.spec, folder)
        return None if baked is None else proposal.revision(baked)
    return proposal.revision(Baked({}, proposal.last.lock))


async def apply_file(
    cluster: Cluster, file: ClusterFile, folder: Path, options: ApplyOptions = ApplyOptions()
) -> bool:
    """Write the next revision unless nothing changed; the credentials of registries before it, and in any case.
    Refuses by name what cannot be changed, and what is revoked."""
    spec = file.spec
    last = await read_newest(cluster.store)
    if last is None:
        await _keep_registries(cluster, file)
        await write_stamped(cluster, first_revision(spec, bake_for(spec, folder)), options.reason)
        return True
    proposal = propose(last, spec, folder)
    tell_changes(proposal)
    if proposal.refusal:
        raise click.ClickException(proposal.refusal)
    if proposal.something and not options.yes:
        ask("apply these changes?")
    await _keep_registries(cluster, file)
    await adopt_releases(cluster.store, last, images_of(host()).list())
    if not proposal.something:
        bake_missing(last, spec, folder)
        return await _nothing_changed(cluster, last, options)
    revision = proposal.revision(_baked(proposal, folder))
    if proposal.rolls:
        tell_releases(last, revision)
    history = (await load_past(cluster.store)).history
    revoked = refuse_revoked(revision, history, options.override)
    _warn_of_lost_images(history)
    await write_stamped(cluster, revision, options.reason)
    await lift(cluster, revoked, options.override)
    return True


async def apply_planned(cluster: Cluster, plan: records.PlanFile, options: ApplyOptions) -> bool:
    """Write exactly the revision of a plan. Refuses it for another cluster, where another revision than the one it
    stood on is the newest, and where its grounds have moved; what it would do and was done already is no error."""
    if plan.cluster != cluster.uid:
        raise click.ClickException(f"the plan is for another cluster that was called {plan.name}: plan again")
    last = await read_newest(cluster.store)
    if last is not None and same_wish(last, plan.revision):
        if options.override:
            return await _nothing_changed(cluster, last, options)
        click.echo(f"apply   revision {last.number}: this plan was applied already")
        return False
    if last is None or records.foundation(last) != plan.stood_on:
        newest = f"revision {last.number} by {last.by or 'somebody'}" if last is not None else "no revision"
        raise click.ClickException(
            f"the world moved on: the plan stands on revision {plan.revision.number - 1}, and the newest is {newest}; "
            "look at `risen plan` again"
        )
    await _need_registries(cluster, plan.revision)
    shift = moved(plan.grounds, grounds(view_of(await glance(cluster))))
    if shift:
        raise click.ClickException(f"the world moved on since the plan: {shift}; look at `risen plan` again")
    await adopt_releases(cluster.store, last, images_of(host()).list())
    tell_releases(last, plan.revision)
    history = (await load_past(cluster.store)).history
    revoked = refuse_revoked(plan.revision, history, options.override)
    await write_stamped(cluster, plan.revision, options.reason)
    await lift(cluster, revoked, options.override)
    return True


async def _keep_registries(cluster: Cluster, file: ClusterFile) -> None:
    """They roll nothing: a new password is for instances that are born from now on."""
    if not file.registry_auths:
        return
    own = own_credentials(cluster.host, cluster.name, cluster.store)
    for registry in await own.keep_registry_auths(file.registry_auths):
        click.echo(f"sealed  credentials of {registry}: instances get them when they are born")


async def _need_registries(cluster: Cluster, revision: Revision) -> None:
    """A plan holds no credentials: those of its registries must be in the store."""
    if not revision.spec.registries:
        return
    kept = await own_credentials(cluster.host, cluster.name, cluster.store).registry_auths()
    missing = [registry for registry in revision.spec.registries if registry not in kept]
    if missing:
        raise click.ClickException(
            f"the store has no credentials for {', '.join(missing)}, and a plan holds none: apply cluster.yaml "
            "itself (`risen apply -f cluster.yaml`), which reads them"
        )


def _baked(proposal: Proposal, folder: Path) -> Baked:
    """Images for what is applied: baked by its lock where it rolls, else those that the cluster has."""
    if not proposal.rolls and not _lacks_a_role(proposal):
        bake_missing(proposal.last, proposal.spec, folder)
        return Baked({}, proposal.last.lock)
    if lock_digest(proposal.spec, folder) is None:
        raise click.ClickException(
            "there is no recipe.lock beside the recipe, so versions could change unseen: put back the one that "
            f"revision {proposal.last.number} was baked from, or make another with `risen recipe lock`"
        )
    return bake_for(proposal.spec, folder)


def _lacks_a_role(proposal: Proposal) -> bool:
    """Whether a pool has a role that the cluster has no image for."""
    return not {pool.role for pool in proposal.spec.pools} <= set(images_of_revision(proposal.last))


async def _nothing_changed(cluster: Cluster, last: Revision, options: ApplyOptions) -> bool:
    """An override alone is another revision of the same: what spoke against the release in the last one, and how
    the gates answered there, counts for that one."""
    click.echo(f"apply   revision {last.number}: nothing changed")
    history = (await load_past(cluster.store)).history
    revoked = _revoked(last, history)
    if revoked and options.override:
        again = next_revision(last, last.spec, images_of_revision(last))
        await write_stamped(cluster, again, options.reason or options.override)
        await lift(cluster, revoked, options.override)
        return True
    for release in revoked:
        click.echo(
            f"        its release {release} is revoked ({'; '.join(history.revoked[release].evidence)}): change "
            'what is wrong with it, or take it nevertheless with --override-revocation "REASON"'
        )
    return False


def refuse_revoked(revision: Revision, history: History, override: str) -> tuple[ReleaseId, ...]:
    """A revision with a revoked release is written only when somebody takes it upon themselves, in writing: the
    releases whose revocation is to be lifted for it."""
    revoked = _revoked(revision, history)
    if revoked and not override:
        told = "; ".join(f"{one}: {', '.join(history.revoked[one].evidence)}" for one in revoked)
        raise click.ClickException(
            f"revoked, so launched by nothing ({told}): change what is wrong with it, or take it nevertheless "
            'with --override-revocation "REASON"'
        )
    return revoked


def _revoked(revision: Revision, history: History) -> tuple[ReleaseId, ...]:
    return tuple(sorted({one.release for one in revision.releases if one.release in history.revoked}))


async def lift(cluster: Cluster, releases: Iterable[ReleaseId], reason: str) -> None:
    """After the revision, which is gone back from until then: lifted before it, the one in force so far would be
    headed for, and its release revoked once more on the evidence that it has."""
    for release in releases:
        intent = LiftIntent(new_id("lift"), release, caller(), reason)
        await cluster.store.put(records.intent_key(intent.id), records.encode(intent), IfAbsent())
        click.echo(f"lift    {release} is taken nevertheless: {reason}")


def _warn_of_lost_images(history: History) -> None:
    there = {one.digest for one in images_of(host()).list()}
    for release in history.settled:
        if release.image not in there:
            click.echo(
                f"careful image {release.image[:19]}… of {release.release} is gone from the images folder: "
                f"pool {release.pool} cannot go back to it",
                err=True,
            )


async def write_stamped(cluster: Cluster, revision: Revision, reason: str) -> Revision:
    """Write a revision with who applied it, when and why. Of two that apply the same at once both go on; who
    applied something else is told. Refuses by name an image that is gone."""
    missing = missing_images(revision)
    if missing:
        raise click.ClickException(
            f"image {min(missing)} of revision {revision.number} is gone from the images folder: bake it again "
            "(`risen bake` with its recipe.lock and the Risen that made it)"
        )
    stamped = replace(revision, by=caller(), reason=reason, applied_unix=CLOCK.unix())
    try:
        await write_revision(cluster.store, stamped, images_of(host()).list())
    except Conflict as conflict:
        newest = await read_newest(cluster.store)
        if newest is None or not same_wish(newest, revision):
            raise click.ClickException(
                "somebody else applied meanwhile, and something else; look at `risen plan` again"
            ) from conflict
        click.echo(f"apply   revision {revision.number} of {cluster.name} (somebody else applied the same)")
        return newest
    click.echo(f"apply   revision {revision.number} of {cluster.name}")
    return stamped


def tell_changes(proposal: Proposal) -> None:
    """One line a change, saying what it does."""
    for change in proposal.changes:
        click.echo(f"  ~ {change}")
    if proposal.lock_changed:
        click.echo(f"  ~ recipe.lock: another than that of revision {proposal.last.number} (rolls instances)")


def tell_releases(last: Revision, revision: Revision) -> None:
    """One line a pool whose release is another."""
    before = {release.pool: release.release for release in last.releases}
    if {release.pool: release.release for release in revision.releases} == before:
        click.echo("  every release comes out the same: no instance is replaced")
    for release in revision.releases:
        old = before.get(release.pool)
        if old is not None and old != release.release:
            words = f"risen release diff {old} {release.release}"
            click.echo(f"  {release.pool}: {old} → {release.release}  ({words})")
