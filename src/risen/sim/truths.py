"""What every simulated run is held to, by name: on the world's truth, at every write and event.

The names are those of `core/safety/invariants.py` where the two say the same; the core refuses a step, the simulator
finds a run in which it was done all the same. `docs/reference.md` lists both.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Truth(StrEnum):
    """What may be violated."""

    QUORUM_KEPT = "quorum-kept"
    DATA_BEFORE_CATTLE = "data-before-cattle"
    FOREIGN_UNTOUCHED = "foreign-untouched"
    BOOTSTRAP_ONCE = "bootstrap-once"
    BIRTH_BEFORE_LAUNCH = "birth-before-launch"
    ENTRY_BEFORE_HARM = "entry-before-harm"
    POOL_BUDGET_KEPT = "pool-budget-kept"
    SURGE_KEPT = "surge-kept"
    POD_BUDGETS_KEPT = "pod-budgets-kept"
    DO_NOT_DISRUPT_KEPT = "do-not-disrupt-kept"
    EMPTY_BEFORE_POWER_OFF = "empty-before-power-off"
    FENCED_BEFORE_FREED = "fenced-before-freed"
    FAULT_TOLERANCE_KEPT = "fault-tolerance-kept"
    ONE_CONTROL_PLANE_CHANGE = "one-control-plane-change-at-a-time"
    ENDPOINT_OF_THE_LIVING_KEPT = "endpoint-of-the-living-kept"
    NO_REVOKED_RELEASE = "no-revoked-release"
    ONE_INSTANCE_TRIES = "one-instance-tries-a-release"
    IMAGES_KEPT = "images-kept"
    STORE_BEFORE_HARM = "store-before-harm"
    NOTHING_LOST = "nothing-acknowledged-is-lost"
    NO_FAULT = "no-fault-of-its-own"
    ARRIVES = "arrives"


SAYS: Mapping[Truth, str] = MappingProxyType(
    {
        Truth.QUORUM_KEPT: "no write takes the quorum from an etcd that had one",
        Truth.DATA_BEFORE_CATTLE: "every write leaves the disks of a majority of the voters",
        Truth.FOREIGN_UNTOUCHED: "no instance and no Node of somebody else is touched",
        Truth.BOOTSTRAP_ONCE: "etcd is founded once",
        Truth.BIRTH_BEFORE_LAUNCH: "what is launched has a birth record, and a name of no instance that a "
        "controller was told of",
        Truth.ENTRY_BEFORE_HARM: "whatever is done to an instance, its Node, member or pods has an open entry; a Node "
        "that its kubelet registered at the last moment may have a closed one",
        Truth.POOL_BUDGET_KEPT: "a planned entry leaves a pool what its `maxUnavailable` wants; who is out for "
        "another reason is out of the budget",
        Truth.SURGE_KEPT: "no birth makes a pool larger than `replicas` and `maxSurge`; what is repaired counts no more",
        Truth.POD_BUDGETS_KEPT: "pods leave by the Eviction API, past budgets only where the user said so and late; "
        "no app goes below its budget",
        Truth.DO_NOT_DISRUPT_KEPT: "no pod that has asked not to be disrupted for longer than a step takes is ended by "
        "plan, and no instance taken where one is",
        Truth.EMPTY_BEFORE_POWER_OFF: "what is taken by plan and serves has no pods and volumes when its power goes",
        Truth.FENCED_BEFORE_FREED: "a pod is freed once its instance is gone and its Node takes no other",
        Truth.FAULT_TOLERANCE_KEPT: "what is taken by plan leaves the fault tolerance of the wanted size",
        Truth.ONE_CONTROL_PLANE_CHANGE: "one control-plane instance at a time is taken by plan",
        Truth.ENDPOINT_OF_THE_LIVING_KEPT: "no endpoint lease of an API server that lives is removed",
        Truth.NO_REVOKED_RELEASE: "no revoked release is launched",
        Truth.ONE_INSTANCE_TRIES: "one instance, over all pools, is of a release that has not passed",
        Truth.IMAGES_KEPT: "no add-on is applied whose image no instance holds, and none takes the last one by plan",
        Truth.STORE_BEFORE_HARM: "nothing that serves is taken while the store cannot be written",
        Truth.NOTHING_LOST: "no revision of etcd is lost",
        Truth.NO_FAULT: "the engine neither ends nor raises by a fault of its own",
        Truth.ARRIVES: "the cluster comes to what is wanted, and to the same whatever strikes",
    }
)
