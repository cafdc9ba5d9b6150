"""What runs on instances: apiservers and kubelets, what they say to the API, and what they make of pods.

How an image goes wrong (`images.py`) shows here and at its boot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from risen.core.names import InstanceName
from risen.sim.images import LIVES_SECONDS, SOON_DEAD, Behaviour
from risen.sim.kubernetes_api import NodeTruth
from risen.sim.workloads import Kind, PodTruth

if TYPE_CHECKING:
    from risen.sim.instances import Instance
    from risen.sim.world import World

LEASE_SECONDS = 10.0
LOOK_SECONDS = 0.5
AGAIN_SECONDS = (2.0, 8.0)
"""A pull, or a container that crashed, is tried again after so long."""
JOB_SECONDS = (2.0, 20.0)
"""What the work of a Job's pod takes."""


@dataclass(slots=True)
class Kubelets:
    """All of them; each names its instance and boot, so that what an earlier boot planned is void."""

    world: World
    network_from: float = 0.0
    """Until then no network plugin comes up on a Node that has none yet."""
    pulls_from: float = 0.0
    """Until then no image comes from any registry, to no instance."""
    unpulled: set[str] = field(default_factory=set)
    """Apps whose image is in no registry."""
    broken: set[str] = field(default_factory=set)
    """Apps that crash wherever they run."""

    def serves(self, name: InstanceName) -> bool:
        """Whether the kubelet of an instance runs."""
        item = self.world.instances.all.get(name)
        return item is not None and item.power.value == "running" and item.kubelet

    def start_apiserver(self, name: str, boot: int) -> None:
        """It comes up once its own etcd member votes and there is a leader."""
        item = self.world.instances.alive(name, boot)
        if item is None or item.stopping or item.behaviour is Behaviour.NO_APISERVER:
            return
        line, etcd = self.world.timeline, self.world.etcd
        member = etcd.members.get(item.member)
        if member is None or member.learner or not etcd.up(member) or not etcd.works():
            line.after(LOOK_SECONDS, self.start_apiserver, name, boot)
            return
        line.after(line.draw(0.5, 2.5), self.apiserver_ready, name, boot)

    def apiserver_ready(self, name: str, boot: int) -> None:
        """/readyz says ok from here on, as long as etcd works."""
        item = self.world.instances.alive(name, boot)
        if item is not None and not item.stopping:
            item.apiserver = True
            self.world.endpoint.look_soon()

    def start_kubelet(self, name: str, boot: int) -> None:
        """Register the Node, or renew its lease; again and again."""
        item = self.world.instances.alive(name, boot)
        if item is None or item.cluster is None or item.behaviour is Behaviour.NO_KUBELET:
            return
        line, api = self.world.timeline, self.world.kubernetes
        if not api.reachable_from(name):
            line.after(1.0, self.start_kubelet, name, boot)
            return
        item.kubelet = True
        node = api.nodes.get(item.name)
        if node is None:
            node = NodeTruth(item.name, api.uid(), item.provider_id, line.now)
            api.nodes[item.name] = node
            api.wrote()
        node.lease = line.now
        for pod in api.pods.values():
            if pod.node == node.name:
                say = self.pod_ended if pod.terminating else self.pod_started
                line.after(line.draw(0.3, 1.2), say, pod.uid)
        if node.ready:
            self._goes_on(item)
        line.after(line.draw(0.5, 2.0), self.become_ready, name, boot)
        line.after(LEASE_SECONDS, self.renew_lease, name, boot)

    def renew_lease(self, name: str, boot: int) -> None:
        """A kubelet whose Node was deleted under it does not create it again."""
        item = self.world.instances.alive(name, boot)
        if item is None or not item.kubelet:
            return
        api = self.world.kubernetes
        node = api.nodes.get(item.name)
        if node is not None and api.reachable_from(name):
            node.lease = self.world.timeline.now
            if node.ready is None:
                self.become_ready(name, boot)
        self.world.timeline.after(LEASE_SECONDS, self.renew_lease, name, boot)

    def become_ready(self, name: str, boot: int) -> None:
        """Ready as soon as the network's add-ons are there and its plugin is up."""
        item, api = self.world.instances.alive(name, boot), self.world.kubernetes
        node = api.nodes.get(InstanceName(name))
        if item is None or node is None or node.ready or not item.kubelet:
            return
        lacking = any(key not in api.addons for key in self.world.network_addons)
        node.waiting_for_addons = lacking or self.world.timeline.now < self.network_from
        if node.waiting_for_addons or not api.reachable_from(name):
            self.world.timeline.after(LOOK_SECONDS, self.become_ready, name, boot)
            return
        if item.behaviour is Behaviour.NEVER_READY:
            return
        node.set_ready(True, self.world.timeline.now)
        for pod in api.pods.values():
            if pod.node == node.name and not pod.failing and not pod.finished:
                self.pod_started(pod.uid)
        self._goes_on(item)

    def _goes_on(self, item: Instance) -> None:
        """It serves; not for long where its image is so."""
        line = self.world.timeline
        if item.behaviour in SOON_DEAD:
            line.after(line.draw(*LIVES_SECONDS), self.die, item.name, item.boot)
        elif item.behaviour is Behaviour.PROXY_DIES:
            line.after(line.draw(*LIVES_SECONDS), self.lose_proxy, item.name, item.boot)

    def lose_proxy(self, name: str, boot: int) -> None:
        """kube-proxy ends and nobody starts it."""
        item = self.world.instances.alive(name, boot)
        if item is not None:
            item.proxy = False

    def answers(self, name: InstanceName, program: str) -> bool:
        """Whether a program of an instance answers at its port."""
        item = self.world.instances.all.get(name)
        if item is None or item.power.value != "running" or item.stopping or not item.joined:
            return False
        match program:
            case "kubelet":
                return item.kubelet
            case "kube-proxy":
                return item.proxy
            case "kube-scheduler":
                return item.behaviour is not Behaviour.NO_SCHEDULER
            case _:
                return True

    def die(self, name: str, boot: int) -> None:
        """The kubelet ends and nobody starts it, or the kernel panics."""
        item = self.world.instances.alive(name, boot)
        if item is None:
            return
        item.kubelet = False
        if item.behaviour is Behaviour.PANICS_IN_SOAK:
            self.world.instances.kill(name)

    # --- pods ---------------------------------------------------------------------------------------------
    def _heard(self, pod: PodTruth, say: Callable[[str], None]) -> bool:
        """Whether a pod's kubelet runs and an API server hears it; one that is not heard says it again later."""
        if not self.serves(pod.node):
            return False
        heard = self.world.kubernetes.reachable_from(pod.node)
        if not heard:
            self.world.timeline.after(LOOK_SECONDS, say, pod.uid)
        return heard

    def pod_started(self, uid: str) -> None:
        """Ready, if the kubelet runs, its volume has come, its image can be had, and it does not crash."""
        api, line = self.world.kubernetes, self.world.timeline
        pod = api.pods.get(uid)
        if pod is None or pod.ready or pod.finished or not self._heard(pod, self.pod_started):
            return
        if pod.deployment.kind is Kind.STATEFUL_SET and not self._has_volume(pod):
            line.after(LOOK_SECONDS, self.pod_started, uid)
            return
        item = self.world.instances.all[pod.node]
        if self._lacks_image(pod):
            pod.failing = "ImagePullBackOff"
            line.after(line.draw(*AGAIN_SECONDS), self.pod_started, uid)
        elif pod.deployment.name in self.broken:
            pod.failing = "CrashLoopBackOff"
            line.after(line.draw(*AGAIN_SECONDS), self.pod_started, uid)
        elif item.behaviour is Behaviour.PODS_FAIL and pod.deployment.kind is not Kind.DAEMON_SET:
            pod.failing = "CrashLoopBackOff"
        elif item.behaviour is Behaviour.PODS_NEVER_READY and pod.deployment.kind is not Kind.DAEMON_SET:
            return
        else:
            pod.set_ready(line.now)
            api.wrote()
            if pod.deployment.kind is Kind.JOB:
                line.after(line.draw(*JOB_SECONDS), self.pod_finished, uid)
            if item.behaviour is Behaviour.DIES_UNDER_LOAD and pod.deployment.kind is not Kind.DAEMON_SET:
                line.after(line.draw(*LIVES_SECONDS), self.die, item.name, item.boot)

    def _lacks_image(self, pod: PodTruth) -> bool:
        app = pod.deployment
        away = self.world.timeline.now < self.pulls_from and app.namespace != "kube-system"
        return away or app.name in self.unpulled

    def pod_finished(self, uid: str) -> None:
        """A Job's pod has done its work, where a kubelet runs to see it; said once an API server hears it."""
        pod = self.world.kubernetes.pods.get(uid)
        if pod is not None and not pod.terminating and self._heard(pod, self.pod_finished):
            pod.finish(self.world.timeline.now)
            self.world.kubernetes.wrote()

    def break_app(self, name: str) -> None:
        """An app crashes from here on, wherever its pods are."""
        self.broken.add(name)
        line = self.world.timeline
        for pod in self.world.kubernetes.pods.values():
            if pod.deployment.name == name:
                pod.set_unready(line.now)
                pod.failing = "CrashLoopBackOff"
                line.after(line.draw(*AGAIN_SECONDS), self.pod_started, pod.uid)

    def _has_volume(self, pod: PodTruth) -> bool:
        """One node at a time holds it: it comes once the other has let it go."""
        attachments = self.world.kubernetes.attachments
        holder, _ = attachments.setdefault(pod.name, (pod.node, None))
        return holder == pod.node

    def pod_ended(self, uid: str) -> None:
        """A pod that was told to end has ended; where no kubelet runs nobody says so, elsewhere as soon as heard."""
        pod = self.world.kubernetes.pods.get(uid)
        if pod is not None and self._heard(pod, self.pod_ended):
            self.world.kubernetes.forget_pod(uid)
