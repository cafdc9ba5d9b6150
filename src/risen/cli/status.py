"""`risen status`: everything about a cluster on one screen, by looking itself."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

import click

from risen.authority.windows import instance_window
from risen.bootstrap import CLOCK
from risen.cli.context import cluster_option, opened, run
from risen.cli.glimpse import Glimpse, Looker
from risen.cli.output import output_option, tell_data, tell_document, watch_option
from risen.cli.progress import halted_next, rollout_now
from risen.cli.rows import InstanceRow, instance_rows
from risen.cli.screen import Screen
from risen.cli.views import view_of
from risen.cli.words import blocked_words, seen_words, span, step_words, waiting_words
from risen.core.history import Entry
from risen.core.judge.verdict import Verdict
from risen.core.picture import EtcdSeen, Seen, Unseen
from risen.core.rules.rollout import most_surge
from risen.core.rules.target import target
from risen.core.rules.view import View
from risen.core.spec import PoolSpec

MOST_LINES = 12
LOOK_AGAIN_SECONDS = 1.0
BEATING = MappingProxyType({"controller_seen_unix": None})
"""What is another at each look: no news by itself."""
HUNG_SECONDS = 60.0
"""A cycle takes a second, on a slow host beside silent interfaces half a minute."""


@click.command()
@cluster_option
@watch_option("what changes")
@output_option("text")
def status(name: str | None, watch: bool, output: str) -> None:
    """Everything about the cluster on one screen.

    With -w the screen is drawn anew each second, and elsewhere than on a terminal a line that changed is told once;
    as data: one document whenever something changed.
    """
    if watch:
        run(_watch(name, output))
        return
    glimpse = run(_look(name))
    if output == "text":
        click.echo("\n".join(_screen(glimpse)))
    else:
        tell_data(_plain(glimpse), output)


async def _look(name: str | None) -> Glimpse:
    cluster = await opened(name)
    assert cluster.spec.pools
    looker = await Looker.open(cluster)
    try:
        return await looker.look_once()
    finally:
        await looker.close()


async def _watch(name: str | None, output: str) -> None:
    looker, screen = await Looker.open(await opened(name)), Screen.of_terminal()
    told: object = None
    try:
        glimpse = await looker.look_once()
        while True:
            if output == "text":
                screen.show(_screen(glimpse))
            elif (data := _plain(glimpse)) | BEATING != told:
                tell_document(data, output)
                told = data | BEATING
            await CLOCK.sleep(LOOK_AGAIN_SECONDS)
            glimpse = await looker.look()
    finally:
        await looker.close()


def _screen(glimpse: Glimpse) -> list[str]:
    view = view_of(glimpse)
    rows = instance_rows(glimpse, view)
    lines = [_head(glimpse), f"{'POOL':<15}{'READY':<7}{'RELEASE':<16}{'WANT':<16}{'DISRUPTED':<11}VERDICTS"]
    lines += [_pool_line(view, pool, rows) for pool in view.pools]
    lines += _at_most([f"NOW    {item}" for item in (*rollout_now(view), *_now(glimpse))], "NOW")
    wrong = _at_most([f"WRONG  {item}" for item in (*_wrong(glimpse), *_revoked(view))], "WRONG")
    lines += wrong or ["WRONG  nothing"]
    lines += [_etcd_line(glimpse), _certificates_line(glimpse), f"LOG    {_log(glimpse)}"]
    following = halted_next(glimpse)
    return lines + ([f"next   {following}"] if following else [])


def _head(glimpse: Glimpse) -> str:
    spec = glimpse.cluster.spec
    store = "ok" if not glimpse.store_trouble else "cannot be written"
    repair = "on" if spec.repair.mode == "repair" else "only observes"
    return (
        f"{spec.name} · Kubernetes {spec.kubernetes_version} · local · {_controller(glimpse)} · store {store} · "
        f"repair {repair}"
    )


def _controller(glimpse: Glimpse) -> str:
    log, seen = _log(glimpse), glimpse.seen_unix
    if seen is None and glimpse.leader is None and log.exists():  # the host was booted since
        seen = log.stat().st_mtime
    return seen_words(glimpse.leader, seen, glimpse.unix)


def _log(glimpse: Glimpse) -> Path:
    return glimpse.cluster.host.folder(glimpse.cluster.name) / "controller.log"


def _now(glimpse: Glimpse) -> list[str]:
    """What goes on, or would if a controller led."""
    plan, history = glimpse.plan, glimpse.history
    now = ["what was asked for last is taken in by the controller first"] if glimpse.orders else []
    now += [_entry_words(glimpse, entry) for entry in history.open_entries]
    now += [step_words(step) for step in plan.steps]
    now += [waiting_words(item, glimpse.boot) for item in plan.waiting]
    now += [f"{name} has not joined yet: {said}" for name, said in glimpse.consoles.joining.items() if said]
    return now


def _entry_words(glimpse: Glimpse, entry: Entry) -> str:
    """`repair worker-x2 → worker-p9, 2.4s ago: EVIDENCE (ledger ID)`."""
    successors = [
        life.birth.instance for life in glimpse.history.lives.values() if life.birth.entry == entry.id
    ]
    arrow = f" → {', '.join(sorted(successors))}" if successors else ""
    ago = span(max(0.0, glimpse.unix - entry.opened_unix))
    return (
        f"{entry.reason} {entry.subject}{arrow}, since {ago}: {'; '.join(entry.evidence)} (ledger {entry.id})"
    )


def _wrong(glimpse: Glimpse) -> list[str]:
    wrong = [] if glimpse.leader else ["no controller: nothing is mended until `risen up` starts one"]
    wrong += _hung(glimpse)
    if glimpse.store_trouble:
        wrong.append(
            f"the store cannot be written ({glimpse.store_trouble}): nothing is recorded, so nothing is done"
        )
    wrong += [blocked_words(item) for item in (*glimpse.unread, *glimpse.plan.blocked)]
    wrong += [
        f"{name} never joined; its console ends with: {said or 'nothing of join'}"
        for name, said in glimpse.consoles.given_up.items()
    ]
    match glimpse.picture.etcd:
        case Seen(value=etcd):
            wrong += [f"etcd raises {alarm}" for alarm in etcd.alarms]
    return wrong


def _hung(glimpse: Glimpse) -> list[str]:
    """A controller that holds its lease and does nothing: nobody else can lead meanwhile."""
    seen = glimpse.seen_unix
    if not glimpse.leader or seen is None or glimpse.unix - seen < HUNG_SECONDS:
        return []
    return [
        f"the controller leads and was not seen at work for {span(glimpse.unix - seen)}: it is stopped or hangs; "
        "end it (kill -9), then `risen up` starts another"
    ]


def _at_most(lines: list[str], head: str) -> list[str]:
    """One screen: what is too long is counted."""
    more = len(lines) - MOST_LINES
    return lines if more <= 0 else [*lines[:MOST_LINES], f"{head:<7}and {more} more: risen status -o yaml"]


def _revoked(view: View) -> list[str]:
    """Releases of the revision in force that nothing launches."""
    history = view.facts.history
    found = sorted({one.release for one in view.revision.releases} & history.revoked.keys())
    return [
        f"{release} is revoked: {'; '.join(history.revoked[release].evidence)} (risen rollout history -o wide)"
        for release in found
    ]


def _pool_line(view: View, pool: PoolSpec, rows: tuple[InstanceRow, ...]) -> str:
    own = [row for row in rows if row.pool == pool.name]
    ready = sum(row.ready for row in own)
    headed_for = target(view, pool.name)
    wanted = headed_for.release if headed_for is not None else "-"
    there = sorted({row.release for row in own})
    release = there[0] if len(there) == 1 else f"{len(there)} releases" if there else "-"
    open_subjects = {entry.subject for entry in view.facts.history.open_entries}
    disrupted = sum(row.verdict != Verdict.HEALTHY or row.name in open_subjects for row in own)
    most = max(1, most_surge(pool) + pool.strategy.max_unavailable.of(pool.replicas))
    budget = f"{disrupted} of {most}"
    counts: dict[str, int] = {}
    for row in own:
        counts[row.verdict] = counts.get(row.verdict, 0) + 1
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) or "none"
    return f"{pool.name:<15}{f'{ready}/{pool.replicas}':<7}{release:<16}{wanted:<16}{budget:<11}{verdicts}"


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


def _certificates_line(glimpse: Glimpse) -> str:
    """From when each instance was joined: its certificates all end together (`instance_window`)."""
    ends = [
        (instance_window(name, life.joined_at_unix).end.timestamp(), name)
        for name, life in glimpse.history.lives.items()
        if life.gone_at_unix is None and life.joined_at_unix is not None
    ]
    if not ends:
        return "CERTS  none yet"
    end, name = min(ends)
    return f"CERTS  first expiry in {span(max(0.0, end - glimpse.unix))} ({name})"


def _plain(glimpse: Glimpse) -> dict[str, object]:
    """What `-o json` prints."""
    view = view_of(glimpse)
    wanted = {pool.name: target(view, pool.name) for pool in view.pools}
    return {
        "cluster": glimpse.cluster.name,
        "uid": glimpse.cluster.uid,
        "kubernetes": glimpse.cluster.spec.kubernetes_version,
        "controller": glimpse.leader,
        "controller_seen_unix": glimpse.seen_unix,
        "store_trouble": glimpse.store_trouble,
        "settled": glimpse.settled,
        "want": {name: one.release if one is not None else None for name, one in wanted.items()},
        "rollout": list(rollout_now(view)),
        "revoked": _revoked(view),
        "instances": [asdict(row) for row in instance_rows(glimpse, view)],
        "etcd": _plain_etcd(glimpse.picture.etcd),
        "steps": [step_words(step) for step in glimpse.plan.steps],
        "waiting": [asdict(item) for item in glimpse.plan.waiting],
        "blocked": [asdict(item) for item in (*glimpse.unread, *glimpse.plan.blocked)],
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
