"""`risen rollout`: how far a change is, and people's orders on it. Orders are intents; the controller acts."""

from __future__ import annotations

from pathlib import Path

import click

from risen.bootstrap import CLOCK, Cluster
from risen.cli.asking import ask_for, caller, new_id
from risen.cli.context import ask, cluster_option, opened, run, yes_option
from risen.cli.glimpse import Glimpse, Looker, glance
from risen.cli.output import output_option, tell_data
from risen.core.history import History, RolloutIntent
from risen.core.judge.back import ABORT, PAUSE, RESUME
from risen.core.judge.trial import Halted
from risen.core.spec import Revision
from risen.engine.past import load_past

LOOK_AGAIN_SECONDS = 1.0


@click.group()
def rollout() -> None:
    """Follow a change, hold it, go on, go back; and the story of all changes."""


@rollout.command()
@cluster_option
@click.option("-w", "--watch", is_flag=True, help="Go on until it is whole; Ctrl-C stops the watching only.")
@click.option(
    "--timeout", type=float, help="With -w: seconds after which to stop watching, with exit code 1."
)
@output_option("text")
def status(name: str | None, watch: bool, timeout: float | None, output: str) -> None:
    """How far the newest revision is: instances, what is drained, the verdict on its releases, time to go.

    With -w the exit code is 0 once every instance is on it, and 1 once it was gone back from.
    """
    if watch and output != "text":
        raise click.UsageError("-w shows lines for people: it goes with -o text alone")
    cluster = run(opened(name))
    if not watch:
        _tell(run(glance(cluster)), output)
        return
    try:
        went_well = run(_watch(cluster, timeout))
    except click.Abort:
        click.echo(
            f"\nstopped watching; the rollout goes on\nnext    risen rollout status -w -c {cluster.name}"
        )
        raise SystemExit(130) from None
    if not went_well:
        raise SystemExit(1)


def _tell(glimpse: Glimpse, output: str) -> None:
    from risen.cli.progress import halted_next, plain, progress_of, rollout_lines
    from risen.cli.views import view_of

    if output != "text":
        tell_data(plain(glimpse), output)
        return
    click.echo("\n".join(rollout_lines(glimpse)))
    whole = progress_of(view_of(glimpse)).whole
    if whole:
        click.echo("next    risen rollout history")
        return
    click.echo(
        f"next    {halted_next(glimpse) or 'risen rollout status -w   or: pause, resume, abort, undo'}"
    )


async def _watch(cluster: Cluster, timeout: float | None) -> bool:
    """Whether the revision stands whole in the end. On a terminal the screen is drawn anew, else a line that
    changed is told once."""
    from risen.cli.progress import progress_of, rollout_lines
    from risen.cli.screen import Screen
    from risen.cli.views import view_of

    screen = Screen.of_terminal()
    looker = await Looker.open(cluster)
    end = None if timeout is None else CLOCK.boot() + timeout
    try:
        glimpse = await looker.look_once()
        while True:
            now = progress_of(view_of(glimpse))
            screen.show(rollout_lines(glimpse))
            if now.whole:
                return now.back is None
            if end is not None and CLOCK.boot() >= end:
                click.echo(f"stopped watching after {timeout:.0f} s; the rollout goes on")
                return False
            await CLOCK.sleep(LOOK_AGAIN_SECONDS)
            glimpse = await looker.look()
    finally:
        await looker.close()


# --- orders -------------------------------------------------------------------------------------------------
@rollout.command()
@cluster_option
@click.option("--reason", default="", help="Why; it is kept in the ledger.")
def pause(name: str | None, reason: str) -> None:
    """Take no further instance for the newest revision; what is being replaced is finished. Repair goes on."""
    cluster, history, revision = run(_newest(name))
    _refuse_ended(history, revision, PAUSE)
    _refuse_again(history, revision, PAUSE)
    _order(cluster, revision, PAUSE, reason)
    click.echo(f"next    risen rollout resume -c {cluster.name}")


@rollout.command()
@cluster_option
@click.option("--reason", default="", help="Why; it is kept in the ledger.")
def resume(name: str | None, reason: str) -> None:
    """Go on with the newest revision after `pause` or `abort`, or past what it is halted for.

    The causes of a halt are told and count no more for this revision: such an app may fail on the new instances too.
    Another cause halts it again, and what is the release's own fault still revokes it.
    """
    cluster, history, revision = run(_newest(name))
    order = history.orders.get(revision.number)
    held = order is not None and order.order in (PAUSE, ABORT)
    causes: tuple[str, ...] = ()
    if not held:
        from risen.cli.views import view_of
        from risen.core.rules.verdict import halts

        causes = causes_to_go_past(revision, halts(view_of(run(glance(cluster)))))
    _order(cluster, revision, RESUME, reason, causes)
    click.echo(f"next    risen rollout status -w -c {cluster.name}")


def causes_to_go_past(revision: Revision, found: tuple[Halted, ...]) -> tuple[str, ...]:
    """What the rollout is halted for, each told. Refuses where it is not, and what nobody can go past."""
    if not found:
        raise click.ClickException(
            f"revision {revision.number} is neither paused, aborted nor halted, as far as can be seen now "
            "(`risen status` says what cannot)"
        )
    lasting = [halt.why for halt in found if halt.lasts]
    if lasting:
        raise click.ClickException(
            f"nobody can go past this: {'; '.join(lasting)}. The rollout goes on by itself once that is mended; "
            "`risen rollout abort` goes back"
        )
    for halt in found:
        click.echo(f"past    {halt.why}")
    return tuple(halt.cause for halt in found)


@rollout.command()
@cluster_option
@yes_option
@click.option("--reason", default="", help="Why; it is kept in the ledger.")
def abort(name: str | None, yes: bool, reason: str) -> None:
    """Give the newest revision up while it rolls: what is on it already goes back. `undo` is for one that stands."""
    cluster, history, revision = run(_newest(name))
    _refuse_ended(history, revision, ABORT)
    _refuse_again(history, revision, ABORT)
    if not history.settled:
        raise click.ClickException("no revision ever stood whole: there is nothing to go back to")
    if not yes:
        ask(f"go back from revision {revision.number} to the releases of revision {history.completed}?")
    _order(cluster, revision, ABORT, reason)
    click.echo(f"next    risen rollout status -w -c {cluster.name}")


async def _newest(name: str | None) -> tuple[Cluster, History, Revision]:
    cluster = await opened(name)
    return cluster, (await load_past(cluster.store)).history, cluster.revision_in_force


def _refuse_ended(history: History, revision: Revision, order: str) -> None:
    still_going = order == PAUSE and history.completed_but
    if history.completed >= revision.number and not still_going:
        raise click.ClickException(
            f"revision {revision.number} stands whole: there is nothing to {order}; `risen rollout undo` goes back"
        )


def _refuse_again(history: History, revision: Revision, order: str) -> None:
    last = history.orders.get(revision.number)
    if last is not None and last.order == order:
        why = f": {last.reason}" if last.reason else ""
        raise click.ClickException(
            f"revision {revision.number} was told to {order} already, by {last.by or 'somebody'}{why}"
        )


def _order(
    cluster: Cluster, revision: Revision, order: str, reason: str, causes: tuple[str, ...] = ()
) -> None:
    intent = RolloutIntent(new_id(order), revision.number, order, caller(), reason, causes)
    run(ask_for(cluster, intent, f"{order} the rollout of revision {revision.number}"))


@rollout.command()
@cluster_option
@yes_option
@click.option(
    "--to", "number", type=int, help="Which revision; else the last one that stood with other releases."
)
@click.option("--reason", default="", help="Why; it is kept with the revision.")
@click.option(
    "--override-revocation",
    "override",
    default="",
    metavar="REASON",
    help="Take a revoked release nevertheless.",
)
def undo(name: str | None, yes: bool, number: int | None, reason: str, override: str) -> None:
    """Apply what an earlier revision rolled: its settings, images and add-ons, as a revision of its own.

    Replicas, labels, taints and strategies stay. Nothing is baked, and nothing is rendered: stored releases are
    launched again. cluster.yaml is not changed; put it back too, or the next `apply` rolls forward again.
    """
    from risen.cli.revising import lift, refuse_revoked, tell_releases, write_stamped
    from risen.cli.stories import read_stories, undone_to
    from risen.services.revise import revision_back_to

    cluster, history, newest = run(_newest(name))
    if number is None:
        number = undone_to(run(read_stories(cluster.store)), newest)
    revision = run(revision_back_to(cluster.store, number))
    if revision.releases == newest.releases:
        raise click.ClickException(f"revision {newest.number} has the releases of revision {number} already")
    click.echo(f"undo    revision {newest.number} → {revision.number}, with what revision {number} rolled")
    tell_releases(newest, revision)
    if not yes:
        ask("apply this?")
    revoked = refuse_revoked(revision, history, override)
    run(write_stamped(cluster, revision, reason or f"undo to revision {number}"))
    run(lift(cluster, revoked, override))
    click.echo(f"next    risen rollout status -w -c {cluster.name}")


# --- history ------------------------------------------------------------------------------------------------
@rollout.command()
@cluster_option
@click.option(
    "--svg", type=click.Path(path_type=Path), help="Draw the rollout of one revision into this file."
)
@click.option("--revision", type=int, help="With --svg: which one; else the last that replaced something.")
@output_option("text", "wide")
def history(name: str | None, svg: Path | None, revision: int | None, output: str) -> None:
    """Every revision: who applied it and why, what became of it, how long it took."""
    from risen.cli.stories import read_stories, tell_stories
    from risen.cli.timeline import write_picture

    cluster = run(opened(name))
    if svg is not None:
        write_picture(cluster, svg, revision)
        return
    if revision is not None:
        raise click.UsageError("--revision goes with --svg FILE")
    tell_stories(run(read_stories(cluster.store)), output)
