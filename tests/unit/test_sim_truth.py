"""The simulator refuses what the real systems refuse: otherwise what it proves is worth nothing."""

from __future__ import annotations

import pytest

from risen.codec import records
from risen.core.names import (
    ClusterUid,
    ImageDigest,
    InstanceName,
    MemberId,
    PoolName,
    ProviderId,
    ReleaseId,
    Role,
)
from risen.core.picture import InstanceState
from risen.core.spec import Taint
from risen.core.step import Birth, Bootstrap
from risen.interfaces.errors import Conflict, Denied, Invalid, Later, NotFound, Unreachable
from risen.interfaces.provider import LaunchRequest
from risen.interfaces.store import IfAbsent, IfVersion
from risen.sim.harness import brought_up
from risen.sim.instances import Power
from risen.sim.scenario import Scenario
from risen.sim.world import World


def empty_world(seed: int = 7) -> World:
    world = World.fresh(seed, Scenario(3, 1).revision())
    world.controller_alive = True
    return world


def request(name: str, role: Role = Role.CONTROL_PLANE, data: bytes = b"#cloud-config\n") -> LaunchRequest:
    return LaunchRequest(
        InstanceName(name), ClusterUid("u"), PoolName(role.value), role, ImageDigest("sha256:1"), data
    )


def born(world: World, name: str, role: Role = Role.CONTROL_PLANE) -> InstanceName:
    birth = Birth(
        InstanceName(name),
        PoolName(role.value),
        role,
        ReleaseId("r-1"),
        ImageDigest("sha256:1"),
        "n",
        "t",
        0.0,
    )
    world.store.put(records.birth_key(birth.instance), records.encode(birth), None)
    world.instances.launch(request(name, role))
    return birth.instance


def pass_time(world: World, seconds: float) -> None:
    until = world.timeline.now + seconds
    while (due := world.timeline.next_at()) is not None and due <= until:
        world.timeline.now = due
        world.timeline.fire_until(due)
    world.timeline.now = until


def founded(world: World) -> InstanceName:
    name = InstanceName("cp-a")
    bootstrap = Bootstrap(1, name, "token")
    world.store.put(records.bootstrap_key(1), records.encode(bootstrap), None)
    born(world, name)
    pass_time(world, 30)
    assert world.etcd.works()
    seen = records.EtcdClusterId(world.etcd.cluster_id)
    world.store.put(records.ETCD_CLUSTER_ID, records.encode(seen), IfAbsent())
    return name


def with_voter(world: World, name: str) -> MemberId:
    born(world, name)
    pass_time(world, 10)
    member = world.etcd.add_learner(world.instances.all[InstanceName(name)].peer_url)
    pass_time(world, 20)
    world.etcd.promote(member)
    pass_time(world, 10)
    return member


def three_voters() -> World:
    world = empty_world()
    founded(world)
    with_voter(world, "cp-b")
    with_voter(world, "cp-c")
    return world


def test_launch_is_idempotent_by_name_and_refuses_another_request() -> None:
    world = empty_world()
    first = world.instances.launch(request("a"))
    assert world.instances.launch(request("a")) == first
    with pytest.raises(Invalid):
        world.instances.launch(request("a", data=b"other"))


def test_half_a_launch_is_told_as_starting_while_somebody_is_at_it_and_as_unfinished_then() -> None:
    world = empty_world()
    world.instances.begin_launch(request("a"))
    pass_time(world, 5)
    under_way = world.instances.get(InstanceName("a")).state
    world.instances.let_go()
    pass_time(world, 60)
    left = world.instances.get(InstanceName("a"))
    provider_id = world.instances.launch(request("a"))
    pass_time(world, 5)
    finished = world.instances.get(InstanceName("a"))
    assert (under_way, left.state, finished.state) == (
        InstanceState.STARTING, InstanceState.UNFINISHED, InstanceState.RUNNING,
    )  # fmt: skip
    assert {left.provider_id, finished.provider_id} == {provider_id}


def test_half_a_launch_is_cleared_away_by_its_end_and_has_no_power_button() -> None:
    world = empty_world()
    world.instances.begin_launch(request("a"))
    world.instances.let_go()
    provider_id = world.instances.get(InstanceName("a")).provider_id
    with pytest.raises(Later):
        world.instances.press_power_button(provider_id)
    world.instances.destroy(provider_id)
    assert world.instances.get(InstanceName("a")).state is InstanceState.GONE


def test_half_an_end_leaves_a_stopped_instance_with_its_disk() -> None:
    world = empty_world()
    provider_id = world.instances.launch(request("a"))
    pass_time(world, 5)
    world.instances.begin_destroy(provider_id)
    under_way = world.instances.get(InstanceName("a")).state
    world.instances.let_go()
    assert (under_way, world.instances.get(InstanceName("a")).state) == (
        InstanceState.STARTING, InstanceState.STOPPED,
    )  # fmt: skip


def test_only_get_proves_that_an_instance_is_gone() -> None:
    world = empty_world()
    provider_id = world.instances.launch(request("a"))
    assert world.instances.get(InstanceName("a")).state is not InstanceState.GONE
    world.instances.destroy(provider_id)
    assert world.instances.get(InstanceName("a")).state is InstanceState.GONE


def test_what_is_gone_has_no_id_or_one_that_was_made_up() -> None:
    seen = [empty_world().instances.get(InstanceName(name)) for name in ("w-b", "w-c")]
    assert {one.state for one in seen} == {InstanceState.GONE}
    assert sorted(bool(one.provider_id) for one in seen) == [False, True]


def test_marking_a_node_takes_away_what_we_set_before_and_leaves_what_others_set() -> None:
    world = brought_up(Scenario(1, 1), 3)
    node = next(one for one in world.kubernetes.nodes.values() if "tier" in one.labels)
    theirs = Taint("team", "x", "NoSchedule")
    node.labels["theirs"] = "yes"
    node.taints = (*node.taints, theirs)
    world.kubernetes.mark(node.name, node.uid, {"risen.dev/pool": "w"}, (Taint("gpu", "", "NoSchedule"),))
    world.kubernetes.mark(node.name, node.uid, {"risen.dev/pool": "w"}, ())
    assert node.labels == {"risen.dev/pool": "w", "theirs": "yes"}
    assert node.taints == (theirs,)


def test_an_instance_without_a_birth_record_is_condemned_at_join() -> None:
    world = empty_world()
    world.instances.launch(request("a", Role.WORKER))
    pass_time(world, 10)
    assert world.instances.all[InstanceName("a")].condemned
    assert not world.instances.all[InstanceName("a")].joined


def test_nobody_joins_while_no_controller_lives() -> None:
    world = empty_world()
    world.controller_alive = False
    born(world, "w", Role.WORKER)
    pass_time(world, 20)
    assert not world.instances.all[InstanceName("w")].joined
    world.controller_alive = True
    pass_time(world, 2)
    assert world.instances.all[InstanceName("w")].joined == "worker"


def test_a_control_plane_instance_joins_only_once_etcd_has_its_member() -> None:
    world = empty_world()
    founded(world)
    name = born(world, "cp-b")
    pass_time(world, 20)
    assert not world.instances.all[name].joined
    world.etcd.add_learner(world.instances.all[name].peer_url)
    pass_time(world, 2)
    assert world.instances.all[name].joined == "existing"


def test_the_founder_founds_once_even_when_it_reboots() -> None:
    world = empty_world()
    name = founded(world)
    world.instances.kill(name)
    world.instances.power_on(world.instances.all[name].provider_id)
    pass_time(world, 30)
    assert world.etcd.foundings == [name]
    assert world.etcd.works()


def test_etcd_takes_one_learner_at_most() -> None:
    world = empty_world()
    founded(world)
    world.etcd.add_learner("https://10.0.0.8:2380")
    with pytest.raises(Later):
        world.etcd.add_learner("https://10.0.0.9:2380")
    with pytest.raises(Conflict):
        world.etcd.add_learner("https://10.0.0.8:2380")


def test_a_learner_that_has_not_started_has_no_name_and_is_not_promoted() -> None:
    world = empty_world()
    founded(world)
    member = world.etcd.add_learner("https://10.0.0.8:2380")
    assert world.etcd.members[member].name == ""
    with pytest.raises(Later):
        world.etcd.promote(member)


def test_etcd_refuses_to_add_while_a_voter_is_not_connected() -> None:
    world = three_voters()
    world.instances.kill(InstanceName("cp-c"))
    pass_time(world, 10)
    with pytest.raises(Later):
        world.etcd.add_learner("https://10.0.0.9:2380")


def test_etcd_lets_a_dead_one_of_three_be_removed_but_not_a_living_one_beside_it() -> None:
    world = three_voters()
    world.instances.kill(InstanceName("cp-c"))
    pass_time(world, 10)
    living = next(member.id for member in world.etcd.voters if member.name == "cp-b")
    with pytest.raises(Later):
        world.etcd.remove(MemberId(living))
    dead = next(member.id for member in world.etcd.voters if member.name == "cp-c")
    world.etcd.remove(MemberId(dead))
    assert len(world.etcd.voters) == 2


def test_the_second_of_two_voters_is_not_removed_within_seconds_of_its_promotion() -> None:
    world = empty_world()
    founder = founded(world)
    name = born(world, "cp-b")
    pass_time(world, 10)
    member = world.etcd.add_learner(world.instances.all[name].peer_url)
    while not world.etcd.members[member].synced:
        pass_time(world, 0.1)
    world.etcd.promote(member)
    old = next(voter.id for voter in world.etcd.voters if voter.name == founder)
    with pytest.raises(Later):
        world.etcd.remove(MemberId(old))


def test_without_quorum_members_answer_only_locally_and_kubernetes_not_at_all() -> None:
    world = three_voters()
    for name in ("cp-b", "cp-c"):
        world.instances.kill(InstanceName(name))
    addresses = tuple(item.address for item in world.instances.all.values())
    assert world.etcd.observe(addresses).quorum_lost
    with pytest.raises(Unreachable):
        world.kubernetes.observe()
    with pytest.raises(Later):
        world.etcd.remove(MemberId(world.etcd.voters[0].id))


def test_what_a_kubelet_has_to_say_of_its_pods_waits_for_an_apiserver() -> None:
    world = brought_up(Scenario(1, 1), 3)
    kubernetes, kubelets = world.kubernetes, world.kubelets
    starting, ending = [pod for pod in kubernetes.pods.values() if pod.node.startswith("worker")][:2]
    starting.set_unready(world.timeline.now)
    ending.terminating = True
    control_plane = next(item for item in world.instances.all.values() if item.holds_etcd)
    world.instances.kill(control_plane.name)
    revision = world.etcd.revision
    kubelets.pod_started(starting.uid)
    kubelets.pod_ended(ending.uid)
    pass_time(world, 20)
    assert not starting.ready and ending.uid in kubernetes.pods
    assert world.etcd.revision == revision
    world.instances.power_on(control_plane.provider_id)
    pass_time(world, 20)
    assert starting.ready and ending.uid not in kubernetes.pods
    assert world.violations == []


def test_nothing_is_written_to_an_etcd_without_quorum() -> None:
    world = three_voters()
    for name in ("cp-b", "cp-c"):
        world.instances.kill(InstanceName(name))
    with pytest.raises(AssertionError, match="no quorum"):
        world.kubernetes.wrote()


def test_a_killed_leader_is_followed_by_an_election_and_no_revision_is_lost() -> None:
    world = three_voters()
    leader = world.etcd.leader
    world.instances.kill(world.etcd.name_of(leader))
    assert not world.etcd.works()
    pass_time(world, 3)
    assert world.etcd.works() and world.etcd.leader != leader
    assert world.violations == []


def test_losing_a_majority_of_disks_shows_as_lost_data() -> None:
    world = three_voters()
    for name in ("cp-b", "cp-c"):
        world.instances.lose(name)
    assert not world.etcd.disks_safe()


def test_a_power_cut_leaves_disks_and_changes_the_hosts_boot() -> None:
    world = three_voters()
    before = world.instances.host_boot
    world.instances.power_cut()
    seen = world.instances.list()
    assert seen.host_boot != before
    assert {item.state for item in seen.instances} == {InstanceState.STOPPED}
    for item in list(world.instances.all.values()):
        world.instances.power_on(item.provider_id)
    pass_time(world, 30)
    assert world.etcd.works() and len(world.etcd.foundings) == 1


def test_the_power_button_holds_etcd_up_until_its_member_is_removed() -> None:
    world = three_voters()
    item = world.instances.all[InstanceName("cp-c")]
    world.instances.press_power_button(item.provider_id)
    pass_time(world, 5)
    assert item.power is Power.RUNNING and not item.apiserver
    world.etcd.remove(MemberId(item.member))
    pass_time(world, 1)
    assert item.power is Power.OFF


def test_an_apiserver_is_an_endpoint_until_it_stops_in_order_or_its_lease_runs_out() -> None:
    world = brought_up(Scenario(3, 1), 2).copied()
    planes = [item for item in world.instances.all.values() if item.holds_etcd]
    stops, dies, stays = sorted(planes, key=lambda item: item.member == world.etcd.leader)
    pass_time(world, 1.0)
    assert leases(world) == {item.address for item in planes}
    world.instances.press_power_button(stops.provider_id)
    world.instances.kill(dies.name)
    pass_time(world, 3.0)
    assert leases(world) == {dies.address, stays.address}
    pass_time(world, 13.0)
    assert leases(world) == {stays.address}


def leases(world: World) -> set[str]:
    addresses = tuple(item.address for item in world.instances.all.values())
    return set(world.etcd.observe(addresses).endpoint_leases)


def test_a_store_put_honours_its_condition() -> None:
    world = empty_world()
    version = world.store.put("a/b", b"1", IfAbsent())
    with pytest.raises(Conflict):
        world.store.put("a/b", b"2", IfAbsent())
    world.store.put("a/b", b"2", IfVersion(version))
    with pytest.raises(Conflict):
        world.store.put("a/b", b"3", IfVersion(version))
    world.store.read_only = True
    with pytest.raises(Denied):
        world.store.append("events", b"x")


def test_an_unknown_provider_id_is_not_found() -> None:
    with pytest.raises(NotFound):
        empty_world().instances.by_id(ProviderId("sim://nobody/1"))


def test_a_copied_world_goes_the_same_way_as_the_first() -> None:
    world = three_voters()
    twin = world.copied()
    for one in (world, twin):
        one.instances.kill(InstanceName("cp-c"))
        pass_time(one, 60)
    assert twin.etcd.revision == world.etcd.revision
    assert twin.etcd.leader == world.etcd.leader
    assert twin.timeline.draw(0, 1) == world.timeline.draw(0, 1)
