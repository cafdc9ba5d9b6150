"""What is wrong with an image: data of a scenario, by digest. An image that is not named is good."""

from __future__ import annotations

from enum import StrEnum


class Behaviour(StrEnum):
    """How instances of an image go wrong."""

    GOOD = "good"
    BAD_BOOT = "bad-boot"
    """It prints nothing and never asks to join."""
    BAD_JOIN = "bad-join"
    """It boots, and what it asks of join is never what join can answer."""
    NO_KUBELET = "no-kubelet"
    """It joins, and its kubelet ends at once: there is never a Node."""
    NEVER_READY = "never-ready"
    """Its Node is there and stays NotReady."""
    NO_APISERVER = "no-apiserver"
    """Its etcd member votes and its Node is Ready; its apiserver never answers. As a worker it is good."""
    FAILS_ENDPOINT_CHECK = "fails-endpoint-check"
    """Its etcd member votes, its Node is Ready by its own apiserver, and that never passes the endpoint's check, as
    with a certificate that lacks a name. As a worker it is good."""
    NO_SCHEDULER = "no-scheduler"
    """Its scheduler ends at once; all else is well. As a worker it is good."""
    PROXY_DIES = "proxy-dies"
    """Its kube-proxy ends some seconds after its Node was Ready, which that stays."""
    DIES_IN_SOAK = "dies-in-soak"
    """Its kubelet ends some seconds after its Node was Ready; its Node looks Ready for 50 s more."""
    DIES_UNDER_LOAD = "dies-under-load"
    """The same, some seconds after an app's pod came up on it."""
    PANICS_IN_SOAK = "panics-in-soak"
    """It is off some seconds after its Node was Ready, and again after each time it is powered on."""
    PODS_FAIL = "pods-fail"
    """Pods that run elsewhere crash on it."""
    PODS_NEVER_READY = "pods-never-ready"
    """Pods that are Ready elsewhere run on it, and never are."""
    BREAKS_GATE = "breaks-gate"
    """All of it looks well; the user's gate does not open."""


SOON_DEAD = frozenset({Behaviour.DIES_IN_SOAK, Behaviour.PANICS_IN_SOAK})
LIVES_SECONDS = (2.0, 7.0)
"""How long one that dies in its soak serves before."""
