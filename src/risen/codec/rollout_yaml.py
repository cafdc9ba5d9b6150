"""Fields of cluster.yaml that say how instances are rolled and what a release must pass, with their words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from risen.codec import cluster_checks as must
from risen.codec import rollout_checks as rolling
from risen.codec.written import Written
from risen.core.spec import Disruption, Gate, Strategy

_STRATEGY = Strategy()
InstancesOrShare = Annotated[int | str, BeforeValidator(rolling.share)]


class StrategyWritten(Written):
    """How a pool is rolled."""

    max_surge: InstancesOrShare = Field(
        default=_STRATEGY.max_surge.least,
        description='instances more than wanted, a number or a share of the pool such as "10%"; 1 for the control '
        "plane",
    )
    max_unavailable: InstancesOrShare = Field(
        default=_STRATEGY.max_unavailable.least,
        description="instances fewer than wanted, likewise; with maxSurge 0 at least 1",
    )
    min_ready_seconds: int = Field(
        default=int(_STRATEGY.min_ready_seconds),
        ge=0,
        le=86400,
        description="seconds for which an instance must have served to count",
    )

    def value(self) -> Strategy:
        """As the rules take it."""
        return Strategy(
            rolling.share_of(self.max_surge),
            rolling.share_of(self.max_unavailable),
            float(self.min_ready_seconds),
        )


class DisruptionWritten(Written):
    """Taking instances out."""

    not_built: ClassVar[Mapping[str, str]] = MappingProxyType({"windows": "rollout pause and resume"})
    drain_timeout: Annotated[str, BeforeValidator(rolling.duration("10s", "168h"))] = Field(
        default=rolling.duration_text(Disruption().drain_timeout_seconds),
        description="how long an instance may take to be drained",
    )
    on_drain_timeout: Literal["stop", "skip", "force"] = Field(
        default="stop",
        description="then: stop lets others go first, waits and says so, skip leaves a worker until the next revision, force deletes "
        "pods past their budgets",
    )
    load_balancer_seconds: int = Field(
        default=int(Disruption().load_balancer_seconds),
        ge=0,
        le=3600,
        description="how long your load balancers need to leave a node whose kube-proxy turns unhealthy: an emptied "
        "instance is powered off so much later",
    )

    def value(self) -> Disruption:
        """As the rules take it."""
        return Disruption(
            rolling.seconds_of(self.drain_timeout) or 0.0,
            self.on_drain_timeout,
            float(self.load_balancer_seconds),
        )


class HttpGateWritten(Written):
    """A request that must be answered."""

    url: Annotated[str, AfterValidator(rolling.url)] = Field(description="what is asked for, by GET")
    status: int = Field(default=200, ge=100, le=599, description="the status that must come back")


class GateWritten(Written):
    """A check of yours that a release must pass before more than one instance has it."""

    name: Annotated[str, AfterValidator(must.name)] = Field(
        description="a DNS label of at most 20 characters"
    )
    http: HttpGateWritten | None = Field(default=None, description="an HTTP check")
    job: str | None = Field(
        default=None, description="or a file beside cluster.yaml with a Kubernetes Job that must succeed"
    )
    timeout: Annotated[str, BeforeValidator(rolling.duration("1s", "24h"))] = Field(
        default=rolling.duration_text(Gate("").timeout_seconds), description="how long it may take"
    )

    def value(self, jobs: Mapping[str, str]) -> Gate:
        """As it is asked for; `jobs` holds manifests by the path written here."""
        timeout = rolling.seconds_of(self.timeout) or 0.0
        if self.http is not None:
            return Gate(self.name, self.http.url, self.http.status, "", timeout)
        return Gate(self.name, job=jobs[self.job or ""], timeout_seconds=timeout)
