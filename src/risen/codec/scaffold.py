"""The commented cluster.yaml that `risen init` writes. Renders text; writes no file and checks no value."""

from __future__ import annotations

from dataclasses import dataclass

from risen.codec.cluster_checks import KUBERNETES_VERSIONS
from risen.codec.rollout_checks import duration_text
from risen.core.spec import Disruption, LocalProvider, Networking, PoolSpec, Repair

_REMARK_COLUMN = 38
_TEXT = """\
# A Risen cluster on this host. Everything below the word "default" may be left out.
# What a change does: settings of programs and the recipe roll instances, a few at a time; networks and names are
# fixed once it is up; the rest replaces nothing. `risen plan` says which, field by field.
# All fields: docs/reference.md
apiVersion: risen/v1alpha1
kind: Cluster
metadata: {{name: {name}}}
spec:
  kubernetes:
    version: "{version}"  ## in quotes; this Risen has {versions}
    # apiServer:
    #   certSANs: [api.example.com]  ## further names and addresses of the API server
    #   extraArgs: {{v: "2"}}  ## further flags of kube-apiserver; controllerManager and scheduler have them too
  provider:
    local:  ## instances are systemd machines on this host
      subnet: {subnet}  ## a /24 that nothing on this host uses
      disk: {disk}  ## bound of each instance's own file system
      # memory: 4Gi  ## what each counts as its memory; default: the host's, divided by all that may be up
  pools:
  - name: control-plane
    role: control-plane  ## API server, scheduler, controllers and an etcd member each
    replicas: {control_plane}  ## 1, 3 or 5: three bear the loss of one
    image: {{recipe: ./recipe.yaml}}
  - name: worker
    role: worker
    replicas: {workers}
    image: {{recipe: ./recipe.yaml}}
    # labels: {{tier: general}}  ## of its Nodes
    # taints: [{{key: example.com/dedicated, value: batch, effect: NoSchedule}}]
    # kubelet: {{maxPods: {max_pods}}}  ## pods an instance takes
    # strategy: {{maxSurge: 1, maxUnavailable: 0, minReadySeconds: 10}}  ## numbers, or shares such as "10%"
    # expireAfter: 720h  ## an instance older than this is replaced
  # gates:  ## a release must pass them before more than one instance has it
  # - {{name: web, http: {{url: "http://web.example.com/ready", status: 200}}, timeout: 5m}}

  # registries:  ## that want credentials: Docker's config.json, sealed into the store; another password rolls nothing
  # - {{host: registry.example.com, credentialsFile: ./registry.json}}

  # --- default ---
  # networking:
  #   podSubnet: {pod_subnet}  ## each instance takes a /24 of it
  #   serviceSubnet: {service_subnet}
  #   dnsDomain: {dns_domain}
  # repair:
  #   mode: {repair_mode}  ## repair replaces what is gone; observe only says it
  #   maxUnhealthy: {max_unhealthy}%  ## repair stops while more of a pool is unhealthy
  # disruption:
  #   drainTimeout: {drain_timeout}
  #   onDrainTimeout: {on_drain_timeout}  ## stop lets others go first and says so; skip leaves it; force deletes its pods
  #   loadBalancerSeconds: {load_balancer_seconds}  ## how long yours need to leave a node that turns unhealthy
  # deletionProtection: false  ## true: `risen down` asks for the cluster's name
"""


@dataclass(frozen=True, slots=True)
class Scaffold:
    """What `risen init` is told."""

    name: str = "dev"
    control_plane: int = 3
    workers: int = 2
    subnet: str = LocalProvider().subnet


def cluster_yaml_text(scaffold: Scaffold) -> str:
    """A commented cluster.yaml of two pools. Its values are checked by reading it back."""
    networking, repair, disruption = Networking(), Repair(), Disruption()
    text = _TEXT.format(
        name=scaffold.name,
        version=KUBERNETES_VERSIONS[0],
        versions=" and ".join(KUBERNETES_VERSIONS),
        subnet=scaffold.subnet,
        disk=f"{LocalProvider().disk_gib}Gi",
        control_plane=scaffold.control_plane,
        workers=scaffold.workers,
        max_pods=PoolSpec.__dataclass_fields__["max_pods"].default,
        pod_subnet=networking.pod_subnet,
        service_subnet=networking.service_subnet,
        dns_domain=networking.dns_domain,
        repair_mode=repair.mode,
        max_unhealthy=repair.max_unhealthy_percent,
        drain_timeout=duration_text(disruption.drain_timeout_seconds),
        on_drain_timeout=disruption.on_drain_timeout,
        load_balancer_seconds=int(disruption.load_balancer_seconds),
    )
    return "".join(f"{_aligned(line)}\n" for line in text.splitlines())


def _aligned(line: str) -> str:
    """A line whose remark, after `##`, stands in one column with the others."""
    field, mark, remark = line.partition("  ## ")
    return f"{field:<{_REMARK_COLUMN - 1}} # {remark}" if mark else line
