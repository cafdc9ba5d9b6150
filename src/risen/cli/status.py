"""`risen status`: everything about a cluster on one screen, by looking itself."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from risen.cli.context import cluster_option, opened, run
from risen.cli.glimpse import Glimpse, Looker
from risen.cli.rows import InstanceRow, instance_rows
from risen.core.picture import EtcdSeen, Seen, Unseen
from risen.core.spec import PoolRelease, PoolSpec


@click.command()
@cluster_option
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def status(name: str | None, output: str) -> None:
    """Everything about the cluster on one screen."""
    glimpse = run(_look(name))
    click.echo(json.dumps(_plain(glimpse), indent=2) if output == "json" else "\n".join(_screen(glimpse)))


async def _look(name: str | None) -> Glimpse:
    cluster = await opened(name)
    assert cluster.spec.pools
    looker = await Looker.open(cluster)
    try:
        return await looker.look_in_sync()
    finally:
        await looker.close()


def _screen(glimpse: Glimpse) -> list[str]:
    cluster, spec = glimpse.cluster, glimpse.cluster.spec
    log = cluster.host.folder(cluster.name) / "controller.log"
    leader = f"controller {glimpse.leader}" if glimpse.leader else "no controller (start it with `risen up`)"
    head = (
        f"{spec.name} · Kubernetes {spec.kubernetes_version} · local · {leader} · repair {spec.repair.mode}"
    )
    rows = instance_rows(glimpse)
    lines = [head, f"{'POOL':<15}{'READY':<8}{'RELEASE':<16}VERDICTS"]
    lines += [_pool_line(glimpse, pool, rows) for pool in spec.pools]
    now = [f"{type(step).__name__}" for step in glimpse.plan.steps]
    now += [f"{item.subject} waits for {item.for_what}" for item in glimpse.plan.waiting]
    now += [f"{name} has not joined yet: {said}" for name, said in glimpse.consoles.joining.items() if said]
    lines += [f"NOW    {item}" for item in now]
    wrong = [f"{item.name}: {item.subject}: {item.why}" for item in glimpse.plan.blocked]
    wrong += [
        f"ledger {entry.id}: {entry.reason} of {entry.subject} is open"
        for entry in glimpse.history.open_entries
    ]
    wrong += [
        f"{name} never joined; its console ends with: {said or 'nothing of join'}"
        for name, said in glimpse.consoles.given_up.items()
    ]
    lines += [f"WRONG  {item}" for item in wrong] or ["WRONG  nothing"]
    lines.append(_etcd_line(glimpse))
    lines.append(f"LOG    {log}")
    return lines


def _pool_line(glimpse: Glimpse, pool: PoolSpec, rows: tuple[InstanceRow, ...]) -> str:
    own = [row for row in rows if row.pool == pool.name]
    ready = sum(row.ready for row in own)
    release = next((item.release for item in _releases(glimpse) if item.pool == pool.name), "-")
    counts: dict[str, int] = {}
    for row in own:
        counts[row.verdict] = counts.get(row.verdict, 0) + 1
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) or "none"
    return f"{pool.name:<15}{f'{ready}/{pool.replicas}':<8}{release:<16}{verdicts}"


def _releases(glimpse: Glimpse) -> tuple[PoolRelease, ...]:
    revision = glimpse.cluster.revision
    return revision.releases if revision is not None else ()


def _etcd_line(glimpse: Glimpse) -> str:
    match glimpse.picture.etcd:
        case Unseen(error=error):
            return f"ETCD   not seen: {error}"
        case Seen(value=etcd):
            voters = [member for member in etcd.members if not member.learner]
            healthy = sum(member.healthy for member in voters)
            leader = next((member.name for member in voters if member.leader), "none")
            mebibytes = max((member.db_bytes for member in voters), default=0) / 2**20
            return f"ETCD   {healthy}/{len(voters)} voters, leader {leader}, {mebibytes:.0f} MiB"


def _plain(glimpse: Glimpse) -> dict[str, object]:
    """What `-o json` prints."""
    return {
        "cluster": glimpse.cluster.name,
        "uid": glimpse.cluster.uid,
        "kubernetes": glimpse.cluster.spec.kubernetes_version,
        "controller": glimpse.leader,
        "settled": glimpse.settled,
        "instances": [asdict(row) for row in instance_rows(glimpse)],
        "etcd": _plain_etcd(glimpse.picture.etcd),
        "waiting": [asdict(item) for item in glimpse.plan.waiting],
        "blocked": [asdict(item) for item in glimpse.plan.blocked],
        "entries": [asdict(entry) for entry in glimpse.history.open_entries],
        "consoles": asdict(glimpse.consoles),
    }


def _plain_etcd(section: Seen[EtcdSeen] | Unseen) -> dict[str, object]:
    match section:
        case Unseen(error=error):
            return {"unseen": error, "members": []}
        case Seen(value=etcd):
            revision = max((member.revision for member in etcd.members), default=0)
            members = [asdict(member) for member in etcd.members]
            return {"cluster_id": etcd.cluster_id, "revision": revision, "members": members}
