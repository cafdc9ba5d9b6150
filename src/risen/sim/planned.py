"""What steps that are taken by plan may not do, judged on the world's truth: to budgets, volumes, voters, releases,
and to add-ons that run what only some images hold.

The checker asks it before and after each write. It names no engine and proposes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from risen.core.history import Entry, History
from risen.core.names import InstanceName, ReleaseId, image_label, may_hold_etcd
from risen.core.reasons import PLANNED, ROLLING
from risen.core.safety.quorum import quorum_of
from risen.sim.etcd_cluster import Member
from risen.sim.instances import Instance, Power
from risen.sim.truths import Truth
from risen.sim.workloads import Deployment, Kind, PodTruth, healthy
from risen.sim.world import World

PATIENCE_SECONDS = 15.0
"""What is read may be 5 s old (`pools.py`), and a step is carried out within 10 s after it was sent."""
SILENT_SECONDS = 45.0
"""The longest that a kubelet goes without renewing its lease and still ends pods."""


@dataclass(slots=True)
class Planned:
    """Judges the writes of one run against the ledger."""

    world: World
    served: dict[Deployment, int] = field(default_factory=dict)
    """Healthy pods of each app with a budget, before the write that is under way."""
    entries: set[str] = field(default_factory=set)
    """Open ones that were judged."""

    def __post_init__(self) -> None:
        self.entries = {entry.id for entry in self.world.history().open_entries}

    # --- releases -----------------------------------------------------------------------------------------
    def before_launch(self, name: InstanceName) -> None:
        """No revoked release is launched, and of one that has not passed there is one instance, over all pools."""
        history = self.world.history()
        life = history.lives.get(name)
        if life is None or name in self.world.instances.all:
            return
        release = life.birth.release
        if release in history.revoked:
            self.world.violation(Truth.NO_REVOKED_RELEASE, f"launch of {name}: {release} is revoked")
        if not history.settled or has_passed(history, release):
            return
        others = [
            f"{item.name} of {other.birth.release}"
            for item in self.world.instances.all.values()
            if item.power is not Power.OFF
            and (other := history.lives.get(item.name)) is not None
            and not has_passed(history, other.birth.release)
            and other.birth.release not in history.revoked
            and (other.birth.release == release or history.settled_release(other.birth.pool) is not None)
        ]
        if others:
            self.world.violation(
                Truth.ONE_INSTANCE_TRIES,
                f"launch of {name}: {release} has not passed, and there is {', '.join(others)}",
            )

    # --- add-ons ------------------------------------------------------------------------------------------
    def after_apply(self, key: str) -> None:
        """What was applied can run somewhere; at bring-up nothing is there yet."""
        if not self.world.history().settled:
            return
        for app in self._unplaced(leaving=None):
            self.world.violation(
                Truth.IMAGES_KEPT, f"apply of {key}: no instance holds the image of {app.name}"
            )

    def _unplaced(self, leaving: Instance | None) -> list[Deployment]:
        """Apps whose images no instance holds, or only the one that leaves."""
        held = {
            image_label(item.request.image) for item in self.world.instances.all.values() if item != leaving
        }
        unplaced = [app for app in self.world.kubernetes.deployments if app.images and not app.images & held]
        return [
            app for app in unplaced if leaving is None or image_label(leaving.request.image) in app.images
        ]

    # --- one change at a time -----------------------------------------------------------------------------
    def after_record(self) -> None:
        """At most one control-plane instance is being taken by plan, and none where a pod asks to be left alone."""
        history = self.world.history()
        self._judge_opened(history)
        taken = [
            entry.subject
            for entry in history.open_entries
            if entry.reason in ROLLING
            and (item := self.world.instances.all.get(entry.subject)) is not None
            and may_hold_etcd(item.request.role)
        ]
        if len(taken) > 1:
            self.world.violation(
                Truth.ONE_CONTROL_PLANE_CHANGE,
                f"{len(taken)} control-plane instances are taken by plan at once: {taken}",
            )

    def _judge_opened(self, history: History) -> None:
        """Entries that have just been opened by plan."""
        for entry in history.open_entries:
            if entry.id in self.entries:
                continue
            self.entries.add(entry.id)
            pods = self.world.kubernetes.pods.values() if entry.reason in PLANNED else ()
            asking = [pod.name for pod in pods if pod.node == entry.subject and self._asks_to_stay(pod)]
            if asking:
                self.world.violation(
                    Truth.DO_NOT_DISRUPT_KEPT,
                    f"entry {entry.id}, {entry.reason}: {asking} ask not to be disrupted",
                )

    # --- harm ---------------------------------------------------------------------------------------------
    def before_eviction(self, subject: str, past_budgets: bool) -> None:
        """Only pods of what is taken; past budgets only where the user said so and the time is over. `subject` is
        name and uid: an eviction of a pod that is there no more is refused, and harms none of its name."""
        name, _, uid = subject.partition(" ")
        pod = self.world.kubernetes.pods.get(uid)
        if pod is None or not pod.node:
            return
        entry = self._entry(pod.node)
        if entry is None:
            self.world.violation(
                Truth.ENTRY_BEFORE_HARM, f"eviction of {name}: no ledger entry is open for {pod.node}"
            )
        elif past_budgets and not self._may_force(entry):
            self.world.violation(
                Truth.POD_BUDGETS_KEPT, f"{name} is deleted past its budgets, which nobody asked for"
            )
        elif past_budgets and f"{pod.deployment.namespace}/{name}" not in entry.forced:
            self.world.violation(
                Truth.ENTRY_BEFORE_HARM,
                f"{name} is deleted past its budgets, and the ledger does not name it",
            )
        if pod.deployment.kind is Kind.DAEMON_SET:
            self.world.violation(Truth.POD_BUDGETS_KEPT, f"eviction of {name}: it is a daemon's")
        if self._asks_to_stay(pod):
            self.world.violation(
                Truth.DO_NOT_DISRUPT_KEPT, f"eviction of {name}: it asks not to be disrupted"
            )

    def _asks_to_stay(self, pod: PodTruth) -> bool:
        """Whether it has asked for so long that whoever ends it must know. A daemon's is never drained."""
        if not pod.protected or pod.terminating or pod.finished or pod.deployment.kind is Kind.DAEMON_SET:
            return False
        return self.world.timeline.now >= pod.asks_since + PATIENCE_SECONDS

    def _may_force(self, entry: Entry) -> bool:
        disruption = self.world.newest_revision().spec.disruption
        late = self.world.unix() >= entry.opened_unix + disruption.drain_timeout_seconds
        return disruption.on_drain_timeout == "force" and late

    def before_harm(self, operation: str, item: Instance) -> None:
        """An instance that serves is empty, and its volumes are off it, before its power is touched."""
        self.served = self._healthy()
        entry = self._entry(item.name)
        if entry is None or entry.reason not in PLANNED:
            return
        for app in self._unplaced(leaving=item):
            self.world.violation(
                Truth.IMAGES_KEPT, f"{operation} {item.name}: none other holds the image of {app.name}"
            )
        if self._ends_pods(item.name):
            left = [pod.name for pod in self.world.kubernetes.pods.values() if _is_moved(pod, item.name)]
            if left:
                self.world.violation(
                    Truth.EMPTY_BEFORE_POWER_OFF, f"{operation} {item.name}: it still has pods: {left}"
                )
            held = [
                volume for volume, (node, _) in self.world.kubernetes.attachments.items() if node == item.name
            ]
            if held:
                self.world.violation(
                    Truth.EMPTY_BEFORE_POWER_OFF,
                    f"{operation} {item.name}: it still holds the volumes of {held}",
                )
        self._before_voter_goes(operation, item, removed=operation != "provider.destroy")

    def _ends_pods(self, name: InstanceName) -> bool:
        """Whether its kubelet runs and has spoken to the API lately: another ends no pod before its power goes."""
        node = self.world.kubernetes.nodes.get(name)
        spoke = node is not None and self.world.timeline.now - node.lease <= SILENT_SECONDS
        return spoke and self.world.kubelets.serves(name)

    def before_removal(self, member_id: str) -> None:
        """A member that goes by plan leaves the fault tolerance of the wanted size."""
        for item in self.world.instances.all.values():
            if item.member == member_id and self._is_planned(item.name):
                self._before_voter_goes("etcd.remove", item, removed=True)

    def after_harm(self, operation: str, subject: str) -> None:
        """No app is below its budget that was not before."""
        for app, before in self.served.items():
            least, now = app.min_available, healthy(self.world.kubernetes, app)
            if now < least <= before and self._is_planned_id(subject):
                self.world.violation(
                    Truth.POD_BUDGETS_KEPT,
                    f"{operation} {subject}: {app.name} has {now} healthy pods, {before} before, needs {least}",
                )
        self.served = {}

    def _before_voter_goes(self, operation: str, item: Instance, removed: bool) -> None:
        """`removed`: it goes as a member too (or is held up until it has), so the others are fewer.

        One that went down a moment ago counts as up: what was sent before that is no fault. What has been asked to
        power off was judged then, and is held up only for its removal.
        """
        etcd = self.world.etcd
        member = etcd.members.get(item.member)
        if member is None or member.learner or (operation == "etcd.remove" and item.stopping):
            return
        voters = etcd.voters
        up = sum(self._up_lately(voter) for voter in voters)
        left_up = up - (1 if etcd.up(member) else 0)
        left = len(voters) - (1 if removed else 0)
        tolerance = left_up - quorum_of(left)
        pool = self.world.newest_revision().spec.control_plane
        wanted = pool.replicas - quorum_of(pool.replicas)
        if left_up < up and tolerance < wanted:
            self.world.violation(
                Truth.FAULT_TOLERANCE_KEPT,
                f"{operation} {item.name} by plan: {left_up} of {left} voters are left, "
                f"{max(0, tolerance)} may fail then and {wanted} should",
            )

    def _up_lately(self, voter: Member) -> bool:
        etcd = self.world.etcd
        return (
            etcd.up(voter) or etcd.down_at.get(voter.id, -inf) >= self.world.timeline.now - PATIENCE_SECONDS
        )

    # --- what the ledger says -----------------------------------------------------------------------------
    def _entry(self, name: InstanceName) -> Entry | None:
        entries = self.world.history().open_entries
        return next((entry for entry in entries if entry.subject == name), None)

    def _is_planned(self, name: InstanceName) -> bool:
        entry = self._entry(name)
        return entry is not None and entry.reason in PLANNED

    def _is_planned_id(self, subject: str) -> bool:
        return subject.startswith("sim://") and self._is_planned(InstanceName(subject.split("/")[2]))

    def _healthy(self) -> dict[Deployment, int]:
        api = self.world.kubernetes
        return {app: healthy(api, app) for app in api.deployments if app.min_available}


def has_passed(history: History, release: ReleaseId) -> bool:
    """Whether a release may be launched as often as wanted."""
    return release in history.passed or any(one.release == release for one in history.settled)


def _is_moved(pod: PodTruth, node: InstanceName) -> bool:
    return pod.node == node and pod.deployment.kind is not Kind.DAEMON_SET and not pod.finished
