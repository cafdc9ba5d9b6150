"""When a change's add-ons belong into the API: forward between control plane and workers, back the other way round."""

from __future__ import annotations

from dataclasses import replace

from builders import CP, Cluster, W
from risen.core.blocked import Waiting
from risen.core.events import RevisionCompleted
from risen.core.fold import fold
from risen.core.history import RolloutIntent
from risen.core.names import ClusterUid, ReleaseId
from risen.core.step import ApplyAddon, CompleteRevision, WriteBirth

DNS, ROLE = "apps/v1/Deployment/kube-system/coredns", "rbac.authorization.k8s.io/v1/ClusterRole//risen:x"
OLD, NEW = ((DNS, "old"), (ROLE, "same")), ((DNS, "new"), (ROLE, "same"))
TO_OLD, TO_NEW = [ApplyAddon(DNS, "old")], [ApplyAddon(DNS, "new")]
FIRST = "the add-ons to be applied first"


def changed(workers: int = 2) -> Cluster:
    """A change of both pools and of an add-on is applied to a cluster that stands."""
    cluster = Cluster.standing(3, workers)
    cluster.revision, cluster.addons = replace(cluster.revision, addons=OLD), OLD
    cluster.complete().apply(CP, W)
    cluster.revision = replace(cluster.revision, addons=NEW)
    return cluster


def passed(cluster: Cluster) -> Cluster:
    """The first control-plane instance of the new release serves, and has passed."""
    cluster.serve("cp-x").of_release("cp-x")
    cluster.passed[ReleaseId("r-cp-new")] = ("tried",)
    return cluster


def rolled(cluster: Cluster) -> Cluster:
    """All of the control plane is of the new release."""
    passed(cluster)
    cluster.of_release("cp-b").of_release("cp-c")
    return without(cluster, "cp-a")


def without(cluster: Cluster, name: str) -> Cluster:
    """It is gone, and forgotten."""
    cluster.bury(name)
    del cluster.lives[name], cluster.instances[name]
    return cluster


def abort(cluster: Cluster) -> Cluster:
    number = cluster.revision.number
    cluster.orders[number] = RolloutIntent("i", number, "abort", "jane")
    return cluster


def applied(cluster: Cluster) -> list[object]:
    return list(cluster.steps(ApplyAddon))


def waits(cluster: Cluster) -> list[str]:
    return [
        item.subject
        for item in cluster.plan().waiting
        if isinstance(item, Waiting) and item.for_what == FIRST
    ]


def test_a_new_set_waits_until_the_control_plane_has_passed() -> None:
    cluster = changed()
    assert applied(cluster) == []
    cluster.serve("cp-x").of_release("cp-x")
    assert applied(cluster) == []
    assert applied(passed(cluster)) == TO_NEW


def test_a_release_that_has_passed_before_needs_an_instance_all_the_same() -> None:
    """An undo launches what has long passed: until one of it serves, none could run the add-on's pods."""
    cluster = changed()
    cluster.passed[ReleaseId("r-cp-new")] = ("completed",)
    assert applied(cluster) == []
    cluster.serve("cp-x").of_release("cp-x")
    assert applied(cluster) == TO_NEW


def test_where_the_control_plane_stays_as_it_is_a_new_set_goes_on_at_once() -> None:
    cluster = changed()
    cluster.revision = replace(cluster.revision, releases=(cluster.settled[0], cluster.revision.releases[1]))
    assert applied(cluster) == TO_NEW


def test_until_then_only_what_was_deleted_comes_back_and_what_is_there_stays() -> None:
    cluster = changed()
    cluster.addons = ((DNS, "of a revision in between"),)
    assert applied(cluster) == [ApplyAddon(ROLE, "same")]


def test_workers_wait_for_the_add_ons_and_go_on_after_them() -> None:
    cluster = rolled(changed())
    assert (cluster.steps(WriteBirth), waits(cluster)) == ([], ["w"])
    cluster.addons = NEW
    assert ([step.birth.release for step in cluster.steps(WriteBirth)], waits(cluster)) == (["r-w-new"], [])  # type: ignore[attr-defined]


def test_back_the_former_set_waits_for_the_workers() -> None:
    cluster = rolled(changed())
    cluster.addons = NEW
    cluster.serve("w-x").of_release("w-x")
    assert applied(abort(cluster)) == []
    assert applied(without(cluster, "w-x")) == TO_OLD


def test_back_the_control_plane_waits_for_the_add_ons() -> None:
    cluster = abort(rolled(changed()))
    cluster.addons = NEW
    assert (applied(cluster), cluster.steps(WriteBirth), waits(cluster)) == (TO_OLD, [], ["cp"])
    cluster.addons = OLD
    assert [step.birth.release for step in cluster.steps(WriteBirth)] == ["r-cp"]  # type: ignore[attr-defined]


def test_in_an_undo_too_the_set_waits_for_the_workers_and_the_control_plane_for_the_set() -> None:
    cluster = changed()
    cluster.revision = replace(cluster.revision, number=3, back_to=1)
    cluster.passed |= {one.release: ("completed",) for one in cluster.revision.releases}
    assert applied(cluster) == []
    assert [step.birth.release for step in cluster.steps(WriteBirth)] == ["r-w-new"]  # type: ignore[attr-defined]
    for name in [name for name in cluster.nodes if name.startswith("w-")]:
        cluster.of_release(name)
    assert (applied(cluster), cluster.steps(WriteBirth), waits(cluster)) == (TO_NEW, [], ["cp"])
    cluster.addons = NEW
    assert [step.birth.release for step in cluster.steps(WriteBirth)] == ["r-cp-new"]  # type: ignore[attr-defined]


def test_what_no_instance_could_run_waits_for_the_first_that_is_back_and_holds_nothing_up() -> None:
    cluster = abort(rolled(changed(workers=0)))
    cluster.addons = NEW
    assert (applied(cluster), waits(cluster)) == ([], [])
    assert [step.birth.release for step in cluster.steps(WriteBirth)] == ["r-cp"]  # type: ignore[attr-defined]
    cluster.serve("cp-y")
    assert (applied(cluster), waits(cluster)) == (TO_OLD, ["cp"])


def test_what_stood_is_on_record_with_its_add_ons() -> None:
    cluster = changed()
    for name in tuple(cluster.nodes):
        cluster.of_release(name)
    cluster.passed |= {one.release: ("tried",) for one in cluster.revision.releases}
    assert cluster.steps(CompleteRevision) == [CompleteRevision(2, cluster.revision.releases, NEW)]
    history = fold(ClusterUid("u"), [RevisionCompleted(1.0, 2, cluster.revision.releases, NEW)])
    assert history.settled_addons == NEW
