"""A past to look back on: a cluster of one and two, a change that rolls both workers, a bad one that goes back."""

from __future__ import annotations

from dataclasses import replace

from risen.core import events as happened
from risen.core.events import Event
from risen.core.names import ImageDigest, InstanceName, PoolName, ProviderId, ReleaseId, Role
from risen.core.spec import ClusterSpec, PoolRelease, PoolSpec, Revision
from risen.core.step import Birth

T = 1_800_000_000.0
CP, W = PoolName("control-plane"), PoolName("worker")
POOLS = (PoolSpec(CP, Role.CONTROL_PLANE, 1), PoolSpec(W, Role.WORKER, 2))
SPEC = ClusterSpec("lab", "1.36.3", POOLS)


def releases(worker: str) -> tuple[PoolRelease, ...]:
    """The control plane's release, and one of the workers."""
    names = ((CP, "r-cp"), (W, worker))
    return tuple(PoolRelease(pool, ReleaseId(name), ImageDigest(f"sha256:{name}")) for pool, name in names)


FIRST = Revision(1, SPEC, releases("r-old"), by="jane", applied_unix=T)
SECOND = Revision(2, SPEC, releases("r-new"), by="ci/4711", reason="more pods", applied_unix=T + 1000)
THIRD = replace(SECOND, number=3, releases=releases("r-bad"), by="jane", reason="", applied_unix=T + 2000)
REVISIONS = (FIRST, SECOND, THIRD)


def raised(name: str, release: str, born: float, boot: float = 9.0) -> list[Event]:
    """Born, launched, joined and Ready."""
    instance = InstanceName(name)
    pool = PoolName(name.rpartition("-")[0])
    role = Role.CONTROL_PLANE if pool == CP else Role.WORKER
    image = ImageDigest(f"sha256:{release}")
    birth = Birth(instance, pool, role, ReleaseId(release), image, "0" * 32, "bring-up", born)
    return [
        happened.Born(born, birth),
        happened.Launched(born + 1, instance, ProviderId(f"p/{name}")),
        happened.Joined(born + boot / 2, instance),
        happened.BecameReady(born + boot, instance),
    ]


def taken(name: str, at: float, reason: str = "rollout", lasts: float = 14.0) -> list[Event]:
    """An entry, and the instance gone."""
    instance = InstanceName(name)
    return [
        happened.EntryOpened(at, f"{name}-1", instance, reason, ("r-old → r-new",)),
        happened.SeenGone(at + lasts, instance),
        happened.EntryClosed(at + lasts + 1, f"{name}-1", "rolled"),
    ]


def past() -> list[Event]:
    """All of it, in order: revision 2 stands after 85 s; revision 3 is revoked and gone back from."""
    bad = InstanceName("worker-e")
    found = [
        *raised("control-plane-a", "r-cp", T + 1),
        *raised("worker-a", "r-old", T + 2),
        *raised("worker-b", "r-old", T + 2),
        happened.RevisionCompleted(T + 30, 1, FIRST.releases),
        *raised("worker-c", "r-new", T + 1001),
        *taken("worker-a", T + 1020),
        happened.ReleasePassed(T + 1045, ReleaseId("r-new"), W, ("worker-c served for 10 s with 2 pods",)),
        happened.RolloutOrdered(T + 1046, "i-1", 2, "pause", "jane", "lunch"),
        happened.RolloutOrdered(T + 1050, "i-2", 2, "resume", "jane", ""),
        *raised("worker-d", "r-new", T + 1051),
        *taken("worker-b", T + 1070),
        happened.RevisionCompleted(T + 1085, 2, SECOND.releases),
        *raised("worker-e", "r-bad", T + 2001)[:3],
        happened.ReleaseRevoked(T + 2100, ReleaseId("r-bad"), W, 3, ("worker-e was never Ready",)),
        *taken("worker-e", T + 2101, "rollback", 3.0),
    ]
    assert bad in {event.birth.instance for event in found if isinstance(event, happened.Born)}
    return sorted(found, key=lambda event: event.unix)
