"""Steps, waits and spans of time in words for people: said the same by `plan`, `status` and `up`. Decides nothing."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from risen.core.blocked import Blocked, Waiting
from risen.core.rules.balancers import EXCLUDED
from risen.core.step import (
    AddBackend,
    AddLearner,
    ApplyAddon,
    CloseEntry,
    CompleteRevision,
    CordonNode,
    DeleteNode,
    DeletePod,
    Destroy,
    DrainBackend,
    EvictPod,
    ForceDrain,
    FreePod,
    HaltRelease,
    Launch,
    MarkNode,
    MoveLeader,
    OpenEntry,
    PassRelease,
    PowerOn,
    PressPowerButton,
    PromoteMember,
    RecordClusterId,
    ReleaseLease,
    RemoveBackend,
    RemoveEndpointLease,
    RemoveMember,
    RevokeRelease,
    Step,
    TaintOutOfService,
    UncordonNode,
    WriteBirth,
    WriteBootstrap,
)


def on_it(but: tuple[str, ...]) -> str:
    """How far a revision is followed that stands."""
    return "every instance is on it" + (f" but {'; '.join(but)}" if but else "")


def step_words(step: Step) -> str:
    """What a step does, beginning with its subject."""
    match step:
        case WriteBootstrap() | WriteBirth() | RecordClusterId() | OpenEntry() | ForceDrain() | CloseEntry():
            return _of_store(step)
        case PassRelease(release=release, evidence=evidence):
            return f"{release}: has passed, because {'; '.join(evidence)}"
        case HaltRelease(release=release, why=why):
            return f"{release}: halted, because {why}"
        case RevokeRelease(release=release, evidence=evidence):
            return f"{release}: revoked, because {'; '.join(evidence)}"
        case CompleteRevision(revision=revision, but=but):
            return f"revision {revision}: {on_it(but)}"
        case Launch() | PowerOn() | PressPowerButton() | Destroy():
            return _of_provider(step)
        case AddLearner() | PromoteMember() | MoveLeader() | RemoveMember() | RemoveEndpointLease():
            return _of_etcd(step)
        case AddBackend(instance=name, address=address):
            return f"{name}: let the API endpoint send requests to {address}"
        case DrainBackend(instance=name):
            return f"{name}: no new connections from the API endpoint"
        case RemoveBackend(instance=name):
            return f"{name}: take it off the API endpoint"
        case _:
            return _of_kubernetes(step)


def _of_store(
    step: WriteBootstrap | WriteBirth | RecordClusterId | OpenEntry | ForceDrain | CloseEntry,
) -> str:
    match step:
        case WriteBootstrap():
            return "etcd: to be founded on a new instance"
        case WriteBirth(birth=birth):
            return f"{birth.pool}: a new instance ({birth.reason})"
        case RecordClusterId(cluster_id=cluster_id):
            return f"etcd: record its cluster id {cluster_id}, so that nothing is ever founded again"
        case OpenEntry(subject=name, reason=reason, evidence=evidence):
            return f"{name}: {reason} begins, because {'; '.join(evidence)}"
        case ForceDrain(subject=name, pods=pods):
            return f"{name}: delete past their budgets, as onDrainTimeout says: {', '.join(pods)}"
        case CloseEntry(entry=entry, outcome=outcome):
            return f"ledger {entry}: closed, {outcome}"
        case _:
            assert_never(step)


def _of_provider(step: Launch | PowerOn | PressPowerButton | Destroy) -> str:
    match step:
        case Launch(instance=name):
            return f"{name}: launch it"
        case PowerOn(instance=name):
            return f"{name}: power it on from its own disk"
        case PressPowerButton(instance=name):
            return f"{name}: press its power button"
        case Destroy(instance=name, holds_data=holds_data):
            return f"{name}: end it and its disk{', etcd data included' if holds_data else ''}"
        case _:
            assert_never(step)


def _of_etcd(step: AddLearner | PromoteMember | MoveLeader | RemoveMember | RemoveEndpointLease) -> str:
    match step:
        case AddLearner(instance=name):
            return f"{name}: add it to etcd as a learner"
        case PromoteMember(instance=name):
            return f"{name}: give its etcd member a vote"
        case MoveLeader(to=member):
            return f"etcd: hand leadership to member {member}"
        case RemoveMember(instance=name, member=member):
            return f"{name or f'member {member}'}: remove it from etcd"
        case RemoveEndpointLease(instance=name):
            return f"{name}: take its API server off the Service kubernetes, it is gone"
        case _:
            assert_never(step)


def _of_kubernetes(
    step: ApplyAddon
    | MarkNode
    | CordonNode
    | UncordonNode
    | TaintOutOfService
    | EvictPod
    | DeletePod
    | FreePod
    | DeleteNode
    | ReleaseLease,
) -> str:
    match step:
        case ApplyAddon(key=key):
            return f"add-on {key}: apply it"
        case MarkNode(node=name, labels=labels) if EXCLUDED in dict(labels):
            return f"{name}: let load balancers leave it"
        case MarkNode(node=name):
            return f"{name}: set labels and taints of its pool on its Node"
        case CordonNode(node=name):
            return f"{name}: take no new pods"
        case UncordonNode(node=name):
            return f"{name}: take pods again"
        case DeletePod(namespace=namespace, pod=pod, node=name):
            return f"{name}: delete pod {namespace}/{pod} past its budgets, as onDrainTimeout says"
        case TaintOutOfService(node=name):
            return f"{name}: say that it is out of service, so that volumes come free"
        case EvictPod(namespace=namespace, pod=pod, node=name):
            return f"{name}: evict pod {namespace}/{pod}"
        case FreePod(namespace=namespace, pod=pod, node=name):
            return f"{name}: free pod {namespace}/{pod}, to run elsewhere"
        case DeleteNode(node=name):
            return f"{name}: delete its Node"
        case ReleaseLease(lease=lease):
            return f"lease {lease}: free it, its holder is gone"
        case _:
            assert_never(step)


def waiting_words(waiting: Waiting, now: float) -> str:
    """Who waits for what, how long already, and until when. `now` is on the clock that `waiting` uses."""
    spent = f", {span(now - waiting.since)} so far" if 0 < waiting.since <= now else ""
    bound = "" if waiting.give_up_at is None else f", given up in {span(max(0.0, waiting.give_up_at - now))}"
    return f"{waiting.subject} waits for {waiting.for_what}{spent}{bound}"


def blocked_words(blocked: Blocked) -> str:
    """A refusal with its arithmetic."""
    return f"{blocked.name}: {blocked.subject}: {blocked.why}"


def leader_words(leader: str, now_unix: float) -> str:
    """`controller leads (pid 4711 on HOST, for 3m05s)` from what a lead's holder signs: `HOST PID since UNIX`."""
    match leader.split():
        case [place, pid, "since", since] if since.isdigit():
            return f"controller leads (pid {pid} on {place}, for {span(max(0.0, now_unix - int(since)))})"
        case _:
            return f"controller leads ({leader})"


def seen_words(leader: str | None, seen_unix: float | None, now_unix: float) -> str:
    """Who leads and when it last went about its work: `controller leads (…), seen 0.4s ago`."""
    ago = f"seen {span(max(0.0, now_unix - seen_unix))} ago" if seen_unix is not None else ""
    if leader is None:
        return f"no controller, last {ago}" if ago else "no controller"
    return f"{leader_words(leader, now_unix)}, {ago or 'not seen at work yet'}"


def moment(unix: float) -> str:
    """A moment as people here say it: `2026-11-25 19:13:58`, in the local time zone."""
    return datetime.fromtimestamp(unix).strftime("%Y-%m-%d %H:%M:%S")


def span(seconds: float) -> str:
    """`0.4s`, `12s`, `3m05s`, `4h02m`, `12d`."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 120:
        return f"{whole}s"
    if whole < 7200:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 2 * 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d"
