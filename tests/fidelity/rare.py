"""Answers that the simulator can give but that no run of it may come by: each with what provokes it.

The table is what the fidelity check lets reality answer beyond what runs gave, so each line is held to be true
by `test_answerable.py`.
"""

from __future__ import annotations

from dataclasses import replace

from desk import Desk
from fidelity.asked import ADDON, PLAIN, Asked, node_of, pod_of, voters, worker
from fidelity.rare_endpoint import (
    add_beyond_the_last_slot,
    look_at_what_an_earlier_controller_began_to_remove,
    look_at_what_drains,
    look_at_what_drains_and_is_down,
)
from risen.core.names import InstanceName, MemberId, ProviderId
from risen.core.picture import InstanceState
from risen.sim.faces import SimClock
from risen.sim.instances import ADDRESSES

NOBODY = InstanceName("nobody")
OTHER = "uid-of-another"


# --- the provider -------------------------------------------------------------------------------------------
async def launch_otherwise(desk: Desk) -> None:
    await desk.provider.launch(replace(worker(desk).request, user_data=b"other"))


async def launch_on_a_full_host(desk: Desk) -> None:
    desk.world.instances.ever = ADDRESSES
    await PLAIN["provider.launch"](desk)


async def launch_from_a_lost_image(desk: Desk) -> None:
    desk.world.instances.images_lost.add(worker(desk).request.image)
    await PLAIN["provider.launch"](desk)


async def power_on_without_its_image(desk: Desk) -> None:
    desk.world.instances.images_lost.add(worker(desk).request.image)
    await PLAIN["provider.power_on"](desk)


async def look_at_one_stopped(desk: Desk) -> None:
    desk.world.instances.kill(worker(desk).name)
    await desk.provider.get(worker(desk).name)


async def look_at_half_a_launch(desk: Desk) -> None:
    """Whoever launched it has died within it."""
    request = replace(worker(desk).request, instance=NOBODY)
    desk.world.instances.begin_launch(request)
    desk.world.instances.let_go()
    await SimClock(desk.line).sleep(5.0)
    await desk.provider.list()
    await desk.provider.get(NOBODY)


async def lead_where_somebody_leads(desk: Desk) -> None:
    desk.world.store.leader, desk.world.store.holder = 7, "there 7"
    await desk.leadership.try_lead("here 1")


async def ask_who_leads(desk: Desk) -> None:
    await desk.leadership.try_lead("here 1")
    await desk.leadership.leader()


# --- etcd ---------------------------------------------------------------------------------------------------
async def add_what_is_a_member(desk: Desk) -> None:
    desk.etcd.addresses = desk.addresses
    await desk.etcd.add_learner(desk.world.etcd.members[voters(desk)[0]].peer_url)


async def add_beside_a_learner(desk: Desk) -> None:
    desk.etcd.addresses = desk.addresses
    await desk.etcd.add_learner("https://10.0.0.1:2380")
    await desk.etcd.add_learner("https://10.0.0.2:2380")


async def add_while_a_voter_is_down(desk: Desk) -> None:
    desk.etcd.addresses = desk.addresses
    desk.world.instances.kill(desk.world.etcd.name_of(voters(desk)[1]))
    await desk.etcd.add_learner("https://10.0.0.1:2380")


async def promote_what_has_not_started(desk: Desk) -> None:
    desk.etcd.addresses = desk.addresses
    await desk.etcd.promote(await desk.etcd.add_learner("https://10.0.0.1:2380"))


async def remove_one_of_too_few(desk: Desk) -> None:
    desk.etcd.addresses = desk.addresses
    _, follower = voters(desk)
    others = [one for one in desk.world.etcd.voters if one.id not in voters(desk)]
    desk.world.instances.kill(desk.world.etcd.name_of(others[0].id))
    await desk.etcd.remove(follower)


async def ask_with_a_lost_quorum(desk: Desk) -> None:
    """What survives of it says what it still believes."""
    desk.etcd.addresses = desk.addresses
    leader = desk.world.etcd.leader
    for voter in desk.world.etcd.voters:
        if voter.id != leader:
            desk.world.instances.kill(desk.world.etcd.name_of(voter.id))
    await desk.etcd.observe(desk.addresses)
    await desk.etcd.remove(MemberId(leader))


async def observe_while_a_voter_is_down(desk: Desk) -> None:
    desk.world.instances.kill(desk.world.etcd.name_of(voters(desk)[1]))
    await desk.etcd.observe(desk.addresses)


async def observe_a_learner_that_has_not_started(desk: Desk) -> None:
    await PLAIN["etcd.add_learner"](desk)
    await desk.etcd.observe(desk.addresses)


async def observe_a_started_learner_that_is_down(desk: Desk) -> None:
    member = desk.world.etcd.members[voters(desk)[1]]
    member.learner = True
    desk.world.instances.kill(InstanceName(member.name))
    await desk.etcd.observe(desk.addresses)


async def lead_elsewhere_and_observe(desk: Desk) -> None:
    await PLAIN["etcd.move_leader"](desk)
    await desk.etcd.observe(desk.addresses)


async def observe_two_clusters(desk: Desk) -> None:
    desk.world.etcd.strangers.add(worker(desk).address)
    await desk.etcd.observe(desk.addresses)


async def observe_out_of_space(desk: Desk) -> None:
    desk.world.etcd.alarms.add("NOSPACE")
    await desk.etcd.observe(desk.addresses)


async def observe_a_corrupt_member(desk: Desk) -> None:
    desk.world.etcd.alarms.add("CORRUPT")
    await desk.etcd.observe(desk.addresses)


async def move_from_a_follower(desk: Desk) -> None:
    desk.etcd.addresses = desk.addresses
    await desk.etcd.move_leader(*reversed(voters(desk)))


async def move_to_one_that_is_down(desk: Desk) -> None:
    desk.etcd.addresses = desk.addresses
    leader, follower = voters(desk)
    desk.world.instances.kill(desk.world.etcd.name_of(follower))
    await desk.etcd.move_leader(leader, follower)


async def hash_of_a_compacted_revision(desk: Desk) -> None:
    desk.world.etcd.compacted = 2
    await PLAIN["etcd.hash_kv"](desk)


# --- Kubernetes ---------------------------------------------------------------------------------------------
async def apply_what_is_not_served(desk: Desk) -> None:
    desk.world.kubernetes.unserved.add("apps/v1")
    await desk.kubernetes.apply(ADDON)


async def apply_without_its_namespace(desk: Desk) -> None:
    desk.world.kubernetes.unserved.add("kube-system")
    await desk.kubernetes.apply(ADDON)


async def evict_under_two_budgets(desk: Desk) -> None:
    namespace, name, uid = pod_of(desk)
    pod = desk.world.kubernetes.pods[uid]
    pod.deployment = replace(pod.deployment, budgets=2)
    await desk.kubernetes.evict(namespace, name, uid)


async def evict_under_a_budget(desk: Desk) -> None:
    pod = desk.world.kubernetes.pods[pod_of(desk)[2]]
    pod.deployment = replace(pod.deployment, min_available=2)
    await desk.kubernetes.evict(*pod_of(desk))


async def evict_what_is_gone(desk: Desk) -> None:
    await desk.kubernetes.evict("default", "never-there", OTHER)


async def evict_and_look(desk: Desk) -> None:
    await desk.kubernetes.evict(*pod_of(desk), past_budgets=True)
    await SimClock(desk.line).sleep(0.45)
    await desk.kubernetes.observe()


async def free_another_of_that_name(desk: Desk) -> None:
    namespace, name, _ = pod_of(desk)
    await desk.kubernetes.free_pod(namespace, name, OTHER)


async def let_it_be_forgotten(desk: Desk) -> None:
    """A worker that is off, and nobody who repairs."""
    desk.world.instances.kill(worker(desk).name)
    await desk.kubernetes.cordon(*node_of(desk))
    await SimClock(desk.line).sleep(70.0)
    await desk.kubernetes.observe()
    await desk.kubernetes.cordon(*node_of(desk), on=False)
    await SimClock(desk.line).sleep(1.0)
    await desk.kubernetes.observe()


async def cordon_while_it_starts(desk: Desk) -> None:
    """What is called off while its network plugin is not there yet; here after a power-off in order."""
    one, clock = worker(desk), SimClock(desk.line)
    desk.world.kubelets.network_from = desk.world.timeline.now + 300.0
    await desk.provider.press_power_button(one.provider_id)
    while (await desk.provider.get(one.name)).state is not InstanceState.STOPPED:
        await clock.sleep(0.5)
    await desk.provider.power_on(one.provider_id)
    await clock.sleep(30.0)
    await desk.kubernetes.observe()
    await desk.kubernetes.cordon(*node_of(desk))
    await clock.sleep(1.0)
    await desk.kubernetes.observe()


async def cordon_and_look_at_once(desk: Desk) -> None:
    """The cache is a moment old."""
    for on in (True, False):
        await desk.kubernetes.observe()
        desk.world.kubernetes.lag = 1.0
        await desk.kubernetes.cordon(*node_of(desk), on)
        await desk.kubernetes.observe()
        await SimClock(desk.line).sleep(2.0)
        await desk.kubernetes.observe()


# --- the store ----------------------------------------------------------------------------------------------
def in_a_store_that(state: str, ask: str, subject: str = "") -> Asked:
    """A request to a store that is `read_only`, `full` or `locked`, or whose `subject` is `corrupted` or `newer`."""

    async def asking(desk: Desk) -> None:
        store = desk.world.store
        match state:
            case "corrupted":
                store.corrupted.add(subject)
            case "newer":
                store.newer.add(subject)
            case _:
                setattr(store, state, True)
        await PLAIN[ask](desk)

    return asking


async def delete_from_a_full_store(desk: Desk) -> None:
    """It leaves a tombstone."""
    await desk.store.put("x/y", b"1")
    desk.world.store.full = True
    await desk.store.delete("x/y")


async def put_twice(desk: Desk) -> None:
    from risen.interfaces.store import IfAbsent

    for _ in range(2):
        await desk.store.put("x/y", b"1", IfAbsent())


def named_otherwise(method: str) -> Asked:
    """A change of the worker's Node under another uid."""
    arguments = {"patch_node": ({"a": "b"}, ())}.get(method, ())
    return lambda desk: getattr(desk.kubernetes, method)(worker(desk).name, OTHER, *arguments)


def of_no_node(method: str) -> Asked:
    """A change of a Node that is not there."""
    arguments = {"patch_node": ({"a": "b"}, ())}.get(method, ())
    return lambda desk: getattr(desk.kubernetes, method)(NOBODY, OTHER, *arguments)


def of_no_member(method: str) -> Asked:
    """A change of a member that is not there."""

    async def asking(desk: Desk) -> None:
        desk.etcd.addresses = desk.addresses
        await getattr(desk.etcd, method)(MemberId("12345"))

    return asking


RARE: dict[str, Asked] = {
    "provider.launch  Invalid": launch_otherwise,
    "provider.launch  NoCapacity": launch_on_a_full_host,
    "provider.launch  NotFound": launch_from_a_lost_image,
    "provider.power_on  NotFound": power_on_without_its_image,
    "provider.press_power_button  NotFound": lambda desk: desk.provider.press_power_button(
        ProviderId("sim://x/1")
    ),
    "provider.destroy  Invalid": lambda desk: desk.provider.destroy(ProviderId("other://x/1")),
    "provider.console  NotFound": lambda desk: desk.provider.console(NOBODY),
    "provider.get  ok  stopped": look_at_one_stopped,
    "provider.get  ok  gone": lambda desk: desk.provider.get(NOBODY),
    "provider.get  ok  unfinished": look_at_half_a_launch,
    "provider.list  shows  unfinished": look_at_half_a_launch,
    "leadership.try_lead  ok  nothing": lead_where_somebody_leads,
    "leadership.try_lead  Denied": in_a_store_that("read_only", "leadership.try_lead"),
    "leadership.leader  ok  something": ask_who_leads,
    "endpoint.add  NoCapacity": add_beyond_the_last_slot,
    "endpoint.list  order  drain shown": look_at_what_drains,
    "endpoint.list  order  add not shown yet": look_at_what_an_earlier_controller_began_to_remove,
    "endpoint.list  shows  up draining": look_at_what_drains,
    "endpoint.list  shows  down draining": look_at_what_drains_and_is_down,
    "etcd.add_learner  Conflict": add_what_is_a_member,
    "etcd.add_learner  Later  too many learner": add_beside_a_learner,
    "etcd.add_learner  Later  unhealthy cluster": add_while_a_voter_is_down,
    "etcd.promote  Conflict  can only promote a learner": PLAIN["etcd.promote"],
    "etcd.promote  Later  in sync with leader": promote_what_has_not_started,
    "etcd.promote  NotFound": of_no_member("promote"),
    "etcd.remove  NotFound": of_no_member("remove"),
    "etcd.remove  Later  unhealthy cluster": remove_one_of_too_few,
    "etcd.remove  Later  no leader": ask_with_a_lost_quorum,
    "etcd.observe  ok  quorum lost": ask_with_a_lost_quorum,
    "etcd.observe  shows  quorum lost: healthy named voter": ask_with_a_lost_quorum,
    "etcd.observe  shows  quorum lost: unhealthy named voter": ask_with_a_lost_quorum,
    "etcd.observe  shows  unhealthy named voter": observe_while_a_voter_is_down,
    "etcd.observe  shows  unhealthy without a name learner": observe_a_learner_that_has_not_started,
    "etcd.observe  shows  unhealthy named learner": observe_a_started_learner_that_is_down,
    "etcd.observe  order  move_leader shown": lead_elsewhere_and_observe,
    "etcd.observe  Corrupt": observe_two_clusters,
    "etcd.observe  ok  quorum NOSPACE": observe_out_of_space,
    "etcd.observe  ok  quorum CORRUPT": observe_a_corrupt_member,
    "etcd.move_leader  Conflict  not leader": move_from_a_follower,
    "etcd.move_leader  Later  bad leader transferee": move_to_one_that_is_down,
    "etcd.hash_kv  NotFound": hash_of_a_compacted_revision,
    "etcd.hash_kv  Later  future revision": lambda desk: desk.etcd.hash_kv(voters(desk)[0], 10**9),
    "kubernetes.apply  Later  does not serve": apply_what_is_not_served,
    "kubernetes.apply  Later  not there yet": apply_without_its_namespace,
    "kubernetes.apply  Invalid": lambda desk: desk.kubernetes.apply({"kind": "ConfigMap"}),
    "kubernetes.cordon  NotFound": of_no_node("cordon"),
    "kubernetes.patch_node  NotFound": of_no_node("patch_node"),
    "kubernetes.taint_out_of_service  NotFound": of_no_node("taint_out_of_service"),
    "kubernetes.cordon  Conflict": named_otherwise("cordon"),
    "kubernetes.patch_node  Conflict": named_otherwise("patch_node"),
    "kubernetes.taint_out_of_service  Conflict": named_otherwise("taint_out_of_service"),
    "kubernetes.delete_node  Conflict": named_otherwise("delete_node"),
    "kubernetes.evict  Later  more than one PodDisruptionBudget": evict_under_two_budgets,
    "kubernetes.evict  Later  disruption budget": evict_under_a_budget,
    "kubernetes.evict  NotFound": evict_what_is_gone,
    "kubernetes.evict  Conflict": lambda desk: desk.kubernetes.evict(*pod_of(desk)[:2], OTHER),
    "kubernetes.free_pod  Conflict": free_another_of_that_name,
    "kubernetes.release_lease  NotFound": lambda desk: desk.kubernetes.release_lease("never-there", "x"),
    "kubernetes.observe  shows  pod terminating": evict_and_look,
    "kubernetes.observe  shows  node unknown": let_it_be_forgotten,
    "kubernetes.observe  shows  node unknown cordoned": let_it_be_forgotten,
    "kubernetes.observe  shows  node not ready waiting for add-ons": cordon_while_it_starts,
    "kubernetes.observe  shows  node not ready waiting for add-ons cordoned": cordon_while_it_starts,
    "kubernetes.observe  order  cordon not shown yet": cordon_and_look_at_once,
    "kubernetes.observe  order  uncordon not shown yet": cordon_and_look_at_once,
    "kubernetes.observe  order  uncordon shown": cordon_and_look_at_once,
    "store.get  ok  nothing": lambda desk: desk.store.get("x/nothing"),
    "store.get  Invalid": lambda desk: desk.store.get("UPPER"),
    "store.put  Invalid": lambda desk: desk.store.put("a//b", b""),
    "store.put  Conflict": put_twice,
    "store.get  Corrupt": in_a_store_that("corrupted", "store.get", "cluster"),
    "store.put  Corrupt": in_a_store_that("corrupted", "store.put", "x/y"),
    "store.read  Corrupt": in_a_store_that("corrupted", "store.read", "events"),
    "store.append  Corrupt": in_a_store_that("corrupted", "store.append", "other"),
    "store.get  TooNew": in_a_store_that("newer", "store.get", "cluster"),
    "store.put  TooNew": in_a_store_that("newer", "store.put", "x/y"),
    "store.delete  TooNew": in_a_store_that("newer", "store.delete", "x/y"),
    "store.put  Denied": in_a_store_that("read_only", "store.put"),
    "store.append  Denied": in_a_store_that("read_only", "store.append"),
    "store.delete  Denied": in_a_store_that("read_only", "store.delete"),
    "store.put  NoCapacity": in_a_store_that("full", "store.put"),
    "store.append  NoCapacity": in_a_store_that("full", "store.append"),
    "store.delete  NoCapacity": delete_from_a_full_store,
    "store.put  Later": in_a_store_that("locked", "store.put"),
    "store.append  Later": in_a_store_that("locked", "store.append"),
}
"""Kind of answer (as `Answer` prints it) → what provokes it at a standing cluster of three and one."""
