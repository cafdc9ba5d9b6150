"""Implements `interfaces.tasks.Gates`: an HTTP check from where the controller is, or a Job in the cluster.

A Job is made once for a revision and release, under a name that says so, and is gone on with after a crash. It asks
what the user said and judges nothing else. Source: batch/v1 Job, conditions Complete and Failed.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp

from risen.adapters.kubernetes.api import APPLY_PATCH, Api
from risen.adapters.kubernetes.wire import Condition, Struct
from risen.core.names import ReleaseId
from risen.core.spec import Gate
from risen.interfaces.errors import InterfaceError, Invalid, Later, NotFound
from risen.interfaces.tasks import TaskAnswer
from risen.transport.faults import TRANSPORT_FAULTS

LOOK_SECONDS = 1.0
REQUEST_SECONDS = 5.0
SPARE_SECONDS = 30.0
"""A Job ends itself at its deadline; for so long beyond it that is waited for."""
KEPT_SECONDS = 86400
NAME_CHARACTERS = 63


class JobStatus(Struct, frozen=True):
    """Of a Job."""

    conditions: tuple[Condition, ...] = ()


class Job(Struct, frozen=True):
    """`batch/v1/Job`."""

    status: JobStatus = JobStatus()


class GateClient:
    """Shares the connections of a `KubernetesClient`; made by it. `authorities`: PEM of the cluster's CA."""

    def __init__(self, api: Api, authorities: bytes) -> None:
        self._api = api
        self._authorities = authorities

    async def ask(self, gate: Gate, release: ReleaseId, revision: int) -> TaskAnswer:
        """See `Gates.ask`."""
        if gate.job:
            return await self._ask_job(gate, release, revision)
        if gate.url:
            return await self._ask_http(gate)
        raise Invalid(f"gate {gate.name} has neither a URL nor a Job")

    # --- HTTP ---------------------------------------------------------------------------------------------
    async def _ask_http(self, gate: Gate) -> TaskAnswer:
        """Until it answers as it should, or its time is over."""
        now = asyncio.get_running_loop().time
        began, last = now(), "was not asked"
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        connector = aiohttp.TCPConnector(ssl=self._context(), force_close=True)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            while True:
                try:
                    async with session.get(gate.url, allow_redirects=False) as answer:
                        last = f"answered {answer.status}"
                        if answer.status == gate.status:
                            return TaskAnswer(True, f"GET {gate.url} {last} after {now() - began:.1f} s")
                except aiohttp.InvalidURL as error:
                    raise Invalid(f"gate {gate.name}: {gate.url} is no URL") from error
                except TRANSPORT_FAULTS as error:
                    last = f"gave no answer ({error or type(error).__name__})"
                if now() + LOOK_SECONDS >= began + gate.timeout_seconds:
                    why = f"GET {gate.url} {last}, not {gate.status} within {gate.timeout_seconds:.0f} s"
                    return TaskAnswer(False, why)
                await asyncio.sleep(LOOK_SECONDS)

    def _context(self) -> ssl.SSLContext:
        """Who is trusted: the host's authorities, and the cluster's own."""
        context = ssl.create_default_context()
        context.load_verify_locations(cadata=self._authorities.decode("ascii"))
        return context

    # --- Jobs ---------------------------------------------------------------------------------------------
    async def _ask_job(self, gate: Gate, release: ReleaseId, revision: int) -> TaskAnswer:
        body = job_body(gate, release, revision)
        metadata = body["metadata"]
        name, namespace = metadata["name"], metadata["namespace"]
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"
        params = {"fieldManager": "risen", "force": "true"}
        try:
            await self._api.write("PATCH", path, body, content=APPLY_PATCH, params=params)
        except NotFound as error:
            raise Later(f"gate {gate.name}: no namespace {namespace} (yet): {error}") from error
        return await self._end_of(gate, path, f"Job {namespace}/{name}")

    async def _end_of(self, gate: Gate, path: str, what: str) -> TaskAnswer:
        """What became of a Job. One that cannot be looked at for a moment is looked at again."""
        now = asyncio.get_running_loop().time
        give_up_at = now() + gate.timeout_seconds + SPARE_SECONDS
        while True:
            fault: InterfaceError | None = None
            try:
                ended = _ended((await self._api.get(path, Job)).status)
            except NotFound as error:
                raise Later(f"{what} was deleted while it ran") from error
            except InterfaceError as error:
                ended, fault = None, error
            if ended is not None:
                return TaskAnswer(ended.type == "Complete", f"{what}: {_words(ended)}")
            if now() >= give_up_at:
                if fault is not None:
                    raise fault
                return TaskAnswer(False, f"{what} did not end within {gate.timeout_seconds:.0f} s")
            await asyncio.sleep(LOOK_SECONDS)


def job_body(gate: Gate, release: ReleaseId, revision: int) -> dict[str, Any]:
    """The user's manifest under a name of its own, with a deadline and, when it has ended, a bound on its being kept.

    Raises Invalid for what is no Job.
    """
    try:
        written: Any = json.loads(gate.job)
    except ValueError as error:
        raise Invalid(f"gate {gate.name}: its manifest is not JSON: {error}") from error
    if not isinstance(written, Mapping) or (written.get("apiVersion"), written.get("kind")) != (
        "batch/v1", "Job",
    ):  # fmt: skip
        raise Invalid(f"gate {gate.name}: its manifest is no batch/v1 Job")
    metadata = dict(written.get("metadata") or {})
    tail = f"-{revision}-{release}"
    base = str(metadata.get("name") or gate.name)[: NAME_CHARACTERS - len(tail)]
    metadata |= {"name": f"{base}{tail}", "namespace": metadata.get("namespace") or "default"}
    spec = {
        "activeDeadlineSeconds": max(1, round(gate.timeout_seconds)),
        "ttlSecondsAfterFinished": KEPT_SECONDS,
        **(written.get("spec") or {}),
    }
    return {**written, "metadata": metadata, "spec": spec}


def _ended(status: JobStatus) -> Condition | None:
    for condition in status.conditions:
        if condition.type in ("Complete", "Failed") and condition.status == "True":
            return condition
    return None


def _words(condition: Condition) -> str:
    details = ": ".join(part for part in (condition.reason, condition.message) if part)
    return f"{condition.type.lower()}{f' ({details})' if details else ''}"
