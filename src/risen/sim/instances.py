"""The truth about instances: what the provider has, what runs, what lies on their disks. Knows no engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from risen.core.names import ClusterUid, ImageDigest, InstanceName, ProviderId, Role, may_hold_etcd
from risen.core.picture import InstanceSeen, InstanceState, ProviderSeen
from risen.interfaces.errors import Invalid, Later, NoCapacity, NotFound
from risen.interfaces.provider import LaunchRequest
from risen.sim.images import Behaviour
from risen.sim.lying import Lying

if TYPE_CHECKING:
    from risen.sim.world import World

JOIN_AGAIN_SECONDS = 0.5
ETCD_HELD_SECONDS = 20.0
"""How long an instance that is asked to power off holds etcd up for its member to be removed: `hold-etcd`."""
ADDRESSES = 240


class Power(StrEnum):
    """What the instance's hardware does."""

    HALF_MADE = "half made"
    """It has a disk and was never started."""
    OFF = "off"
    BOOTING = "booting"
    RUNNING = "running"


NOT_ON = (Power.HALF_MADE, Power.OFF)


@dataclass(slots=True)
class Instance:
    """One instance with its disk. Events carry `boot`: those of an earlier boot are void."""

    request: LaunchRequest
    provider_id: ProviderId
    cluster: ClusterUid | None
    address: str
    host_boot: str
    listed_from: float
    """Before this moment the provider's list lacks it."""
    known_from: float
    """Before this moment the provider says UNKNOWN."""
    power: Power = Power.HALF_MADE
    held: bool = False
    """Somebody is starting or ending it."""
    boot: int = 0
    stopped_at: float | None = None
    stopping: bool = False
    joined: str = ""
    """On its disk: empty, `new`, `existing` or `worker`."""
    condemned: str = ""
    member: str = ""
    """The etcd member whose data lies on its disk."""
    etcd_since: float | None = None
    apiserver: bool = False
    mute: bool = False
    behaviour: Behaviour = Behaviour.GOOD
    kubelet: bool = False
    proxy: bool = True
    """Its kube-proxy runs, where its kubelet does."""
    pressed_at: float | None = None
    """Since when it has been asked to power off; None once it is off."""
    console: list[str] = field(default_factory=list)

    @property
    def name(self) -> InstanceName:
        """Its name."""
        return self.request.instance

    @property
    def holds_etcd(self) -> bool:
        """Whether it may hold etcd data."""
        return may_hold_etcd(self.request.role)

    @property
    def peer_url(self) -> str:
        """Where its etcd member listens for the others."""
        return f"https://{self.address}:2380"


@dataclass(slots=True)
class Instances:
    """All instances by name; what is destroyed is not here any more."""

    world: World
    all: dict[InstanceName, Instance] = field(default_factory=dict)
    ever: int = 0
    never_joins: int = 0
    """The instance of this number, counted from 1, boots and then says nothing; 0 for none."""
    lying: Lying = field(default_factory=Lying)
    host_boot: str = "host-boot-1"
    storm_until: float = 0.0
    """When the last planned bad luck befalls, virtual seconds: nothing has arrived before that."""
    struck: set[InstanceName] = field(default_factory=set)
    """By a storm, each by itself."""
    images_lost: set[ImageDigest] = field(default_factory=set)
    """Pruned, or their disk is gone: nothing is launched from them or powered on."""
    console_of_gone: dict[InstanceName, tuple[str, ...]] = field(default_factory=dict)

    # --- what the provider offers -------------------------------------------------------------------------
    def launch(self, request: LaunchRequest) -> ProviderId:
        """Idempotent by name. Raises Invalid for another request of that name, NoCapacity, NotFound (image)."""
        self.begin_launch(request)
        instance = self.all[request.instance]
        if instance.power is Power.HALF_MADE:
            self._boot(instance)
        return instance.provider_id

    def begin_launch(self, request: LaunchRequest) -> None:
        """The first half of a launch: a disk, and nothing started. Raises what `launch` raises."""
        there = self.all.get(request.instance)
        if there is not None:
            if there.request != request:
                raise Invalid(f"{request.instance} was launched from another request")
            there.held = there.held or there.power is Power.HALF_MADE
            return
        if self.ever >= ADDRESSES:
            raise NoCapacity("no address is free")
        if request.image in self.images_lost:
            raise NotFound(f"no image {request.image}")
        line = self.world.timeline
        self.lying.refuse_if_full(line)
        self.ever += 1
        listed = line.now + (line.draw(0.0, 2.0) if line.chance(0.3) else 0.0)
        self.all[request.instance] = Instance(
            request, ProviderId(f"sim://{request.instance}/{self.ever}"), request.cluster,
            f"10.77.0.{9 + self.ever}", self.host_boot, listed,
            listed + (line.draw(0.0, 1.0) if line.chance(0.3) else 0.0),
            held=True, mute=self.ever == self.never_joins or self.lying.hangs(line),
            behaviour=self.world.images.get(request.image, Behaviour.GOOD),
        )  # fmt: skip

    def let_go(self) -> None:
        """Whoever was starting or ending instances has died: their locks with them."""
        for item in self.all.values():
            item.held = False

    def add_foreign(self, name: str) -> None:
        """Put an instance of somebody else beside ours."""
        self.ever += 1
        request = LaunchRequest(
            InstanceName(name),
            ClusterUid("foreign"),
            self.world.any_pool,
            Role.WORKER,
            self.world.any_image,
            b"",
        )
        self.all[request.instance] = Instance(
            request, ProviderId(f"sim://{name}/{self.ever}"), None, f"10.77.0.{9 + self.ever}",
            self.host_boot, 0.0, 0.0, Power.RUNNING,
        )  # fmt: skip

    def list(self) -> ProviderSeen:
        """Everything listed by now, foreign ones too."""
        line = self.world.timeline
        listed = tuple(self._seen(item) for item in self.all.values() if item.listed_from <= line.now)
        return ProviderSeen(self.lying.lists(line, listed), self.host_boot)

    def whole(self) -> ProviderSeen:
        """Everything there is, listed yet or not: for the checker alone."""
        return ProviderSeen(tuple(self._seen(item) for item in self.all.values()), self.host_boot)

    def get(self, name: InstanceName) -> InstanceSeen:
        """One instance; GONE when there is none.

        Of what is gone a provider may know no id, or, as the local one does, make one up from the name.
        """
        there = self.all.get(name)
        if there is not None:
            return self._seen(there)
        made_up = f"sim://none/{name}" if sum(name.encode()) % 2 else ""
        return InstanceSeen(name, ProviderId(made_up), self.world.uid, InstanceState.GONE)

    def _seen(self, item: Instance) -> InstanceSeen:
        state = {
            Power.HALF_MADE: InstanceState.UNFINISHED,
            Power.OFF: InstanceState.STOPPED,
            Power.BOOTING: InstanceState.STARTING,
            Power.RUNNING: InstanceState.RUNNING,
        }[item.power]
        if item.held:
            state = InstanceState.STARTING
        if self.world.timeline.now < item.known_from:
            state = InstanceState.UNKNOWN
        return InstanceSeen(
            item.name, item.provider_id, item.cluster, state, item.address, item.host_boot, item.stopped_at,
            item.pressed_at,
        )  # fmt: skip

    def by_id(self, provider_id: ProviderId) -> Instance:
        """Raises NotFound, Invalid for an id of another provider or cluster."""
        if not provider_id.startswith("sim://"):
            raise Invalid(f"{provider_id} is no id of this cluster's")
        for item in self.all.values():
            if item.provider_id == provider_id:
                return item
        raise NotFound(f"no instance {provider_id}")

    def begin_destroy(self, provider_id: ProviderId) -> None:
        """The first half of its end: it is off, its disk is there still. Raises NotFound."""
        item = self.by_id(provider_id)
        self._stop(item)
        item.held = True

    def destroy(self, provider_id: ProviderId) -> None:
        """End it and its disk. Raises NotFound."""
        item = self.by_id(provider_id)
        self._stop(item)
        del self.all[item.name]
        self.console_of_gone[item.name] = tuple(item.console)

    def press_power_button(self, provider_id: ProviderId) -> None:
        """Ask it to go down in order: a control-plane instance holds etcd up for a bounded time. Raises Later."""
        item = self.by_id(provider_id)
        if item.power is Power.HALF_MADE:
            raise Later(f"{item.name} has not been started yet", after_seconds=1.0)
        if item.power is Power.OFF or item.stopping:
            return
        line, api = self.world.timeline, self.world.kubernetes
        node = api.nodes.get(item.name)
        if node is not None and item.kubelet and api.reachable_from(item.name):
            node.set_ready(False, line.now)  # the kubelet's own last word: it is shutting down
        item.stopping, item.pressed_at, item.kubelet = True, line.now, False
        for pod in api.pods.values():
            if pod.node == item.name:
                pod.set_unready(line.now)
        held = item.member in self.world.etcd.members and len(self.world.etcd.members) > 1
        deadline = line.now + (ETCD_HELD_SECONDS if held else 0.0)
        line.after(line.draw(0.5, 2.0), self.go_down, item.name, item.boot, deadline)

    def power_on(self, provider_id: ProviderId) -> None:
        """Start it from its disk; nothing to do when it runs. Raises NotFound."""
        item = self.by_id(provider_id)
        if item.request.image in self.images_lost:
            raise NotFound(f"no image {item.request.image}: bake it again")
        if item.power in NOT_ON:
            item.host_boot = self.host_boot
            self._boot(item)

    # --- what happens by itself ---------------------------------------------------------------------------
    def _boot(self, item: Instance) -> None:
        line = self.world.timeline
        item.power, item.stopped_at, item.stopping, item.held = Power.BOOTING, None, False, False
        item.proxy = True
        item.boot += 1
        line.after(line.draw(0.8, 2.5), self.booted, item.name, item.boot)

    def alive(self, name: str, boot: int) -> Instance | None:
        """The instance, if it still lives this boot."""
        item = self.all.get(InstanceName(name))
        return item if item is not None and item.boot == boot and item.power not in NOT_ON else None

    def booted(self, name: str, boot: int) -> None:
        """systemd is up: join, or go on from the disk."""
        item = self.alive(name, boot)
        if item is None:
            return
        item.power = Power.RUNNING
        if item.behaviour is Behaviour.BAD_BOOT:
            return
        item.console.append("systemd reached its target")
        if item.joined:
            self._start_services(item)
        elif not item.mute:
            self.try_join(name, boot)

    def try_join(self, name: str, boot: int) -> None:
        """Ask the join service; ask again while it says later."""
        item = self.alive(name, boot)
        if item is None or item.condemned or item.stopping or item.behaviour is Behaviour.BAD_JOIN:
            return
        item.joined = self.world.join_answer(item)
        if item.joined:
            item.console.append(f"joined: {item.joined}")
            self._start_services(item)
        elif not item.condemned:
            self.world.timeline.after(JOIN_AGAIN_SECONDS, self.try_join, name, boot)

    def _start_services(self, item: Instance) -> None:
        line = self.world.timeline
        if item.holds_etcd:
            line.after(line.draw(0.2, 1.0), self.world.etcd.start, item.name, item.boot)
            line.after(line.draw(1.0, 2.0), self.world.kubelets.start_apiserver, item.name, item.boot)
        line.after(line.draw(0.5, 1.5), self.world.kubelets.start_kubelet, item.name, item.boot)

    def go_down(self, name: str, boot: int, deadline: float) -> None:
        """One look of an instance that is asked to power off: apiserver first, etcd held until removed."""
        item = self.alive(name, boot)
        if item is None:
            return
        line = self.world.timeline
        if item.apiserver:
            item.apiserver = False
            self.world.etcd.endpoint_leases.pop(item.address, None)  # it takes its own away in order
            self.world.endpoint.look_soon()
        if item.member in self.world.etcd.members and line.now < deadline:
            line.after(0.5, self.go_down, name, boot, deadline)
            return
        self._stop(item)

    def _stop(self, item: Instance) -> None:
        if item.power in NOT_ON:
            return
        item.power, item.stopped_at, item.stopping = Power.OFF, self.world.timeline.now, False
        item.apiserver, item.etcd_since, item.kubelet, item.pressed_at = False, None, False, None
        self.world.etcd.member_down(item.member)
        self.world.endpoint.look_soon()

    # --- what befalls it ----------------------------------------------------------------------------------
    def kill(self, name: str) -> None:
        """Its init ends: it is off, its disk lives, and nothing tells when that was."""
        item = self.all[InstanceName(name)]
        self._stop(item)
        item.stopped_at = None

    def hang(self, name: str) -> None:
        """Its etcd stands still, and so does its apiserver; all else of it runs."""
        item = self.all[InstanceName(name)]
        item.apiserver, item.etcd_since = False, None
        self.world.etcd.member_down(item.member)
        self.world.endpoint.look_soon()

    def silence(self, name: str) -> None:
        """Its kubelet dies; all else of it runs."""
        self.all[InstanceName(name)].kubelet = False

    def lose(self, name: str) -> None:
        """It is gone with its disk."""
        item = self.all[InstanceName(name)]
        self.world.etcd.disk_lost(item.member)
        self.destroy(item.provider_id)

    def power_cut(self) -> None:
        """The host reboots: everything is off, all disks live, its boot id is another."""
        self.host_boot = f"host-boot-{int(self.host_boot.rsplit('-', 1)[1]) + 1}"
        for item in self.all.values():
            self._stop(item)

    def storm(self) -> None:
        """Plan some bad luck for the next minute: at most one disk, and that only while every voter runs.

        A disk that goes in the second in which we end another instance's, checked as safe before, is lost data
        that no order of steps prevents.
        """
        line = self.world.timeline
        for _ in range(line.random.randint(1, 4)):
            self._in_the_storm(self.strike, "kill")
        self._in_the_storm(self.strike, "lose")
        if line.chance(0.3):
            self._in_the_storm(self.power_cut)

    def _in_the_storm(self, luck: Callable[..., None], *how: str) -> None:
        """Within the next minute."""
        line = self.world.timeline
        delay = line.draw(0.0, 60.0)
        self.storm_until = max(self.storm_until, line.now + delay)
        line.after(delay, luck, *how)

    def strike(self, how: str) -> None:
        """One instance of ours, drawn at the moment of those that were ever started."""
        ours = [
            item.name
            for item in self.all.values()
            if item.cluster == self.world.uid and item.power is not Power.HALF_MADE
        ]
        if not ours:
            return
        name = self.world.timeline.random.choice(ours)
        self.struck.add(name)
        if how == "kill" or not self.world.etcd.may_lose(self.all[name].member):
            self.kill(name)
        else:
            self.lose(name)
