"""`risen plan`: what would change, in which waves and how long, and what stands in the way. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import click

from risen.bootstrap import CLOCK, Cluster, examine_host, open_cluster
from risen.cli.asking import caller
from risen.cli.context import host, read_spec, run
from risen.cli.glimpse import Glimpse, glance
from risen.cli.grounds import grounds
from risen.cli.output import at_most
from risen.cli.revising import Proposal, foreseen, propose, tell_changes, tell_releases
from risen.cli.views import view_of
from risen.cli.words import blocked_words, span, step_words, waiting_words
from risen.codec import records
from risen.core.names import ReleaseId, Role
from risen.core.picture import Seen
from risen.core.projection import (
    How,
    Projection,
    Spread,
    Wave,
    hindrances,
    pinned,
    project,
    quorum_words,
)
from risen.core.rules.rollout import most_surge
from risen.core.rules.view import View
from risen.core.safety.quorum import tolerance_of
from risen.core.spec import ClusterSpec, PoolSpec, Revision

MOST_LINES = 12
TO_BE_BAKED = ReleaseId("to be baked")
"""Stands for a release whose image is not there yet: it is known only that it is another one."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A proposal beside a look at the cluster. `revision` is None while images are to be baked for it."""

    cluster: Cluster
    proposal: Proposal
    revision: Revision | None

    @property
    def projected(self) -> Revision:
        """What is foreseen: the revision, or one like it whose releases are all others."""
        if self.revision is not None:
            return self.revision
        last, spec = self.proposal.last, self.proposal.spec
        releases = tuple(replace(one, release=TO_BE_BAKED) for one in last.releases)
        return replace(last, number=last.number + 1, spec=spec, releases=releases)


def tell_plan(file: Path, out: Path | None = None) -> bool:
    """Whether applying the file would change anything."""
    planned = _planned(file)
    proposal, cluster = planned.proposal, planned.cluster
    number = proposal.last.number
    click.echo(
        f"{cluster.name} revision {number} → {number + proposal.something} · {caller()} · this command launches "
        "nothing"
    )
    tell_changes(proposal)
    _tell_releases(planned)
    _tell_replicas(proposal.last.spec, proposal.spec)
    if proposal.refusal:
        click.echo(f"REFUSED  {proposal.refusal}")
    glimpse = run(glance(cluster))
    revoked = _revoked(planned, glimpse)
    if revoked:
        click.echo(f"REFUSED  {revoked}")
    wanted = planned.projected if proposal.something and not proposal.refusal else proposal.last
    for line in [] if revoked else plan_lines(view_of(glimpse, wanted)):
        click.echo(line)
    _tell_now(glimpse)
    if not proposal.something:
        click.echo("nothing would change")
    if out is not None:
        _write(planned, glimpse, out)
    _tell_next(proposal, file, out)
    return proposal.something


def _planned(file: Path) -> Planned:
    spec = read_spec(file)
    cluster = run(open_cluster(host(), spec.name))
    proposal = propose(cluster.revision_in_force, spec, file.parent)
    return Planned(cluster, proposal, None if proposal.refusal else foreseen(proposal, file.parent))


def _tell_releases(planned: Planned) -> None:
    if not planned.proposal.rolls or planned.proposal.refusal:
        return
    if planned.revision is None:
        click.echo("  releases are known once their images are baked (`risen apply` bakes them first)")
        return
    tell_releases(planned.proposal.last, planned.revision)


def _tell_replicas(now: ClusterSpec, wanted: ClusterSpec) -> None:
    for pool in wanted.pools:
        before = now.pool(pool.name)
        more = pool.replicas - (before.replicas if before else 0)
        if more:
            how = "launch" if more > 0 else "drain and delete"
            click.echo(f"  {pool.name}: {how} {abs(more)}{_voters_words(pool)}")
    for pool in now.pools:
        if wanted.pool(pool.name) is None:
            click.echo(f"  {pool.name}: drain and delete all {pool.replicas}, once the other pools serve")


def _voters_words(pool: PoolSpec) -> str:
    """What another number of voters means."""
    if pool.role is not Role.CONTROL_PLANE:
        return ""
    losses = tolerance_of(pool.replicas)
    survived = {0: "no loss is", 1: "one loss is"}.get(losses, f"{losses} losses are")
    return f", etcd's members one by one; {survived} survived then"


def _revoked(planned: Planned, glimpse: Glimpse) -> str:
    """What `apply` would ask an override for; empty where nothing of it is revoked."""
    if planned.revision is None or not planned.proposal.something:
        return ""
    found = {one.release for one in planned.revision.releases} & glimpse.history.revoked.keys()
    told = "; ".join(f"{one}: {', '.join(glimpse.history.revoked[one].evidence)}" for one in sorted(found))
    return f'revoked ({told}): apply wants --override-revocation "REASON"' if told else ""


def _tell_now(glimpse: Glimpse) -> None:
    """What goes on already, whatever is applied."""
    lines = [f"NOW      {step_words(step)}" for step in glimpse.plan.steps]
    lines += [f"WAITING  {waiting_words(waiting, glimpse.boot)}" for waiting in glimpse.plan.waiting]
    lines += [f"BLOCKED  {blocked_words(blocked)}" for blocked in glimpse.plan.blocked]
    for line in at_most(lines, MOST_LINES, "NOW      ", "risen status -o yaml"):
        click.echo(line)


def _tell_next(proposal: Proposal, file: Path, out: Path | None) -> None:
    where = "" if file == Path("cluster.yaml") else f" -f {file}"
    if not proposal.something:
        click.echo(f"next    risen status -c {proposal.spec.name}")
    elif proposal.refusal:
        click.echo(f"next    risen plan{where}")
    else:
        click.echo(f"next    risen apply{where if out is None else f' {out}'}")


# --- the projection in lines --------------------------------------------------------------------------------
def plan_lines(view: View) -> list[str]:
    """Waves, total, quorum, what blocks and what is pinned; nothing where no instance is replaced."""
    projection = project(view)
    if not projection.waves:
        return []
    lines = [f"{'WAVE':<6}{'POOL':<16}{'REPLACE':<9}{'HOW':<35}EXPECTED"]
    lines += [_wave(view, number, wave) for number, wave in enumerate(projection.waves, 1)]
    lines += [_total(view, projection), *_quorum(view, projection), *_capacity(view, projection)]
    blocked = [f"BLOCKED  {blocked_words(item)}" for item in hindrances(view)]
    held = [f"PINNED   {one.instance}: {one.pod}, {one.why}" for one in pinned(view)]
    lines += at_most(blocked, MOST_LINES, "BLOCKED  ", "they are named while it rolls")
    return lines + at_most(held, MOST_LINES, "PINNED   ", "kubectl get pods -A -o wide")


def _wave(view: View, number: int, wave: Wave) -> str:
    text = f"{number:<6}{wave.pool:<16}{wave.count:<9}{how_words(wave):<35}{span(wave.takes.mean)}"
    return text + _gates(view) if wave.how is How.ALONE else text


def how_words(wave: Wave) -> str:
    """`alone, under load, then 60s`, `surge 2`, …"""
    match wave.how:
        case How.ONE_BY_ONE:
            return "one at a time, etcd's leader last"
        case How.ALONE:
            return f"alone, under load, then {span(wave.soak_seconds).removesuffix('.0s').removesuffix('s')}s"
        case How.SURGE:
            return f"surge {wave.width}"
        case How.FEWER:
            return f"{wave.width} fewer at a time"


def _gates(view: View) -> str:
    gates = view.revision.spec.gates
    return f" + gate{'s' if len(gates) > 1 else ''} {', '.join(gate.name for gate in gates)}" if gates else ""


def _total(view: View, projection: Projection) -> str:
    takes = projection.takes
    return f"total {span(takes.mean)} (p90 {span(takes.p90)}, least {span(takes.least)}){record_words(takes)}"


def record_words(takes: Spread) -> str:
    """What the forecast stands on."""
    if takes.records == 0:
        return "; boots or drains are assumed: none of this kind is on record"
    return f"; by the last {takes.records} of each kind here"


def _quorum(view: View, projection: Projection) -> Iterable[str]:
    pools = {pool.name: pool for pool in view.pools}
    etcd = view.facts.etcd
    if any(pools[wave.pool].role is Role.CONTROL_PLANE for wave in projection.waves):
        voters = sum(not member.learner for member in etcd.members) if etcd else 0
        wanted = next(pool.replicas for pool in pools.values() if pool.role is Role.CONTROL_PLANE)
        yield f"QUORUM   {quorum_words(voters or wanted)}"


def _capacity(view: View, projection: Projection) -> Iterable[str]:
    """Whether the host has room for what is launched ahead."""
    more = surged_at_once(view, projection)
    if more == 0 or not isinstance(view.facts.picture.provider, Seen):
        return
    for check in examine_host(host(), view.revision.spec, more).checks:
        if check.ok:
            continue
        yield (
            f"CAPACITY {check.found}: {check.mend}; strategy {{maxSurge: 0, maxUnavailable: 1}} needs none for workers"
        )


def surged_at_once(view: View, projection: Projection) -> int:
    """The most instances that there are beyond those wanted at any one time."""
    pools = {pool.name: pool for pool in view.pools}
    one_by_one = any(wave.how is How.ONE_BY_ONE for wave in projection.waves)
    alone = any(wave.how is How.ALONE and most_surge(pools[wave.pool]) > 0 for wave in projection.waves)
    side_by_side = sum(
        min(wave.count, most_surge(pools[wave.pool])) for wave in projection.waves if wave.how is How.SURGE
    )
    return max(int(one_by_one), int(alone), side_by_side)


# --- plans in files -----------------------------------------------------------------------------------------
def _write(planned: Planned, glimpse: Glimpse, out: Path) -> None:
    """Keep it for `risen apply FILE`. Refuses what could not be applied as it is."""
    proposal = planned.proposal
    if proposal.refusal:
        raise click.ClickException(f"no plan is written: {proposal.refusal}")
    if not proposal.something:
        raise click.ClickException("no plan is written: nothing would change")
    if planned.revision is None:
        raise click.ClickException(
            "no plan is written: its releases are known once their images are baked; `risen bake` bakes them"
        )
    plan = records.PlanFile(
        cluster=planned.cluster.uid,
        name=planned.cluster.name,
        revision=planned.revision,
        stood_on=records.foundation(proposal.last),
        grounds=grounds(view_of(glimpse)),
        by=caller(),
        made_unix=CLOCK.unix(),
    )
    out.write_bytes(records.encode(plan))
    click.echo(
        f"written {out}: good while revision {proposal.last.number} is the newest, and orders, sizes and health are as now"
    )
