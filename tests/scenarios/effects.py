"""What steps do to the cluster of a scenario: the kindest world there is, everything works at once.

The simulator has the unkind ones. Here a transcript shows how a plan follows from what the one before did.
"""

from __future__ import annotations

from dataclasses import replace

from builders import Cluster, life_of
from risen.core.history import Entry, Revoked, TaskResult
from risen.core.names import InstanceName, MemberId, may_hold_etcd
from risen.core.picture import BackendSeen, InstanceState, MemberSeen, NodeSeen
from risen.core.rules.nodes import UNINITIALIZED
from risen.core.spec import Taint
from risen.core.step import (
    AddBackend,
    AddLearner,
    ApplyAddon,
    Bootstrap,
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
    RemoveMember,
    RevokeRelease,
    Step,
    TaintOutOfService,
    UncordonNode,
    WriteBirth,
    WriteBootstrap,
)
from risen.core.task import Task

OUT_OF_SERVICE = Taint("node.kubernetes.io/out-of-service", "nodeshutdown", "NoExecute")


def carry_out(cluster: Cluster, step: Step) -> None:
    """Let a step have its effect."""
    match step:
        case WriteBootstrap() | WriteBirth() | RecordClusterId() | OpenEntry() | ForceDrain() | CloseEntry():
            _write(cluster, step)
        case PassRelease() | HaltRelease() | RevokeRelease() | CompleteRevision():
            _conclude(cluster, step)
        case Launch(instance=name):
            cluster.run(name)
            cluster.lives[name] = replace(
                cluster.lives[name],
                provider_id=cluster.instances[name].provider_id,
                launched_at_unix=cluster.now.unix,
            )
        case PowerOn(instance=name):
            cluster.instances[name] = replace(
                cluster.instances[name],
                state=InstanceState.RUNNING,
                stopped_at=None,
                host_boot=cluster.host_boot,
            )
        case PressPowerButton(instance=name):
            _press(cluster, name)
        case Destroy(instance=name):
            cluster.lose(name)
        case AddLearner() | PromoteMember() | MoveLeader() | RemoveMember():
            _membership(cluster, step)
        case AddBackend() | DrainBackend() | RemoveBackend():
            _endpoint(cluster, step)
        case _:
            _kubernetes(cluster, step)


def _press(cluster: Cluster, name: str) -> None:
    """What holds etcd up for its removal goes off after that; all others at once."""
    if name not in cluster.members:
        cluster.stop(name, ago=0.0)
        return
    cluster.instances[name] = replace(cluster.instances[name], power_pressed_at=cluster.now.boot)
    if name in cluster.backends:
        cluster.backends[name] = replace(cluster.backends[name], up=False)


def finish(cluster: Cluster, task: Task) -> None:
    """Let a task outside the loop end well."""
    cluster.results[task.key] = TaskResult(True, "as it should be", cluster.now.unix)


def start(cluster: Cluster, name: str) -> None:
    """An instance gets its join answer, and all that it is for comes up."""
    life = cluster.lives[name]
    joined = life.joined_at_unix is not None
    cluster.lives[name] = replace(
        life,
        joined_at_unix=life.joined_at_unix or cluster.now.unix,
        ready_at_unix=life.ready_at_unix or cluster.now.unix,
    )
    url = f"https://{cluster.instances[name].address}:2380"
    if may_hold_etcd(life.birth.role):
        cluster.unseen.clear()
        known = next((key for key, member in cluster.members.items() if member.peer_url == url), None)
        if known is None and not joined:
            cluster.join(name)
        elif known is not None:
            cluster.members[name] = replace(cluster.members.pop(known), name=name, healthy=True)
    taint = Taint(UNINITIALIZED, "", "NoSchedule")
    node = cluster.nodes.get(name)
    cluster.nodes[name] = replace(
        node or NodeSeen(InstanceName(name), f"node-{name}", life.provider_id or "", True, taints=(taint,)),
        lease_renewed_unix=cluster.now.unix,
        ready_since_unix=node.ready_since_unix if node is not None else cluster.now.unix,
    )


def _write(cluster: Cluster, step: Step) -> None:
    match step:
        case WriteBootstrap(bootstrap=Bootstrap() as bootstrap):
            cluster.bootstraps.append(bootstrap)
        case WriteBirth(birth=birth):
            life = life_of(
                birth.instance,
                provider_id=None,
                launched_at_unix=None,
                joined_at_unix=None,
                ready_at_unix=None,
            )
            cluster.lives[birth.instance] = replace(life, birth=birth)
        case RecordClusterId(cluster_id=cluster_id):
            cluster.etcd_id = cluster_id
        case OpenEntry(entry=entry, subject=subject, reason=reason, evidence=evidence):
            cluster.entries[entry] = Entry(entry, subject, reason, evidence, cluster.now.unix)
        case ForceDrain(entry=entry, pods=pods):
            opened = cluster.entries[entry]
            cluster.entries[entry] = replace(opened, forced=(*opened.forced, *pods))
        case CloseEntry(entry=entry, outcome=outcome):
            opened = cluster.entries[entry]
            cluster.entries[entry] = replace(opened, closed_unix=cluster.now.unix, outcome=outcome)


def _conclude(cluster: Cluster, step: Step) -> None:
    match step:
        case PassRelease(release=release, evidence=evidence):
            cluster.passed[release] = evidence
        case HaltRelease(release=release, revision=revision, cause=cause):
            cluster.halts[revision] = (*cluster.halts.get(revision, ()), (release, cause))
        case RevokeRelease(release=release, pool=pool, revision=revision, evidence=evidence):
            cluster.revoked[release] = Revoked(release, pool, revision, evidence, cluster.now.unix)
        case CompleteRevision():
            cluster.complete()


def _membership(cluster: Cluster, step: Step) -> None:
    match step:
        case AddLearner(peer_url=url):
            identity = str(101 + max((int(one.id) - 100 for one in cluster.members.values()), default=0))
            cluster.members[url] = MemberSeen(MemberId(identity), "", url, True, False)
        case PromoteMember(instance=name):
            cluster.members[name] = replace(cluster.members[name], learner=False)
        case RemoveMember(member=member_id):
            for key in [key for key, member in cluster.members.items() if member.id == member_id]:
                del cluster.members[key]
                if key in cluster.instances and cluster.instances[key].power_pressed_at is not None:
                    cluster.stop(key, ago=0.0)
        case MoveLeader(to=to):
            for key, member in cluster.members.items():
                cluster.members[key] = replace(member, leader=member.id == to)


def _endpoint(cluster: Cluster, step: Step) -> None:
    match step:
        case DrainBackend(instance=name):
            cluster.backends[name] = replace(cluster.backends[name], draining=True)
        case AddBackend(instance=name, address=address):
            cluster.backends[name] = BackendSeen(name, address, True)
        case RemoveBackend(instance=name):
            cluster.backends.pop(name, None)


def _kubernetes(cluster: Cluster, step: Step) -> None:
    match step:
        case ApplyAddon(key=key, digest=digest):
            cluster.addons = tuple(({**dict(cluster.addons), key: digest}).items())
        case MarkNode(node=name, labels=labels, taints=taints):
            cluster.nodes[name] = replace(cluster.nodes[name], labels=labels, taints=taints)
        case CordonNode(node=name):
            cluster.nodes[name] = replace(cluster.nodes[name], unschedulable=True, our_cordon=True)
        case UncordonNode(node=name):
            cluster.nodes[name] = replace(cluster.nodes[name], unschedulable=False, our_cordon=False)
        case TaintOutOfService(node=name):
            cluster.nodes[name] = replace(cluster.nodes[name], taints=(OUT_OF_SERVICE,))
        case EvictPod(uid=uid) | DeletePod(uid=uid) | FreePod(uid=uid):
            cluster.pods = [pod for pod in cluster.pods if pod.uid != uid]
        case DeleteNode(node=name):
            cluster.nodes.pop(name, None)
        case ReleaseLease(lease=lease):
            _next_leads(cluster, lease)
        case _:
            raise AssertionError(f"no effect for {step!r}")


def _next_leads(cluster: Cluster, lease: str) -> None:
    """Another control-plane instance takes a lease that was released."""
    running = (name for name, seen in cluster.instances.items() if seen.state is InstanceState.RUNNING)
    holder = min(name for name in running if may_hold_etcd(cluster.lives[name].birth.role))
    others = tuple(one for one in cluster.lease_holders if one[0] != lease)
    cluster.lease_holders = (*others, (lease, f"{holder}_1"))
