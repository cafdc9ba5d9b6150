"""`risen demo`: the real engine keeps a simulated cluster, in virtual time. No root, no Linux, nothing is changed."""

from __future__ import annotations

import click

from risen.sim.scenario import Scenario
from risen.sim.story import tell


@click.command()
@click.option("--control-plane", default=3, show_default=True, type=click.IntRange(1, 5))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(0, 20))
@click.option("--seed", default=1, show_default=True, help="Another seed is another run of chance.")
def demo(control_plane: int, workers: int, seed: int) -> None:
    """Watch the real engine raise a simulated cluster, and raise again what dies in it.

    Times are virtual: minutes pass in a second. The same seed tells the same story.
    """
    click.echo(
        "The engine is the real one; provider, etcd and Kubernetes are simulated. Times are virtual.\n"
    )
    try:
        for line in tell(Scenario(control_plane, workers), seed):
            click.echo(line)
    except RuntimeError as error:
        raise click.ClickException(
            f"the simulator found a fault in Risen; please report it:\n{error}"
        ) from error
    click.echo(
        "next    risen init, then: risen doctor, risen up      (another run of chance: risen demo --seed 2)"
    )
