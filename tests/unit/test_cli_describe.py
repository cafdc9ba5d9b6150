"""What is told of one instance, of events with the revisions between them, and of a rollout on the status screen."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from builders import Cluster, W, pod_of
from cli_ground import Ground, ground_in
from risen.bootstrap import Host, open_cluster, store_trouble
from risen.cli.consoles import Consoles, console_lines
from risen.cli.describe import Described, describe_lines, plain_instance
from risen.cli.events import merged
from risen.cli.glimpse import Glimpse
from risen.cli.status import _screen
from risen.cli.views import view_of
from risen.codec import records
from risen.core import events as happened
from risen.core.events import Event
from risen.core.history import Entry, Revoked
from risen.core.names import InstanceName, ReleaseId
from risen.core.reasons import ROLLOUT
from risen.core.spec import Revision
from risen.interfaces.store import IfAbsent
from rollout_past import FIRST, SECOND, THIRD, T, past


@pytest.fixture
def ground(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Ground:
    return ground_in(tmp_path_factory.mktemp("ground"), monkeypatch, capsys)


def standing(ground: Ground, *events: Event, more: tuple[Revision, ...] = ()) -> Ground:
    """A cluster `lab` with these events, and revisions after its first."""
    store = ground.cluster("lab").store

    async def write() -> None:
        for event in events:
            await store.append(records.EVENTS, records.encode(event))
        for revision in more:
            await store.put(records.revision_key(revision.number), records.encode(revision), IfAbsent())

    asyncio.run(write())
    return ground


def glimpse_of(ground: Ground, cluster: Cluster) -> Glimpse:
    """A look at a picture in the making, as if it were `lab`."""
    there = (ground.home / "clusters" / "lab").exists()
    opened = (
        asyncio.run(open_cluster(Host(ground.home, ground.home), "lab")) if there else ground.cluster("lab")
    )
    opened = replace(opened, revision=cluster.revision)
    now = cluster.now
    return Glimpse(
        opened,
        cluster.history(),
        cluster.picture(),
        cluster.plan(),
        None,
        now.boot,
        now.unix,
        Consoles({}, {}),
    )


def described(ground: Ground, cluster: Cluster, name: str) -> Described:
    glimpse = glimpse_of(ground, cluster)
    instance = InstanceName(name)
    events = (happened.BecameReady(cluster.now.unix, instance),)
    life = glimpse.history.lives[instance]
    return Described(glimpse, view_of(glimpse), life, events, ("systemd: started", "kubelet: ready"))


def heads(lines: list[str]) -> dict[str, str]:
    return {line.split()[0]: line[10:] for line in lines[1:] if not line.startswith(" ")}


def test_an_instance_is_told_from_birth_to_console(ground: Ground) -> None:
    cluster = Cluster.standing(3, 2)
    cluster.pods += [
        pod_of("ok", "w-a", owner="ReplicaSet/ok"),
        pod_of("sick", "w-a", owner="ReplicaSet/s", ready=False, failing="CrashLoopBackOff"),
        pod_of("bare", "w-a", owner="", protected=True),
    ]
    lines = describe_lines(described(ground, cluster, "w-a"))
    assert lines[0] == "w-a · worker of pool w · r-w · Healthy"
    told = heads(lines)
    assert told["RELEASE"] == "r-w: every instance of its pool was on it"
    assert told["VERDICT"] == "Healthy: Node: Ready"
    assert told["PROVIDER"].startswith("running · risen-local://dev/w-a/1 · 10.77.0.")
    assert told["PODS"] == "3, 2 ready"
    assert f"{'':<10}default/sick: CrashLoopBackOff" in lines
    assert f"{'':<10}default/bare: not to be disrupted, a bare pod" in lines
    assert told["HAPPENED"].endswith("rise    w-a is Ready")
    assert lines[-2:] == ["CONSOLE   systemd: started", "          kubelet: ready"]
    assert "MEMBER" not in told and "LEDGER" not in told


def test_a_control_plane_instance_has_its_member_and_backend(ground: Ground) -> None:
    told = heads(describe_lines(described(ground, Cluster.standing(3, 2), "cp-a")))
    assert told["MEMBER"].startswith("leader") and "healthy" in told["MEMBER"]
    assert told["BACKEND"].endswith("up")


def test_its_ledger_and_what_it_waits_for_are_told(ground: Ground) -> None:
    cluster = Cluster.standing(3, 3).apply(W)
    entry = Entry("w-a-1", InstanceName("w-a"), ROLLOUT, ("r-w → r-w-new",), cluster.now.unix - 12)
    closed = replace(entry, id="w-a-0", opened_unix=1.0, closed_unix=4.0, outcome="recovered")
    cluster.entries |= {one.id: one for one in (entry, closed)}
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], unschedulable=True)
    cluster.pods.append(pod_of("web", "w-a", owner="ReplicaSet/web"))
    lines = describe_lines(described(ground, cluster, "w-a"))
    ledger = [line for line in lines if line.startswith("LEDGER")]
    assert "closed after 3.0s: recovered (ledger w-a-0)" in ledger[0]
    assert ledger[1] == "LEDGER    rollout: r-w → r-w-new · open for 12s (ledger w-a-1)"
    assert "cordoned" in heads(lines)["NODE"]
    assert any(line.startswith("WAITS     w-a waits for 1 pods to leave") for line in lines)


def test_the_dead_are_described_too_and_data_says_the_same(ground: Ground) -> None:
    cluster = Cluster.standing(3, 2)
    cluster.lives["w-z"] = replace(cluster.lives["w-a"], gone_at_unix=cluster.now.unix - 60)
    birth = replace(cluster.lives["w-z"].birth, instance=InstanceName("w-z"))
    cluster.lives["w-z"] = replace(cluster.lives["w-z"], birth=birth)
    found = described(ground, cluster, "w-z")
    assert heads(describe_lines(found))["PROVIDER"].startswith("gone since ")
    data = json.loads(json.dumps(plain_instance(found)))
    assert (data["name"], data["node"], data["member"]) == ("w-z", None, None)
    assert data["events"][0]["kind"] == "BecameReady"


def test_describe_reads_the_stream_for_that_instance_alone(ground: Ground) -> None:
    standing(ground, *past())
    told = ground.risen("describe", "worker-a")
    assert told.code == 0, told.both
    happened_to = [line for line in told.out.splitlines() if line.startswith(("HAPPENED", "          "))]
    words = [line.split()[2 if line.startswith("HAPPENED") else 1] for line in happened_to]
    assert words == ["born", "launch", "join", "rise", "rollout", "gone", "closed"]
    assert "next    risen release show r-old" in told.err
    wrong = ground.risen("describe", "worker-q")
    assert wrong.code == 1 and "no instance worker-q is known in lab; there are: worker-" in wrong.err


def test_a_console_is_told_without_what_moves_a_terminals_cursor() -> None:
    said = b"\x1b[0;32m  OK  \x1b[0m started\r\n\x1b]0;title\x07\n\xff\x00tail\rover\n"
    assert console_lines(said) == ("  OK   started", "\ufffd tail", "over")


# --- events -------------------------------------------------------------------------------------------------
def test_revisions_stand_between_the_events_where_they_were_applied() -> None:
    events = [happened.KillDone(T + at, str(at)) for at in (500, 1500, 1400)]
    order = [
        getattr(one, "number", None) or getattr(one, "intent", "") for one in merged([SECOND, FIRST], events)
    ]
    assert order == [1, "500", 2, "1500", "1400"], (
        "events keep the stream's order, whatever their clocks said"
    )


def test_events_say_who_applied_what_and_why(ground: Ground) -> None:
    standing(ground, *past(), more=(SECOND, THIRD))
    lines = ground.risen("events").out.splitlines()
    applied = [line[9:] for line in lines if line[9:].startswith("apply")]
    assert applied[0] == "apply   revision 2, by ci/4711: more pods (control-plane r-cp, worker r-new)"
    found = [json.loads(line) for line in ground.risen("events", "-o", "json").out.splitlines()]
    kinds = [one["kind"] for one in found]
    assert kinds.index("RevisionApplied") == kinds.index("RevisionCompleted") + 1
    assert len(found) == len(past()) + 2


# --- status -------------------------------------------------------------------------------------------------
def test_status_tells_what_each_pool_heads_for_and_how_far_it_is(ground: Ground) -> None:
    cluster = Cluster.standing(3, 2).apply(W).of_release("w-a")
    cluster.revision = replace(cluster.revision, applied_unix=cluster.now.unix - 30)
    lines = _screen(glimpse_of(ground, cluster))
    pool = next(line for line in lines if line.startswith("w "))
    assert pool.split()[1:4] == ["2/2", "2", "releases"] and "r-w-new" in pool
    now = [line for line in lines if line.startswith("NOW")]
    assert now[0].startswith("NOW    revision 2 goes on, 1/2, 30s, ETA ")


def test_a_controller_that_leads_and_is_not_seen_at_work_is_wrong(ground: Ground) -> None:
    """One that is stopped (SIGSTOP) keeps its lease for ever, and nothing is mended meanwhile."""
    seen = replace(glimpse_of(ground, Cluster.standing(3, 2)), leader="host-a 4711 since 1000")
    at_work = _screen(replace(seen, seen_unix=seen.unix - 0.4))
    assert "seen 0.4s ago · store ok · repair on" in at_work[0]
    assert "WRONG  nothing" in at_work
    hung = _screen(replace(seen, seen_unix=seen.unix - 180))
    assert "seen 3m00s ago" in hung[0]
    assert [line for line in hung if line.startswith("WRONG")] == [
        "WRONG  the controller leads and was not seen at work for 3m00s: it is stopped or hangs; end it (kill -9), "
        "then `risen up` starts another"
    ]


def test_a_store_that_cannot_be_written_is_told_with_the_reason(ground: Ground) -> None:
    cluster = ground.cluster("lab")
    assert store_trouble(cluster.host, "lab") == ""
    lock = ground.home / "clusters" / "lab" / "store" / "store.lock"
    lock.unlink()
    assert store_trouble(cluster.host, "lab") == "", "nobody has written yet"
    lock.mkdir()
    assert store_trouble(cluster.host, "lab") == "Is a directory"
    assert " · store cannot be written · " in ground.risen("status").out.splitlines()[0]
    wrong = ground.risen("status").out
    assert (
        "WRONG  the store cannot be written (Is a directory): nothing is recorded, so nothing is done"
        in wrong
    )


def test_a_revoked_release_is_wrong_until_another_revision_and_wanted_by_nothing(ground: Ground) -> None:
    cluster = Cluster.standing(3, 2).apply(W)
    bad = ReleaseId("r-w-new")
    cluster.revoked[bad] = Revoked(bad, W, 2, ("w-x was never Ready",), cluster.now.unix)
    lines = _screen(glimpse_of(ground, cluster))
    assert next(line for line in lines if line.startswith("w ")).split()[2:4] == ["r-w", "r-w"]
    wrong = [line for line in lines if line.startswith("WRONG")]
    assert "WRONG  r-w-new is revoked: w-x was never Ready (risen rollout history -o wide)" in wrong
    assert not any("goes on" in line for line in lines if line.startswith("NOW"))


def test_a_pool_that_an_autoscaler_owns_is_told_with_what_was_asked_for_last(ground: Ground) -> None:
    cluster = Cluster.standing(3, 2)
    pools = tuple(
        replace(pool, max_replicas=9) if pool.name == W else pool for pool in cluster.revision.spec.pools
    )
    cluster.revision = replace(cluster.revision, spec=replace(cluster.revision.spec, pools=pools))
    glimpse = glimpse_of(ground, cluster)
    scaled = replace(glimpse, history=replace(glimpse.history, scaled={W: 4}))
    assert next(line for line in _screen(scaled) if line.startswith("w ")).split()[1] == "2/4"
