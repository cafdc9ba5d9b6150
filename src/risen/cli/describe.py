"""`risen describe INSTANCE`: everything known of one instance, the dead included, from the store and a look."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import click

from risen.bootstrap import Cluster
from risen.cli.asking import life_in
from risen.cli.consoles import CONSOLE_BYTES, console_lines
from risen.cli.context import cluster_option, opened, run
from risen.cli.glimpse import Glimpse, Looker
from risen.cli.output import output_option, tell_data, tell_next
from risen.cli.progress import verdict_words
from risen.cli.stories import events_of
from risen.cli.views import view_of
from risen.cli.watch import line_of, plain
from risen.cli.words import blocked_words, moment, span, waiting_words
from risen.core import events as happened
from risen.core.events import Event
from risen.core.history import Entry, Life
from risen.core.names import InstanceName
from risen.core.picture import MemberSeen, NodeSeen, PodSeen, Seen, Unseen
from risen.core.rules.view import View
from risen.interfaces.errors import InterfaceError

MOST_CONSOLE_LINES = 15
MOST_PODS = 8


@dataclass(frozen=True, slots=True)
class Described:
    """One instance, what happened to it, and the end of its console."""

    glimpse: Glimpse
    view: View
    life: Life
    events: tuple[Event, ...]
    console: tuple[str, ...]

    @property
    def name(self) -> InstanceName:
        """Whom it is about."""
        return self.life.birth.instance

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Its ledger entries, the oldest first."""
        history = self.view.facts.history
        found = [entry for entry in history.entries.values() if entry.subject == self.name]
        return tuple(sorted(found, key=lambda entry: entry.opened_unix))

    @property
    def node(self) -> NodeSeen | None:
        """Its Node, if it is seen."""
        return self.view.facts.nodes.get(self.name)

    @property
    def pods(self) -> tuple[PodSeen, ...]:
        """Pods bound to it."""
        return self.view.facts.pods.get(self.name, ())


@click.command()
@click.argument("instance")
@cluster_option
@output_option("text")
def describe(instance: str, name: str | None, output: str) -> None:
    """Everything known of INSTANCE, gone or not: birth, release and its verdict, ledger, node, pods, member, what
    happened, and the end of its console."""
    found = run(_look(name, InstanceName(instance)))
    if output != "text":
        tell_data(plain_instance(found), output)
        return
    click.echo("\n".join(describe_lines(found)))
    tell_next(f"risen release show {found.life.birth.release}   or: risen replace {instance}")


async def _look(name: str | None, instance: InstanceName) -> Described:
    cluster = await opened(name)
    looker = await Looker.open(cluster)
    try:
        glimpse = await looker.look_once()
        life = life_in(glimpse.history, cluster.name, instance)
        console = await _console(looker, instance)
    finally:
        await looker.close()
    events = await _events(cluster, instance)
    return Described(glimpse, view_of(glimpse), life, events, console)


async def _console(looker: Looker, instance: InstanceName) -> tuple[str, ...]:
    try:
        said = await looker.sights.provider.console(instance, CONSOLE_BYTES)
    except InterfaceError as error:
        return (f"not readable: {error}",)
    return console_lines(said)[-MOST_CONSOLE_LINES:]


async def _events(cluster: Cluster, instance: InstanceName) -> tuple[Event, ...]:
    entries: set[str] = set()

    def concerns(event: Event) -> bool:
        match event:
            case happened.EntryOpened(subject=subject, entry=entry) if subject == instance:
                entries.add(entry)
                return True
            case happened.EntryClosed(entry=entry):
                return entry in entries
            case happened.Born(birth=birth):
                return birth.instance == instance
            case happened.Alarm(subject=subject):
                return subject == instance
            case _:
                return getattr(event, "instance", None) == instance

    return tuple([event async for event in events_of(cluster.store, concerns)])


# --- in lines -----------------------------------------------------------------------------------------------
def describe_lines(found: Described) -> list[str]:
    """The screen: one head a line, what is not there left out."""
    birth, name = found.life.birth, found.name
    judged = found.view.verdicts.get(name)
    verdict = judged.verdict if judged is not None else "gone" if found.life.gone_at_unix else "Unknown"
    lines = [f"{name} · {birth.role} of pool {birth.pool} · {birth.release} · {verdict}"]
    lines.append(f"BIRTH     {moment(birth.born_unix)}, {birth.reason} · image {birth.image[:19]}…")
    passed = verdict_words(found.view.facts.history, birth.release)
    lines.append(f"RELEASE   {birth.release}: {passed}")
    if judged is not None:
        lines.append(f"VERDICT   {judged.verdict}: {'; '.join(judged.evidence)}")
    lines += [f"LEDGER    {_entry_words(entry, found.glimpse.unix)}" for entry in found.entries]
    lines += [
        f"WAITS     {waiting_words(one, found.glimpse.boot)}"
        for one in found.glimpse.plan.waiting
        if one.subject == name
    ]
    lines += [f"BLOCKED   {blocked_words(one)}" for one in found.glimpse.plan.blocked if one.subject == name]
    lines += [*_provider(found), *_node(found), *_pods(found), *_member(found), *_backend(found)]
    lines += [
        f"{'HAPPENED' if not number else '':<10}{line_of(event)}" for number, event in enumerate(found.events)
    ]
    lines += [f"{'CONSOLE' if not number else '':<10}{line}" for number, line in enumerate(found.console)]
    return lines


def _entry_words(entry: Entry, now: float) -> str:
    until = (
        f"closed after {span(max(0.0, entry.closed_unix - entry.opened_unix))}: {entry.outcome}"
        if entry.closed_unix is not None
        else f"open for {span(max(0.0, now - entry.opened_unix))}"
    )
    return f"{entry.reason}: {'; '.join(entry.evidence)} · {until} (ledger {entry.id})"


def _provider(found: Described) -> list[str]:
    seen = found.view.facts.ours.get(found.name)
    if seen is None:
        gone = found.life.gone_at_unix
        return [f"PROVIDER  gone since {moment(gone)}"] if gone is not None else ["PROVIDER  not seen"]
    pressed = seen.power_pressed_at
    power = f", power button pressed {span(max(0.0, found.glimpse.boot - pressed))} ago" if pressed else ""
    return [f"PROVIDER  {seen.state} · {seen.provider_id} · {seen.address or 'no address yet'}{power}"]


def _node(found: Described) -> list[str]:
    match found.glimpse.picture.kubernetes:
        case Unseen(error=error):
            return [f"NODE      not seen: {error}"]
        case _:
            pass
    node, now = found.node, found.glimpse.unix
    if node is None:
        return ["NODE      none"]
    words = ["Ready" if node.ready else "not Ready" if node.ready is False else "Ready=Unknown"]
    if node.ready and node.ready_since_unix is not None:
        words[0] += f" for {span(max(0.0, now - node.ready_since_unix))}"
    words += ["cordoned"] if node.unschedulable else []
    words += ["waits for add-ons"] if node.waiting_for_addons else []
    if node.lease_renewed_unix is not None:
        words.append(f"lease {span(max(0.0, now - node.lease_renewed_unix))} ago")
    taints = [f"{taint.key}={taint.value}:{taint.effect}" for taint in node.taints]
    words += [f"taints {', '.join(taints)}"] if taints else []
    return [f"NODE      {' · '.join(words)}"]


def _pods(found: Described) -> list[str]:
    """Counts, then those that something is to be said of."""
    pods = found.pods
    if not pods:
        return []
    ready, finished = sum(pod.ready for pod in pods), sum(pod.finished for pod in pods)
    lines = [f"PODS      {len(pods)}, {ready} ready{f', {finished} finished' if finished else ''}"]
    told = [(pod, remark) for pod in pods if not pod.finished and (remark := _remark(pod))]
    lines += [f"{'':<10}{pod.namespace}/{pod.name}: {remark}" for pod, remark in told[:MOST_PODS]]
    more = len(told) - MOST_PODS
    return lines + ([f"{'':<10}and {more} more"] if more > 0 else [])


def _remark(pod: PodSeen) -> str:
    words = [pod.failing] if pod.failing else []
    words += ["leaving"] if pod.terminating else []
    words += ["not to be disrupted"] if pod.protected else []
    words += ["its volume is local"] if pod.local_volume else []
    words += ["a bare pod"] if not pod.owner and not pod.mirror and not pod.daemon else []
    if not words and not pod.ready:
        words.append("not ready")
    return ", ".join(words)


def _member(found: Described) -> list[str]:
    etcd = found.glimpse.picture.etcd
    member: MemberSeen | None = found.view.facts.member_of(found.name)
    if member is None or not isinstance(etcd, Seen):
        return []
    kind = "learner" if member.learner else "leader" if member.leader else "voter"
    health = "healthy" if member.healthy else "NOT healthy"
    mebibytes = member.db_bytes / 2**20
    return [f"MEMBER    {kind} {member.id}, {health}, {mebibytes:.0f} MiB, revision {member.revision}"]


def _backend(found: Described) -> list[str]:
    backend = next((one for one in found.view.facts.backends or () if one.name == found.name), None)
    if backend is None:
        return []
    state = ("up" if backend.up else "down") + (", draining" if backend.draining else "")
    return [f"BACKEND   {backend.address} {state}"]


def plain_instance(found: Described) -> dict[str, object]:
    """The same as data."""
    judged = found.view.verdicts.get(found.name)
    seen, member = found.view.facts.ours.get(found.name), found.view.facts.member_of(found.name)
    return {
        "name": found.name,
        "life": asdict(found.life),
        "release_verdict": verdict_words(found.view.facts.history, found.life.birth.release),
        "verdict": asdict(judged) if judged is not None else None,
        "ledger": [asdict(entry) for entry in found.entries],
        "provider": asdict(seen) if seen is not None else None,
        "node": asdict(found.node) if found.node is not None else None,
        "pods": [asdict(pod) for pod in found.pods],
        "member": asdict(member) if member is not None else None,
        "events": [plain(event) for event in found.events],
        "console": list(found.console),
    }
