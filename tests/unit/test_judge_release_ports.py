"""What a program that does not answer at its port says of a release, and whose ports are asked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from trial_world import NEW, passed, revoked, tried

from builders import CP, NOW, Cluster, W
from risen.core.history import Revoked
from risen.core.judge.release_ports import beside, on_trial
from risen.core.names import InstanceName
from risen.core.picture import PortSeen, Seen
from risen.core.ports import Door
from risen.core.spec import Networking
from risen.core.step import OpenEntry
from risen.engine.observe import Eyes
from risen.interfaces.errors import Unreachable

PROXY, SCHEDULER = ("w-x", "kube-proxy"), "kube-scheduler"


def halted(cluster: Cluster) -> str:
    return cluster.blocked().get("halted", "")


def awaited(cluster: Cluster) -> list[str]:
    return [one.for_what for one in cluster.plan().waiting]


def tried_control_plane() -> Cluster:
    """A control-plane release that `cp-x` tries; all of it looks well."""
    cluster = Cluster.standing(3, 2).apply(CP)
    cluster.serve("cp-x", ready_at_unix=NOW.unix - 100, launched_at_unix=NOW.unix - 160).of_release("cp-x")
    cluster.nodes["cp-x"] = replace(cluster.nodes["cp-x"], lease_renewed_unix=NOW.unix)
    return cluster


# --- the verdict -------------------------------------------------------------------------------------------
def test_a_program_that_is_silent_though_others_of_its_kind_answer_speaks_against_its_release() -> None:
    cluster = tried(ready_ago=100)
    cluster.silent[PROXY] = 31.0
    assert revoked(cluster) == ["w-x: its kube-proxy does not answer at port 10256, for 31 s by now"]
    control_plane = tried_control_plane()
    assert passed(control_plane) == ["cp-x served for 10 s without load"]
    control_plane.silent["cp-x", SCHEDULER] = 60.0
    assert revoked(control_plane) == [
        "cp-x: its kube-scheduler does not answer at port 10259, for 60 s by now"
    ]


def test_it_is_given_a_while_after_its_soak_and_after_it_fell_silent() -> None:
    for ready_ago, silent_for in ((39.0, 39.0), (100.0, 29.0)):
        cluster = tried(ready_ago=ready_ago)
        cluster.silent[PROXY] = silent_for
        assert (revoked(cluster), passed(cluster)) == ([], [])
        assert awaited(cluster) == ["w-x's kube-proxy to answer at port 10256"]


def test_the_soak_counts_from_when_all_of_them_answered() -> None:
    cluster = tried(ready_ago=100)
    cluster.answer_since = NOW.boot - 9.0
    assert passed(cluster) == []
    cluster.answer_since = NOW.boot - 10.0
    assert passed(cluster) == ["w-x served for 10 s without load"]


def test_what_is_silent_on_others_as_well_is_no_fault_of_a_release() -> None:
    cluster = tried(ready_ago=100)
    cluster.silent |= {(name, "kube-proxy"): 60.0 for name in cluster.instances}
    assert revoked(cluster) == []
    assert "no kube-proxy answers at port 10256: the trouble may not be w-x's own" in halted(cluster)


def test_a_port_that_cannot_be_asked_neither_passes_nor_speaks_against_a_release() -> None:
    cluster = tried(ready_ago=100)
    cluster.unseen["ports"] = "Unreachable: addresses of instances are not known"
    assert (revoked(cluster), passed(cluster)) == ([], [])
    assert "the ports of w-x cannot be asked" in halted(cluster)


def test_what_was_not_asked_yet_is_waited_for() -> None:
    cluster = tried()
    cluster.instances["w-x"] = replace(cluster.instances["w-x"], address="")
    picture = replace(cluster.picture(), ports=Seen((), NOW.boot))
    cluster.picture = lambda: picture  # type: ignore[method-assign]
    assert passed(cluster) == []
    assert awaited(cluster) == ["the ports of w-x to be asked"]


def test_without_kube_proxy_none_is_asked_for() -> None:
    cluster = tried(ready_ago=100)
    networking = Networking(cni="cilium", kube_proxy=False)
    cluster.revision = replace(cluster.revision, spec=replace(cluster.revision.spec, networking=networking))
    cluster.silent[PROXY] = 60.0
    assert passed(cluster) == ["w-x served for 10 s without load"]


def test_no_place_is_taken_for_it_while_a_port_is_silent() -> None:
    cluster = Cluster.standing(3, 1).apply(W)
    cluster.serve("w-x", ready_at_unix=NOW.unix - 15).of_release("w-x")
    assert [step.subject for step in cluster.steps(OpenEntry)] == ["w-a"]  # type: ignore[attr-defined]
    cluster.silent[PROXY] = 1.0
    assert cluster.steps(OpenEntry) == []


def test_in_a_pool_of_one_the_other_role_tells_whether_it_is_its_own_fault() -> None:
    cluster = Cluster.standing(3, 1).apply(W)
    cluster.serve("w-x", ready_at_unix=NOW.unix - 100, launched_at_unix=NOW.unix - 120).of_release("w-x")
    cluster.bury("w-a")
    cluster.lives.pop("w-a")
    asked = beside(cluster.history(), on_trial(cluster.history()))
    assert [life.birth.instance for life in asked] == ["cp-a", "cp-b", "cp-c"]
    cluster.silent[PROXY] = 31.0
    assert revoked(cluster) == ["w-x: its kube-proxy does not answer at port 10256, for 31 s by now"]


# --- whom to ask -------------------------------------------------------------------------------------------
def test_only_who_tries_a_release_is_asked_and_of_others_a_few_of_its_role() -> None:
    cluster = tried()
    (first,) = tried_by = on_trial(cluster.history())
    assert first.birth.instance == "w-x"
    assert [life.birth.instance for life in beside(cluster.history(), tried_by)] == ["w-a", "cp-a", "cp-b"]
    many = Cluster.standing(3, 8).apply(W)
    many.serve("w-x").of_release("w-x")
    assert len(beside(many.history(), on_trial(many.history()))) == 3
    cluster.revoked[NEW] = Revoked(NEW, W, 2, ("bad",), 1.0)
    assert on_trial(cluster.history()) == (), "it is judged"
    assert on_trial(Cluster.standing().history()) == (), "nothing stood before: nothing is tried"


@dataclass
class World:
    """A provider and ports whose answers a test sets, and a clock."""

    cluster: Cluster
    silent: set[tuple[str, str]] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    now: float = 1.0

    @property
    def ports(self) -> World:
        return self

    @property
    def clock(self) -> World:
        return self

    def boot(self) -> float:
        return self.now

    async def ask(self, doors: tuple[Door, ...]) -> tuple[bool, ...]:
        self.asked += [f"{door.instance}:{door.port}" for door in doors]
        return tuple((door.instance, door.program) not in self.silent for door in doors)


async def seen_by(eyes: Eyes, world: World) -> dict[tuple[str, str], PortSeen]:
    world.asked.clear()
    provider = world.cluster.picture().provider
    seen = await eyes._ports(provider, world.cluster.history())
    return {(port.instance, port.program): port for port in seen}


async def test_others_are_asked_only_while_one_is_silent_and_it_is_remembered_since_when() -> None:
    world = World(tried())
    eyes = Eyes(world)  # type: ignore[arg-type]
    first = await seen_by(eyes, world)
    assert world.asked == ["w-x:10250", "w-x:10256"]
    assert first[PROXY] == PortSeen(InstanceName("w-x"), "kube-proxy", 10256, True, 0.0)

    world.now, world.silent = 2.0, {PROXY}
    fell = await seen_by(eyes, world)
    assert world.asked[:4] == ["w-x:10250", "w-x:10256", "w-a:10250", "w-a:10256"]
    assert (fell[PROXY].answers, fell[PROXY].since, fell["w-a", "kube-proxy"].answers) == (False, 2.0, True)
    world.now = 3.0
    assert (await seen_by(eyes, world))[PROXY].since == 2.0

    world.now, world.silent = 4.0, set()
    back = (await seen_by(eyes, world))[PROXY]
    assert (back.answers, back.since) == (True, 4.0)


async def test_ports_of_instances_whose_addresses_are_not_known_are_unseen() -> None:
    world = World(tried())
    world.cluster.unseen["provider"] = "Unreachable: away"
    eyes = Eyes(world)  # type: ignore[arg-type]
    try:
        await seen_by(eyes, world)
    except Unreachable as error:
        assert "addresses of instances are not known" in str(error)
    else:
        raise AssertionError("it was seen")


async def test_who_does_not_run_is_not_asked() -> None:
    world = World(tried())
    world.cluster.stop("w-x")
    assert await seen_by(Eyes(world), world) == {}  # type: ignore[arg-type]
