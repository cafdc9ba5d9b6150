"""`risen scale`: how many instances of a pool are wanted, between its bounds. Writes an intent; the controller acts."""

from __future__ import annotations

import click

from risen.cli.asking import ask_for, caller, new_id
from risen.cli.context import cluster_option, opened, run
from risen.core.history import ScaleIntent
from risen.core.names import PoolName
from risen.core.spec import ClusterSpec, PoolSpec


@click.command()
@click.argument("pool")
@click.argument("replicas", type=click.IntRange(min=0))
@cluster_option
@click.option("--reason", default="", help="Why; it is kept in the ledger.")
def scale(pool: str, replicas: int, name: str | None, reason: str) -> None:
    """Want REPLICAS instances of POOL, whose cluster.yaml gives minReplicas and maxReplicas.

    For autoscalers, and for people between two changes of cluster.yaml. A pool with `replicas` is scaled there.
    """
    cluster = run(opened(name))
    spec = scalable(cluster.spec, pool)
    most = spec.max_replicas
    assert most is not None
    if not spec.replicas <= replicas <= most:
        raise click.ClickException(
            f"{pool} has minReplicas {spec.replicas} and maxReplicas {most}: {replicas} is not between them"
        )
    intent = ScaleIntent(new_id("scale"), PoolName(pool), replicas, caller(), reason)
    run(ask_for(cluster, intent, f"{replicas} instances of {pool}"))
    click.echo(f"next    risen status -c {cluster.name}")


def scalable(spec: ClusterSpec, pool: str) -> PoolSpec:
    """The pool of that name, if its number is not cluster.yaml's own. Raises ClickException."""
    found = spec.pool(PoolName(pool))
    if found is None:
        names = ", ".join(one.name for one in spec.pools)
        raise click.ClickException(f"no pool {pool} in {spec.name}; there are: {names}")
    if found.max_replicas is None:
        raise click.ClickException(
            f"{pool} has replicas: {found.replicas} in cluster.yaml; change it there and say `risen apply`, or give "
            "it minReplicas and maxReplicas instead"
        )
    return found
