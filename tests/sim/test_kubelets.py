"""What a simulated kubelet does with the pods of its node."""

from __future__ import annotations

from risen.sim.harness import brought_up
from risen.sim.rolling import victim
from risen.sim.scenario import Happening, Scenario
from risen.sim.timeline import WorldTimeline


def pass_by(line: WorldTimeline, seconds: float) -> None:
    """Let everything happen that is due, with no controller."""
    until = line.now + seconds
    while (due := line.next_at()) is not None and due <= until:
        line.now = due
        line.fire_until(due)
    line.now = until


def test_a_pod_whose_node_dies_while_it_ends_has_ended_once_the_node_is_on_again() -> None:
    world = brought_up(Scenario(1, 2), 1)
    worker = victim(world, Happening.KILL_WORKER)
    api, item = world.kubernetes, world.instances.all[worker]
    pod = next(pod for pod in api.pods.values() if pod.node == worker)
    api.end_pod(pod)
    world.instances.kill(worker)
    pass_by(world.timeline, 60.0)
    assert pod.uid in api.pods, "nobody says that it has ended"
    world.instances.power_on(item.provider_id)
    pass_by(world.timeline, 60.0)
    assert pod.uid not in api.pods
