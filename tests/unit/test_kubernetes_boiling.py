"""What is kept of an object of the API, and what is concluded from it on the way."""

from __future__ import annotations

import msgspec
import pytest

from risen.adapters.kubernetes import wire
from risen.adapters.kubernetes.boiling import (
    MOST_SHARED,
    Pods,
    budget_seen,
    lease_holder,
    local_volume,
    node_lease,
    node_seen,
)
from risen.adapters.kubernetes.cache import ClaimingPod, LeaseHolder, LocalVolume
from risen.adapters.kubernetes.wire import Lease, Node, Pod
from risen.core.picture import PodSeen, Start

NO_NETWORK = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
    "message:Network plugin returns error: cni plugin not initialized"
)


def node_object(ready: str | None, message: str = "", taint: str = "") -> Node:
    conditions = [] if ready is None else [{"type": "Ready", "status": ready, "message": message}]
    taints = [{"key": taint, "effect": "NoSchedule"}] if taint else []
    body = {"metadata": {"name": "n"}, "spec": {"taints": taints}, "status": {"conditions": conditions}}
    return msgspec.convert(body, Node)


def pod_object(**parts: object) -> Pod:
    body = {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {"nodeName": "n"}}
    return msgspec.json.decode(msgspec.json.encode({**body, **parts}), type=Pod)


def pod_of(pod: Pod) -> PodSeen | None:
    seen = Pods().seen(pod)
    return seen.pod if isinstance(seen, ClaimingPod) else seen


@pytest.mark.parametrize(
    ("ready", "message", "taint", "waiting"),
    [
        ("False", NO_NETWORK, "", True),
        ("False", f"[{NO_NETWORK}, CSINode is not yet initialized]", "", True),
        ("False", "PLEG is not healthy", "", False),
        ("Unknown", "Kubelet stopped posting node status.", "", False),
        ("True", "kubelet is posting ready status", "", False),
        ("True", "", "node.cloudprovider.kubernetes.io/uninitialized", True),
        (None, "", "", False),
    ],
)
def test_waiting_for_addons_is_told_from_sickness(
    ready: str | None, message: str, taint: str, waiting: bool
) -> None:
    assert node_seen(node_object(ready, message, taint)).waiting_for_addons is waiting


@pytest.mark.parametrize(
    ("said", "ready"), [("True", True), ("False", False), ("Unknown", None), (None, None)]
)
def test_ready_is_none_where_nobody_knows(said: str | None, ready: bool | None) -> None:
    assert node_seen(node_object(said)).ready is ready


def test_a_pod_not_bound_to_a_node_is_of_no_interest() -> None:
    assert pod_of(pod_object(spec={})) is None


@pytest.mark.parametrize(
    ("owner", "volume", "stateful", "daemon"),
    [
        ("ReplicaSet", {"emptyDir": {}}, False, False),
        ("StatefulSet", {"emptyDir": {}}, True, False),
        ("ReplicaSet", {"persistentVolumeClaim": {"claimName": "c"}}, True, False),
        ("ReplicaSet", {"ephemeral": {"volumeClaimTemplate": {}}}, True, False),
        ("DaemonSet", {"hostPath": {"path": "/"}}, False, True),
    ],
)
def test_what_may_only_go_after_a_fence_is_known_by_owner_or_volume(
    owner: str, volume: dict[str, object], stateful: bool, daemon: bool
) -> None:
    metadata = {"name": "p", "ownerReferences": [{"kind": owner, "controller": True}]}
    spec = {"nodeName": "n", "volumes": [{"name": "v", **volume}]}
    seen = pod_of(pod_object(metadata=metadata, spec=spec))
    assert seen is not None and (seen.stateful, seen.daemon) == (stateful, daemon)


def test_mirror_and_terminating_pods_are_told() -> None:
    metadata = {
        "name": "p",
        "annotations": {"kubernetes.io/config.mirror": "x"},
        "deletionTimestamp": "2026-01-01T00:00:00Z",
    }
    seen = pod_of(pod_object(metadata=metadata))
    assert seen is not None and (seen.mirror, seen.terminating) == (True, True)


def test_system_critical_pods_are_known_by_their_priority() -> None:
    told = [pod_of(pod_object(spec={"nodeName": "n", **spec})) for spec in ({}, {"priority": 1_000_000_000})]
    assert [seen is not None and seen.critical for seen in told] == [False, False]
    critical = pod_of(pod_object(spec={"nodeName": "n", "priority": 2_000_000_000}))
    assert critical is not None and critical.critical


def test_leases_of_others_and_leases_never_renewed_are_left_out() -> None:
    body = {"metadata": {"name": "apiserver-x"}, "spec": {"holderIdentity": "y"}}
    lease = msgspec.convert(body, Lease)
    assert (lease_holder(lease), node_lease(lease)) == (None, None)


def test_a_leader_lease_is_told_with_when_it_runs_out() -> None:
    spec = {
        "holderIdentity": "cp-a_1",
        "renewTime": "2026-01-01T00:00:10.500000Z",
        "leaseDurationSeconds": 15,
    }
    body = {"metadata": {"name": "kube-controller-manager"}, "spec": spec}
    assert lease_holder(msgspec.convert(body, Lease)) == LeaseHolder(
        "kube-controller-manager", "cp-a_1", 1767225625.5
    )


def test_a_leader_lease_that_was_never_renewed_has_run_out() -> None:
    body = {"metadata": {"name": "kube-scheduler"}, "spec": {"holderIdentity": "y"}}
    assert lease_holder(msgspec.convert(body, Lease)) == LeaseHolder("kube-scheduler", "y", 0.0)


def test_owner_labels_and_protection_are_told() -> None:
    owners = [{"kind": "Other", "name": "x"}, {"kind": "ReplicaSet", "name": "web-5", "controller": True}]
    labels = {"b": "2", "a": "1"}
    metadata = {"name": "p", "ownerReferences": owners, "labels": labels}
    seen = pod_of(pod_object(metadata={**metadata, "annotations": {"risen/do-not-disrupt": "true"}}))
    assert seen is not None
    assert (seen.owner, seen.labels, seen.protected) == ("ReplicaSet/web-5", (("a", "1"), ("b", "2")), True)
    other = pod_of(pod_object(metadata={"name": "p", "annotations": {"risen/do-not-disrupt": "false"}}))
    assert other is not None and (other.owner, other.protected) == ("", False)


@pytest.mark.parametrize(
    ("initial", "main", "failing"),
    [
        ([], ["CrashLoopBackOff"], "CrashLoopBackOff"),
        ([], ["ContainerCreating"], ""),
        (["ImagePullBackOff"], ["PodInitializing"], "ImagePullBackOff"),
        (["PodInitializing"], ["PodInitializing"], ""),
        ([], ["ContainerCreating", "CreateContainerConfigError"], "CreateContainerConfigError"),
        ([], [None], ""),
    ],
)
def test_a_container_that_waits_for_no_stage_of_its_start_fails(
    initial: list[str | None], main: list[str | None], failing: str
) -> None:
    def containers(reasons: list[str | None]) -> list[dict[str, object]]:
        running: dict[str, object] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        return [{"state": {"waiting": {"reason": one}} if one else running} for one in reasons]

    status = {"initContainerStatuses": containers(initial), "containerStatuses": containers(main)}
    seen = pod_of(pod_object(status=status))
    assert seen is not None and seen.failing == failing


@pytest.mark.parametrize(
    ("phase", "finished"),
    [("Pending", False), ("Running", False), ("Succeeded", True), ("Failed", True), ("Unknown", False)],
)
def test_what_has_succeeded_or_failed_has_finished_and_waits_for_nothing(phase: str, finished: bool) -> None:
    waits = [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]
    seen = pod_of(pod_object(status={"phase": phase, "containerStatuses": waits}))
    assert seen is not None
    assert (seen.finished, seen.failing) == (finished, "" if finished else "CrashLoopBackOff")


def test_since_when_is_told_of_what_is_ready_only() -> None:
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:10Z"}
    ready = pod_of(pod_object(status={"conditions": [condition]}))
    unready = pod_of(pod_object(status={"conditions": [{**condition, "status": "False"}]}))
    assert ready is not None and ready.ready_since_unix == 1767225610.0
    assert unready is not None and unready.ready_since_unix is None
    body = {"metadata": {"name": "n"}, "status": {"conditions": [condition]}}
    assert node_seen(msgspec.convert(body, Node)).ready_since_unix == 1767225610.0


AT = 1767225610.0


def condition(kind: str, status: str, seconds: int = 10) -> dict[str, str]:
    return {"type": kind, "status": status, "lastTransitionTime": f"2026-01-01T00:00:{seconds}Z"}


@pytest.mark.parametrize(
    ("conditions", "since"),
    [
        ([condition("PodScheduled", "True"), condition("Ready", "False", 20)], AT + 10),
        ([condition("PodScheduled", "True")], AT),
        ([condition("PodScheduled", "True"), condition("Ready", "True", 20)], None),
        ([], None),
    ],
)
def test_since_when_it_is_not_ready_is_told_of_what_is_not(
    conditions: list[dict[str, str]], since: float | None
) -> None:
    seen = pod_of(pod_object(status={"conditions": conditions}))
    assert seen is not None and seen.unready_since_unix == since


WAITS = {"state": {"waiting": {"reason": "ContainerCreating"}}}
RUNS: dict[str, object] = {"state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}


@pytest.mark.parametrize(
    ("sandbox", "containers", "start"),
    [
        ("False", [WAITS], Start.SANDBOX),
        ("False", [], Start.SANDBOX),
        ("True", [WAITS, RUNS], Start.CONTAINERS),
        ("True", [RUNS, RUNS], Start.DONE),
        (None, [WAITS], Start.CONTAINERS),
        (None, [RUNS], Start.DONE),
    ],
)
def test_how_far_its_start_is_is_told_by_its_sandbox_and_its_containers(
    sandbox: str | None, containers: list[dict[str, object]], start: Start
) -> None:
    conditions = [condition("PodReadyToStartContainers", sandbox)] if sandbox else []
    seen = pod_of(pod_object(status={"conditions": conditions, "containerStatuses": containers}))
    assert seen is not None and seen.start is start


def test_its_probes_say_what_it_may_take_until_anybody_asks() -> None:
    quick = {"name": "a", "readinessProbe": {"initialDelaySeconds": 5}}
    startup = {"initialDelaySeconds": 10, "periodSeconds": 20, "failureThreshold": 30}
    slow = {"name": "b", "readinessProbe": {"initialDelaySeconds": 7}, "startupProbe": startup}
    for containers, delay in (([{"name": "a"}], 0.0), ([quick], 5.0), ([quick, slow], 617.0)):
        seen = pod_of(pod_object(spec={"nodeName": "n", "containers": containers}))
        assert seen is not None and seen.probe_delay_seconds == delay


def test_claims_are_named_so_that_their_volumes_can_be_looked_up() -> None:
    volumes = [
        {"name": "a", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "b", "ephemeral": {}},
        {"name": "d", "emptyDir": {}},
    ]
    seen = Pods().seen(pod_object(spec={"nodeName": "n", "volumes": volumes}))
    assert isinstance(seen, ClaimingPod) and seen.claims == ("c", "p-b")


def test_equal_names_and_labels_of_many_pods_are_one_object_each() -> None:
    pods = Pods()
    first, second = (pods.seen(pod_object(metadata=_of_app(name, "web"))) for name in ("p1", "p2"))
    assert isinstance(first, PodSeen) and isinstance(second, PodSeen)
    assert first.labels is second.labels and first.owner is second.owner and first.node is second.node


def test_labels_that_never_come_back_do_not_pile_up() -> None:
    pods = Pods()
    pods._labels = {((str(number), ""),): ((str(number), ""),) for number in range(MOST_SHARED)}
    seen = pods.seen(pod_object(metadata=_of_app("p", "web")))
    assert isinstance(seen, PodSeen) and len(pods._labels) == 1


def _of_app(name: str, app: str) -> dict[str, object]:
    owner = {"kind": "ReplicaSet", "name": app, "controller": True}
    return {"name": name, "namespace": "ns", "labels": {"app": app}, "ownerReferences": [owner]}


@pytest.mark.parametrize(
    ("selector", "covers"),
    [
        ({"matchLabels": {"app": "web"}}, (("app", "web"),)),
        ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "x", "operator": "Exists"}]}, None),
        ({}, ()),
    ],
)
def test_a_budget_that_is_not_written_as_labels_covers_its_namespace(
    selector: dict[str, object], covers: tuple[tuple[str, str], ...] | None
) -> None:
    seen = budget_seen(budget(selector, generation=1))
    assert seen is not None and seen.selector == covers and seen.allowed == 1


def test_a_budget_without_selector_covers_nothing() -> None:
    assert budget_seen(msgspec.convert({"metadata": {"name": "b"}, "spec": {}}, wire.Budget)) is None


def test_a_budget_whose_newest_text_was_not_counted_yet_allows_nothing() -> None:
    seen = budget_seen(budget({}, generation=2))
    assert seen is not None and (seen.allowed, seen.healthy) == (0, 3)


def budget(selector: dict[str, object], generation: int) -> wire.Budget:
    status = {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 3, "desiredHealthy": 2}
    metadata = {"name": "b", "namespace": "ns", "generation": generation}
    return msgspec.convert(
        {"metadata": metadata, "spec": {"selector": selector}, "status": status}, wire.Budget
    )


def by_host(key: str) -> dict[str, object]:
    term = {"matchExpressions": [{"key": key, "operator": "In", "values": ["n"]}]}
    return {"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}


@pytest.mark.parametrize(
    ("source", "local"),
    [
        ({"local": {"path": "/d"}}, True),
        ({"hostPath": {"path": "/d"}}, True),
        ({"csi": {}, **by_host("kubernetes.io/hostname")}, True),
        ({"csi": {}, **by_host("topology.kubernetes.io/zone")}, False),
        ({"csi": {}}, False),
    ],
)
def test_a_volume_is_local_by_its_kind_or_by_the_hosts_it_names(
    source: dict[str, object], local: bool
) -> None:
    body = {"spec": {"claimRef": {"namespace": "ns", "name": "c"}, **source}}
    seen = local_volume(msgspec.convert(body, wire.PersistentVolume))
    assert seen == (LocalVolume("ns/c") if local else None)


def test_a_volume_that_nobody_claims_holds_nobody() -> None:
    body = {"spec": {"local": {"path": "/d"}}}
    assert local_volume(msgspec.convert(body, wire.PersistentVolume)) is None
