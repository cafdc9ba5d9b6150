"""Changes between two cluster.yaml: each field is compared, and says whether it rolls instances."""

from __future__ import annotations

from dataclasses import replace

import pytest

from risen.codec.cluster_changes import EFFECTS, Effect, compare, effect_of, schema
from risen.core.names import PoolName, Role
from risen.core.spec import (
    ClusterSpec,
    Disruption,
    Gate,
    LocalProvider,
    Networking,
    PoolSpec,
    Repair,
    Share,
    Strategy,
    Taint,
)


def _spec() -> ClusterSpec:
    control_plane = PoolSpec(PoolName("control-plane"), Role.CONTROL_PLANE, 3)
    return ClusterSpec("dev", "1.36.3", (control_plane, PoolSpec(PoolName("worker"), Role.WORKER, 2)))


def _with_worker(**changes: object) -> ClusterSpec:
    spec = _spec()
    control_plane, worker = spec.pools
    return replace(spec, pools=(control_plane, replace(worker, **changes)))  # type: ignore[arg-type]


def test_equal_specs_differ_in_nothing() -> None:
    assert compare(_spec(), _spec()) == ()


@pytest.mark.parametrize(
    ("new", "path", "effect"),
    [
        (_with_worker(replicas=3), "spec.pools[worker].replicas", Effect.NOTHING),
        (_with_worker(labels=(("a", "b"),)), "spec.pools[worker].labels", Effect.NOTHING),
        (_with_worker(taints=(Taint("a", "", "NoExecute"),)), "spec.pools[worker].taints", Effect.NOTHING),
        (_with_worker(max_pods=50), "spec.pools[worker].kubelet.maxPods", Effect.ROLLS),
        (_with_worker(recipe="other.yaml"), "spec.pools[worker].image.recipe", Effect.ROLLS),
        (replace(_spec(), kubernetes_version="1.35.4"), "spec.kubernetes.version", Effect.FIXED),
        (replace(_spec(), cert_sans=("a",)), "spec.kubernetes.apiServer.certSANs", Effect.ROLLS),
        (
            replace(_spec(), api_server_extra_args=(("v", "4"),)),
            "spec.kubernetes.apiServer.extraArgs",
            Effect.ROLLS,
        ),
        (
            replace(_spec(), controller_manager_extra_args=(("v", "4"),)),
            "spec.kubernetes.controllerManager.extraArgs",
            Effect.ROLLS,
        ),
        (
            replace(_spec(), scheduler_extra_args=(("v", "4"),)),
            "spec.kubernetes.scheduler.extraArgs",
            Effect.ROLLS,
        ),
        (replace(_spec(), etcd_extra_args=(("v", "4"),)), "spec.etcd.extraArgs", Effect.ROLLS),
        (
            replace(_spec(), provider=LocalProvider(endpoint_check_seconds=2.5)),
            "spec.provider.local.endpoint.checkEvery",
            Effect.FIXED,
        ),
        (
            replace(_spec(), networking=Networking(pod_subnet="10.9.0.0/16")),
            "spec.networking.podSubnet",
            Effect.FIXED,
        ),
        (replace(_spec(), provider=LocalProvider(disk_gib=9)), "spec.provider.local.disk", Effect.FIXED),
        (replace(_spec(), provider=LocalProvider(memory_gib=9)), "spec.provider.local.memory", Effect.FIXED),
        (
            replace(_spec(), service_account_issuer="https://a"),
            "spec.kubernetes.serviceAccountIssuer",
            Effect.FIXED,
        ),
        (
            replace(_spec(), disruption=Disruption(90.0)),
            "spec.disruption.drainTimeout",
            Effect.NOTHING,
        ),
        (
            replace(_spec(), disruption=Disruption(on_drain_timeout="force")),
            "spec.disruption.onDrainTimeout",
            Effect.NOTHING,
        ),
        (
            replace(_spec(), disruption=Disruption(load_balancer_seconds=9.0)),
            "spec.disruption.loadBalancerSeconds",
            Effect.NOTHING,
        ),
        (replace(_spec(), registries=("registry.example.com",)), "spec.registries", Effect.ROLLS),
        (replace(_spec(), gates=(Gate("a", job="{}"),)), "spec.gates", Effect.NOTHING),
        (
            _with_worker(strategy=Strategy(max_surge=Share(1, 10))),
            "spec.pools[worker].strategy.maxSurge",
            Effect.NOTHING,
        ),
        (
            _with_worker(strategy=Strategy(max_unavailable=Share(1))),
            "spec.pools[worker].strategy.maxUnavailable",
            Effect.NOTHING,
        ),
        (
            _with_worker(strategy=Strategy(min_ready_seconds=60)),
            "spec.pools[worker].strategy.minReadySeconds",
            Effect.NOTHING,
        ),
        (_with_worker(expire_after_seconds=3600.0), "spec.pools[worker].expireAfter", Effect.NOTHING),
        (replace(_spec(), repair=Repair(mode="observe")), "spec.repair.mode", Effect.NOTHING),
        (replace(_spec(), deletion_protection=True), "spec.deletionProtection", Effect.NOTHING),
    ],
)
def test_a_changed_field_is_named_and_says_whether_it_rolls(
    new: ClusterSpec, path: str, effect: Effect
) -> None:
    (change,) = compare(_spec(), new)
    assert (change.path, change.effect) == (path, effect)
    assert (change.rolls, change.fixed) == (effect is Effect.ROLLS, effect is Effect.FIXED)
    (back,) = compare(new, _spec())
    assert (back.old, back.new) == (change.new, change.old)


def test_a_pool_that_came_or_went_is_one_change() -> None:
    spec = _spec()
    more = replace(spec, pools=(*spec.pools, PoolSpec(PoolName("gpu"), Role.WORKER, 4)))
    (change,) = compare(spec, more)
    assert (change.path, change.old, change.new, change.rolls) == (
        "spec.pools[gpu]",
        "",
        "a worker pool",
        False,
    )


def test_the_control_planes_pool_cannot_be_renamed_under_a_living_cluster() -> None:
    control_plane, worker = _spec().pools
    renamed = replace(_spec(), pools=(replace(control_plane, name=PoolName("cp")), worker))
    assert [(change.path, change.fixed) for change in compare(_spec(), renamed)] == [
        ("spec.pools[control-plane]", True),
        ("spec.pools[cp]", True),
    ]


def test_a_number_that_an_autoscaler_gets_to_choose_is_told_by_its_bounds() -> None:
    changes = compare(_with_worker(replicas=2), _with_worker(replicas=1, max_replicas=9))
    assert [f"{change}" for change in changes] == [
        "spec.pools[worker].maxReplicas: none → 9 (replaces nothing)",
        "spec.pools[worker].minReplicas: none → 1 (replaces nothing)",
        "spec.pools[worker].replicas: 2 → none (replaces nothing)",
    ]


def test_a_gate_is_told_by_what_it_asks_and_a_job_by_its_content() -> None:
    one, other = (replace(_spec(), gates=(Gate("probe", job=f'{{"a": {n}}}'),)) for n in (1, 2))
    web = replace(_spec(), gates=(Gate("web", "http://web", 204, timeout_seconds=90.0),))
    (change,) = compare(one, other)
    assert change.old != change.new
    (change,) = compare(_spec(), web)
    assert change.new == "web (GET http://web → 204 within 1m30s)"


def test_the_order_of_pools_is_no_change() -> None:
    assert compare(_spec(), replace(_spec(), pools=_spec().pools[::-1])) == ()


def test_every_field_that_holds_a_value_has_an_effect() -> None:
    def parted(path: str) -> bool:
        return path in ("apiVersion", "kind") or ".taints[]." in path or ".gates[]." in path

    values = [(field.path, effect) for field, effect in schema() if "mapping" not in field.kind.split()]
    assert [path for path, effect in values if effect is None and not parted(path)] == []


def test_every_field_says_what_it_is_for() -> None:
    assert [field.path for field, _ in schema() if not field.description] == []


def test_every_effect_belongs_to_a_field_that_exists() -> None:
    paths = {field.path for field, _ in schema()}
    assert {path for path in EFFECTS if path not in paths and f"{path}[]" not in paths} == set()
    assert effect_of("spec.pools[x].kubelet.maxPods") is Effect.ROLLS


def test_comparing_two_specs_that_share_little_says_all() -> None:
    pools = (PoolSpec(PoolName("cp"), Role.CONTROL_PLANE, 1),)
    other = ClusterSpec("prod", "1.36.3", pools, networking=Networking(cni="none"))
    paths = [change.path for change in compare(_spec(), other)]
    assert paths == [
        "metadata.name", "spec.networking.cni", "spec.pools[control-plane]", "spec.pools[cp]", "spec.pools[worker]",
    ]  # fmt: skip
