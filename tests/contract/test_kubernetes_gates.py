"""Gates of releases: an HTTP check against a real server, and a Job in a real API server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from kubernetes_objects import make_pod, pod_status, raw
from servers import ApiServer

from risen.adapters.answer_file import noted
from risen.adapters.kubernetes import KubernetesClient
from risen.adapters.kubernetes.api import MERGE_PATCH, Api, Credentials
from risen.adapters.kubernetes.gates import GateClient, job_body
from risen.core.names import ReleaseId
from risen.core.spec import Gate
from risen.interfaces.errors import Invalid, Later, NotFound
from risen.interfaces.kubernetes import Kubernetes
from risen.interfaces.tasks import TaskAnswer

pytestmark = pytest.mark.root

RELEASE = ReleaseId("r-0123456789ab")
MANIFEST: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "smoke", "namespace": "default"},
    "spec": {
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "smoke", "image": "example.org/smoke:1"}],
            }
        }
    },
}
SMOKE = Gate("smoke", job=json.dumps(MANIFEST), timeout_seconds=60)
PATH = f"/apis/batch/v1/namespaces/default/jobs/smoke-7-{RELEASE}"


@pytest.fixture
async def api(real_api: ApiServer) -> AsyncIterator[Api]:
    opened = Api(Credentials(real_api.url, real_api.admin))
    yield opened
    await opened.close()


@pytest.fixture
async def gates(real_api: ApiServer) -> AsyncIterator[GateClient]:
    client = noted(KubernetesClient(Credentials(real_api.url, real_api.admin)), Kubernetes)
    yield client.gates
    await client.close()


@contextmanager
def answering(*statuses: int) -> Iterator[tuple[str, list[str]]]:
    """A server that answers with these in turn, the last for ever; its URL and the paths it was asked for."""
    asked: list[str] = []

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(statuses[min(len(asked), len(statuses)) - 1])
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/health", asked
    finally:
        server.shutdown()
        server.server_close()


# --- HTTP -------------------------------------------------------------------------------------------------
async def test_an_http_gate_passes_once_it_is_answered_as_it_should_be(gates: GateClient) -> None:
    with answering(503, 200) as (url, asked):
        answer = await gates.ask(Gate("health", url), RELEASE, 7)
    assert (answer.ok, asked) == (True, ["/health", "/health"])
    assert answer.text.startswith(f"GET {url} answered 200 after ")


async def test_an_http_gate_that_is_answered_otherwise_fails_with_what_it_was_told(gates: GateClient) -> None:
    with answering(500) as (url, _):
        answer = await gates.ask(Gate("health", url, timeout_seconds=2), RELEASE, 7)
    assert answer == TaskAnswer(False, f"GET {url} answered 500, not 200 within 2 s")


async def test_a_redirect_is_an_answer_and_is_not_followed(gates: GateClient) -> None:
    with answering(302) as (url, _):
        assert (await gates.ask(Gate("health", url, status=302), RELEASE, 7)).ok


async def test_an_http_gate_that_nobody_answers_fails(gates: GateClient) -> None:
    answer = await gates.ask(Gate("health", "http://127.0.0.1:9/", timeout_seconds=2), RELEASE, 7)
    assert (answer.ok, "gave no answer" in answer.text) == (False, True)


async def test_an_http_gate_trusts_the_cluster_s_authority(gates: GateClient, real_api: ApiServer) -> None:
    answer = await gates.ask(Gate("ready", f"{real_api.url}/readyz"), RELEASE, 7)
    assert answer.ok, answer.text


async def test_what_is_no_url_is_the_gate_s_own_fault(gates: GateClient) -> None:
    with pytest.raises(Invalid, match="is no URL"):
        await gates.ask(Gate("health", "health"), RELEASE, 7)


# --- Jobs -------------------------------------------------------------------------------------------------
async def end_job(api: Api, kind: str, reason: str) -> None:
    """What the Job controller writes when a Job has ended."""
    before = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}[kind]
    now = "2027-01-01T00:00:00Z"
    condition = {"status": "True", "reason": reason, "message": "it says", "lastTransitionTime": now}
    status: dict[str, Any] = {
        "startTime": now,
        "conditions": [{**condition, "type": before}, {**condition, "type": kind}],
        "uncountedTerminatedPods": {},
        **({"completionTime": now, "succeeded": 1} if kind == "Complete" else {"failed": 1}),
    }
    await api.write("PATCH", f"{PATH}/status", {"status": status}, content=MERGE_PATCH)


async def made(api: Api, asking: asyncio.Task[TaskAnswer], other_than: str = "") -> dict[str, Any]:
    """The Job, once it is there and has another uid than this."""
    while True:
        await asyncio.sleep(0.05)
        if asking.done():
            asking.result()
        with suppress(NotFound):
            found: dict[str, Any] = await raw(api, PATH)
            if found["metadata"]["uid"] != other_than:
                return found


@pytest.fixture
async def no_job(api: Api) -> AsyncIterator[None]:
    yield
    await api.write("DELETE", PATH, {"propagationPolicy": "Background"})


@asynccontextmanager
async def with_pod(api: Api, job: dict[str, Any], state: dict[str, Any]) -> AsyncIterator[None]:
    """A pod as the Job controller makes it, its container in this state."""
    owner = {
        "apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "controller": True,
        "uid": job["metadata"]["uid"],
    }  # fmt: skip
    labels = job["spec"]["template"]["metadata"]["labels"]
    await make_pod(api, "smoke-abcde", "n-1", metadata={"labels": labels, "ownerReferences": [owner]})
    container = {"name": "c", "ready": False, "restartCount": 0, "image": "none", "imageID": ""}
    await pod_status(api, "smoke-abcde", containerStatuses=[{**container, "state": state}])
    try:
        yield
    finally:
        await api.write("DELETE", "/api/v1/namespaces/default/pods/smoke-abcde", {"gracePeriodSeconds": 0})


RUNS = {"running": {"startedAt": "2027-01-01T00:00:00Z"}}
PULLS = {"waiting": {"reason": "ErrImagePull", "message": "no such host"}}


@pytest.mark.usefixtures("no_job")
@pytest.mark.parametrize(
    ("kind", "reason", "ok", "text"),
    [
        ("Complete", "CompletionsReached", True, "complete (CompletionsReached: it says)"),
        ("Failed", "BackoffLimitExceeded", False, "failed (BackoffLimitExceeded: it says)"),
    ],
)
async def test_a_job_gate_answers_what_became_of_its_job(
    api: Api, gates: GateClient, kind: str, reason: str, ok: bool, text: str
) -> None:
    asking = asyncio.create_task(gates.ask(SMOKE, RELEASE, 7))
    job = await made(api, asking)
    assert job["spec"]["activeDeadlineSeconds"] == 60
    async with with_pod(api, job, RUNS):
        await end_job(api, kind, reason)
        answer = await asking
    assert answer == TaskAnswer(ok, f"Job default/smoke-7-{RELEASE}: {text}")


@pytest.mark.usefixtures("no_job")
async def test_a_job_whose_image_cannot_be_pulled_says_nothing_and_another_is_made_when_it_is_asked_again(
    api: Api, gates: GateClient
) -> None:
    asking = asyncio.create_task(gates.ask(SMOKE, RELEASE, 7))
    first = await made(api, asking)
    async with with_pod(api, first, PULLS):
        await end_job(api, "Failed", "DeadlineExceeded")
        answer = await asking
    assert (answer.ok, answer.silent) == (False, True)
    assert answer.text.endswith("no container of it ever started: ErrImagePull (no such host)")
    asking = asyncio.create_task(gates.ask(SMOKE, RELEASE, 7))
    await made(api, asking, other_than=first["metadata"]["uid"])
    await end_job(api, "Complete", "CompletionsReached")
    assert (await asking).ok


@pytest.mark.usefixtures("no_job")
async def test_a_job_gate_that_is_asked_again_after_a_crash_goes_on_with_the_same_job(
    api: Api, gates: GateClient
) -> None:
    first = asyncio.create_task(gates.ask(SMOKE, RELEASE, 7))
    uid = (await made(api, first))["metadata"]["uid"]
    first.cancel()
    second = asyncio.create_task(gates.ask(SMOKE, RELEASE, 7))
    assert (await made(api, second))["metadata"]["uid"] == uid
    await end_job(api, "Complete", "CompletionsReached")
    assert (await second).ok


@pytest.mark.usefixtures("no_job")
async def test_a_deadline_that_passed_while_nobody_asked_says_nothing(api: Api, gates: GateClient) -> None:
    first = asyncio.create_task(gates.ask(SMOKE, RELEASE, 7))
    job = await made(api, first)
    first.cancel()
    second = asyncio.create_task(gates.ask(SMOKE, RELEASE, 7))
    async with with_pod(api, job, RUNS):
        await end_job(api, "Failed", "DeadlineExceeded")
        answer = await second
    assert answer.silent and answer.text.endswith("it could not be watched all the while")


async def test_a_job_gate_in_a_namespace_that_is_not_there_says_nothing_of_the_release(
    gates: GateClient,
) -> None:
    elsewhere = {**MANIFEST, "metadata": {"name": "smoke", "namespace": "elsewhere"}}
    with pytest.raises(Later, match="no namespace elsewhere"):
        await gates.ask(Gate("smoke", job=json.dumps(elsewhere)), RELEASE, 7)


@pytest.mark.parametrize("job", ["{", "[]", '{"apiVersion": "v1", "kind": "Pod"}'])
def test_what_is_no_job_is_the_gate_s_own_fault(job: str) -> None:
    with pytest.raises(Invalid, match="gate smoke"):
        job_body(Gate("smoke", job=job), RELEASE, 7)


def test_a_job_s_name_keeps_within_what_the_api_takes_and_tells_revision_and_release() -> None:
    long = {**MANIFEST, "metadata": {"name": "s" * 63}}
    name = job_body(Gate("smoke", job=json.dumps(long)), RELEASE, 7)["metadata"]["name"]
    assert (len(name), name.endswith(f"s-7-{RELEASE}")) == (63, True)
