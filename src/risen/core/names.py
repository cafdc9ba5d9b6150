"""Identifiers and small closed vocabularies that every layer shares."""

from __future__ import annotations

from enum import StrEnum
from typing import NewType

ClusterUid = NewType("ClusterUid", str)
"""Random, made once per store; carried by everything that is this cluster's."""
InstanceName = NewType("InstanceName", str)
"""`POOL-xxxxx`; a DNS label; never reused. Also the Node's name and the etcd member's name."""
ProviderId = NewType("ProviderId", str)
"""The provider's own id of one instance, never reused: `risen-local://CLUSTER/NAME/LAUNCH`."""
PoolName = NewType("PoolName", str)
ImageDigest = NewType("ImageDigest", str)
"""`sha256:HEX` over an image's content."""
ReleaseId = NewType("ReleaseId", str)
"""`r-HEX12`: hash of a fully rendered release."""
MemberId = NewType("MemberId", str)
"""etcd member id as decimal text: 64 bit, so never a JSON number."""


IMAGE_LABEL = "risen.dev/image"
"""On every Node: the image of its instance, as `image_label` writes it. What is baked into an image runs by it."""


class Role(StrEnum):
    """What the instances of a pool are for."""

    CONTROL_PLANE = "control-plane"
    WORKER = "worker"
    ETCD = "etcd"


def image_label(image: ImageDigest) -> str:
    """A digest as a label's value, which has at most 63 characters: its first 12, as in a release's id."""
    return image.removeprefix("sha256:")[:12]


def may_hold_etcd(role: Role) -> bool:
    """Whether an instance of this role may carry etcd data (and falls under "data before cattle")."""
    return role in (Role.CONTROL_PLANE, Role.ETCD)
