"""Implements `interfaces.tasks.Gates`: an HTTP check from where the controller is, or a Job in the cluster.

A Job is made once for a revision and release, under a name that says so, and is gone on with after a crash. It asks
what the user said and judges nothing else. Its pods are looked at while it runs, since the Job controller deletes them
when its deadline is over. Source: batch/v1 Job.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from risen.adapters.kubernetes.api import APPLY_PATCH, Api, Listing
from risen.adapters.kubernetes.job_pods import Job, JobPod, Watch
from risen.adapters.kubernetes.wire import Condition
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


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a gate's Job is in the API."""

    namespace: str
    name: str

    @property
    def path(self) -> str:
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs/{self.name}"

    def __str__(self) -> str:
        return f"Job {self.namespace}/{self.name}"


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
        place = _Place(body["metadata"]["namespace"], body["metadata"]["name"])
        params = {"fieldManager": "risen", "force": "true"}
        begun = await self._is_begun(place)
        try:
            await self._api.write("PATCH", place.path, body, content=APPLY_PATCH, params=params)
        except NotFound as error:
            raise Later(f"gate {gate.name}: no namespace {place.namespace} (yet): {error}") from error
        return await self._end_of(gate, place, Watch(str(place), gaps=begun))

    async def _is_begun(self, place: _Place) -> bool:
        """Whether the Job is there. One that failed, of which no answer was kept, makes room for another: it is never
        begun again, and whether a container of it ran is seen while it runs."""
        try:
            job = await self._api.get(place.path, Job)
        except NotFound:
            return False
        if job.ended is None or job.complete:
            return True
        body = {"propagationPolicy": "Background", "preconditions": {"uid": job.metadata.uid}}
        with contextlib.suppress(NotFound):
            await self._api.write("DELETE", place.path, body)
        return False

    async def _end_of(self, gate: Gate, place: _Place, watch: Watch) -> TaskAnswer:
        """What became of a Job. One that cannot be looked at for a moment is looked at again."""
        now = asyncio.get_running_loop().time
        give_up_at = now() + gate.timeout_seconds + SPARE_SECONDS
        while True:
            fault: InterfaceError | None = None
            ended: Condition | None = None
            try:
                job = await self._api.get(place.path, Job)
                if not watch.ran and not job.complete:
                    watch.look(await self._pods(place, job))
                ended = job.ended
            except NotFound as error:
                raise Later(f"{place} was deleted while it ran") from error
            except InterfaceError as error:
                fault, watch.gaps = error, True
            if ended is not None or (fault is None and now() >= give_up_at):
                return watch.answer(ended, gate.timeout_seconds)
            if fault is not None and now() >= give_up_at:
                raise fault
            await asyncio.sleep(LOOK_SECONDS)

    async def _pods(self, place: _Place, job: Job) -> list[JobPod]:
        path, params = f"/api/v1/namespaces/{place.namespace}/pods", {"labelSelector": job.of_its_pods}
        found, _ = await self._api.list_all(Listing(path, JobPod, lambda pod: pod, params))
        return [pod for pod in found if pod.is_of(job)]


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
