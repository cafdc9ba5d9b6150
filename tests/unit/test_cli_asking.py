"""What people ask for lands in the store under their name, and what cannot be meant is refused with what is near."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from builders import birth_of
from cli_ground import Ground, ground_in
from risen.adapters.system import SystemClock
from risen.bootstrap import Host, open_cluster
from risen.cli.asking import caller
from risen.cli.watch import line_of
from risen.codec import records
from risen.core import events as happened
from risen.core.events import Born, Event, SeenGone
from risen.core.history import Intent, KillIntent, ReplaceIntent
from risen.core.names import InstanceName, PoolName, ReleaseId
from risen.engine.record import Records, read_newest
from risen.services.revise import write_revision


@pytest.fixture
def ground(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Ground:
    monkeypatch.setenv("RISEN_BY", "jane")
    return ground_in(tmp_path_factory.mktemp("ground"), monkeypatch, capsys)


def standing(ground: Ground, *events: Event) -> Ground:
    """A cluster `lab` with this past."""
    store = ground.cluster("lab").store

    async def append() -> None:
        for event in events:
            await store.append(records.EVENTS, records.encode(event))

    asyncio.run(append())
    return ground


def asked(ground: Ground) -> list[Intent]:
    """Every intent in the store of `lab`."""

    async def read() -> list[Intent]:
        store = (await open_cluster(Host(ground.home, ground.home), "lab")).store
        objects = [(key, await store.get(key)) for key in await store.list(records.INTENTS)]
        return [records.decode_intent(found.data, key) for key, found in objects if found is not None]

    return asyncio.run(read())


BORN = tuple(Born(1.0, birth_of(name)) for name in ("w-abcde", "w-abcdf", "w-xyzzy"))
GONE = SeenGone(2.0, InstanceName("w-xyzzy"))


def test_replace_writes_an_intent_with_who_and_why(ground: Ground) -> None:
    told = standing(ground, *BORN).risen("replace", "w-abcde", "--yes", "--reason", "slow disk")
    assert told.code == 0 and "asked   replace w-abcde" in told.out
    (intent,) = asked(ground)
    assert isinstance(intent, ReplaceIntent)
    assert (intent.instance, intent.by, intent.reason) == ("w-abcde", "jane", "slow disk")


def test_kill_keeps_who_asked_beside_the_reason(ground: Ground) -> None:
    standing(ground, *BORN).risen("kill", "w-abcde", "--yes", "--reason", "noisy")
    (intent,) = asked(ground)
    assert isinstance(intent, KillIntent) and intent.reason == "noisy (asked by jane)"


@pytest.mark.parametrize("command", ["replace", "kill"])
def test_a_name_that_is_not_there_is_refused_with_those_that_are_near(ground: Ground, command: str) -> None:
    told = standing(ground, *BORN, GONE).risen(command, "w-abcd", "--yes")
    assert told.code == 1 and asked(ground) == []
    assert "no living instance w-abcd in lab; there are: w-abcdf, w-abcde" in told.err
    assert "w-xyzzy is gone" in ground.risen(command, "w-xyzzy", "--yes").err


def test_nobody_at_the_terminal_means_no(ground: Ground) -> None:
    told = standing(ground, *BORN).risen("replace", "w-abcde")
    assert told.code == 1 and "say --yes" in told.err and asked(ground) == []


def test_a_pool_whose_number_is_cluster_yamls_own_is_not_scaled_past_it(ground: Ground) -> None:
    told = standing(ground).risen("scale", "worker", "3")
    assert told.code == 1 and asked(ground) == []
    assert "worker has replicas: 1 in cluster.yaml; change it there" in told.err
    assert (
        "no pool wroker in lab; there are: control-plane, worker" in ground.risen("scale", "wroker", "3").err
    )


def test_a_scaling_stands_in_the_events_with_who_and_why(ground: Ground) -> None:
    store = ground.cluster("lab").store

    async def take_in() -> None:
        await (await Records.load(store, SystemClock())).refresh()

    async def give_bounds() -> None:
        first = await read_newest(store)
        assert first is not None
        pools = tuple(replace(pool, max_replicas=3) for pool in first.spec.pools)
        await write_revision(store, replace(first, number=2, spec=replace(first.spec, pools=pools)))

    asyncio.run(give_bounds())
    told = ground.risen("scale", "worker", "3", "--reason", "queue of 900")
    assert told.code == 0 and "asked   3 instances of worker" in told.out, told.both
    asyncio.run(take_in())
    line = ground.risen("events").out.splitlines()[-1]
    assert line[9:] == "scale   worker to 3, by jane: queue of 900"


@pytest.mark.parametrize(
    ("environment", "name"),
    [({"RISEN_BY": "ci/4711", "SUDO_USER": "jane"}, "ci/4711"), ({"SUDO_USER": "jane"}, "jane")],
)
def test_who_asks_is_ci_by_its_own_word_or_whoever_called_sudo(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], name: str
) -> None:
    for variable in ("RISEN_BY", "SUDO_USER"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert caller() == name


RELEASE, POOL = ReleaseId("r-1"), PoolName("w")


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            happened.ReplaceAsked(0, "i", InstanceName("w-a"), "jane", "slow"),
            "asked   replace w-a, by jane: slow",
        ),
        (happened.ReplaceDone(0, "i"), "done    replace i"),
        (happened.RolloutOrdered(0, "i", 4, "pause", "ci", ""), "pause   rollout of revision 4, by ci"),
        (happened.PoolScaled(0, "i", POOL, 7, "hpa"), "scale   w to 7, by hpa"),
        (happened.PoolScaled(0, "i", POOL, 7, "hpa", "queue"), "scale   w to 7, by hpa: queue"),
        (
            happened.AccessGiven(0, "jane", "risen:admins", 8.0),
            "access  a kubeconfig of risen:admins, good for 8 h, by jane",
        ),
        (
            happened.ReleasePassed(0, RELEASE, POOL, ("served", "gate ok")),
            "passed  r-1 of w: served; gate ok",
        ),
        (
            happened.ReleaseRevoked(0, RELEASE, POOL, 4, ("never Ready",)),
            "REVOKED r-1 of w, revision 4 goes back: never Ready",
        ),
        (
            happened.RevocationLifted(0, "i", RELEASE, "", "registry"),
            "lifted  r-1 may be launched again, by somebody: registry",
        ),
        (happened.RevisionCompleted(0, 4, ()), "whole   revision 4: every instance is on it"),
        (happened.TaskEnded(0, "snapshot/w-a/1", False, "full"), "task    snapshot/w-a/1 FAILED: full"),
        (
            happened.TaskEnded(0, "gate/2/r-1/a", False, "ErrImagePull", silent=True),
            "task    gate/2/r-1/a says nothing: ErrImagePull",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_event_says_who_and_why(event: Event, said: str) -> None:
    assert line_of(event)[9:] == said
