"""Store records: every kind comes back as it was, newer schemas and wrong bytes are told apart."""

from __future__ import annotations

import importlib
import json

import pytest
from join_world import AUTHORITIES, FOUNDER, NOW, SPEC, UID, WORKER, birth

from risen.authority.binding import Binding, EtcdStart, Granted
from risen.authority.passes import Identity, Passes
from risen.codec import records
from risen.core import events
from risen.core.history import Intent, KillIntent, LiftIntent, ReplaceIntent, RolloutIntent, ScaleIntent
from risen.core.names import ImageDigest, InstanceName, PoolName, ProviderId, ReleaseId
from risen.core.spec import ClusterSpec, PoolRelease, Revision
from risen.core.step import Birth, Bootstrap
from risen.interfaces.errors import Corrupt, TooNew

BOOTSTRAP = Bootstrap(1, FOUNDER, "token")
GRANTED = Granted(NOW, (("kubelet-client", "PEM"),), EtcdStart("new", ((FOUNDER, "https://10.0.0.1:2380"),)))
OBJECTS = (
    records.ClusterRecord(UID, "dev", NOW),
    SPEC,
    Revision(
        3,
        SPEC,
        (PoolRelease(PoolName("worker"), ReleaseId("r-1"), ImageDigest("sha256:2")),),
        (("v1/ConfigMap/kube-system/coredns", "d"),),
    ),
    birth(WORKER),
    BOOTSTRAP,
    KillIntent("i-1", WORKER, "noisy", accept_data_loss=True),
    records.EtcdClusterId("14841639068965178418"),
    Binding(WORKER, "0" * 64, NOW, GRANTED, condemned="why"),
    AUTHORITIES,
    Passes(UID, "1-v", Identity("PEM", "KEY", "CA", NOW + 1), Identity("PEM", "KEY", "CA", NOW + 2)),
)
EVENTS: tuple[events.Event, ...] = (
    events.BootstrapWritten(NOW, BOOTSTRAP),
    events.ClusterIdSeen(NOW, "1"),
    events.Born(NOW, birth(WORKER)),
    events.Launched(NOW, WORKER, ProviderId("risen-local://dev/w/1")),
    events.Joined(NOW, WORKER),
    events.LaunchRefused(NOW, WORKER, "NoCapacity: no room"),
    events.BecameReady(NOW, WORKER),
    events.SeenGone(NOW + 0.5, WORKER),
    events.EntryOpened(NOW, "e-1", WORKER, "kill", ("asked", "by jane"), ("ns/Kind/app",)),
    events.DrainForced(NOW, "e-1", WORKER, ("default/api-1",)),
    events.EntryClosed(NOW, "e-1", "replaced"),
    events.KillAsked(NOW, "i-1", WORKER, "noisy", accept_data_loss=False),
    events.KillDone(NOW, "i-1"),
    events.Alarm(NOW, events.SECOND_KEY, WORKER, "ünusual"),
    events.ReplaceAsked(NOW, "i-2", WORKER, "jane", "slow disk"),
    events.ReplaceDone(NOW, "i-2"),
    events.RolloutOrdered(NOW, "i-3", 4, "pause", "ci", "lunch"),
    events.RolloutOrdered(NOW, "i-4", 4, "resume", "ci", "known", ("default/DaemonSet/logs fails",)),
    events.ReleaseHalted(
        NOW, ReleaseId("r-1"), PoolName("w"), 4, "default/DaemonSet/logs fails", "pod logs-1"
    ),
    events.PoolScaled(NOW, "i-4", PoolName("worker"), 7, "autoscaler", "queue of 900"),
    events.AccessGiven(NOW, "jane", "risen:admins", 8.0),
    events.ReleasePassed(NOW, ReleaseId("r-1"), PoolName("worker"), ("served 12 pods for 10 s",)),
    events.ReleaseRevoked(NOW, ReleaseId("r-2"), PoolName("worker"), 4, ("never Ready",)),
    events.RevocationLifted(NOW, "i-5", ReleaseId("r-2"), "jane", "the registry was down"),
    events.RevisionCompleted(
        NOW, 4, (PoolRelease(PoolName("worker"), ReleaseId("r-1"), ImageDigest("sha256:2")),)
    ),
    events.TaskEnded(NOW, "gate/4/r-1/web", True, "200"),
    events.TaskEnded(NOW, "gate/4/r-1/smoke", False, "no container of it ever started", silent=True),
)
INTENTS: tuple[Intent, ...] = (
    KillIntent("i-1", WORKER, "noisy", accept_data_loss=True),
    ReplaceIntent("i-2", WORKER, "jane", "slow disk"),
    RolloutIntent("i-3", 4, "pause", "ci", "lunch"),
    RolloutIntent("i-4", 4, "resume", "ci", "known", ("default/DaemonSet/logs fails",)),
    ScaleIntent("i-4", PoolName("worker"), 7, "autoscaler", "queue of 900"),
    LiftIntent("i-5", ReleaseId("r-2"), "jane", "the registry was down"),
)


@pytest.mark.parametrize("value", OBJECTS, ids=lambda value: type(value).__name__)
def test_every_kind_of_object_comes_back_as_it_was(value: object) -> None:
    data = records.encode(value)
    assert records.decode(data, type(value), "key") == value
    assert records.encode(records.decode(data, type(value), "key")) == data


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_kind_of_event_comes_back_as_it_was(event: events.Event) -> None:
    assert records.decode_event(records.encode(event), 1) == event


@pytest.mark.parametrize("intent", INTENTS, ids=lambda intent: type(intent).__name__)
def test_every_kind_of_intent_comes_back_as_it_was(intent: Intent) -> None:
    assert records.decode_intent(records.encode(intent), "intents/i") == intent


def test_every_kind_names_a_type_that_is_there() -> None:
    for place in records.KINDS:
        module, _, name = place.partition(":")
        assert isinstance(getattr(importlib.import_module(module), name), type), place


def test_what_is_no_intent_is_not_taken_for_one() -> None:
    with pytest.raises(TooNew, match="intents/i: no intent is called 'bootstrap'"):
        records.decode_intent(records.encode(BOOTSTRAP), "intents/i")


def test_no_kind_of_event_is_left_out() -> None:
    assert {type(event) for event in EVENTS} == set(events.EVENT_TYPES)


def test_a_newer_schema_is_too_new_to_lead_on_and_names_its_key() -> None:
    data = records.encode(BOOTSTRAP).replace(b'"schema":2', b'"schema":9')
    with pytest.raises(TooNew, match=r"bootstrap/00000001.*schema 9"):
        records.decode(data, Bootstrap, "bootstrap/00000001")
    event = records.encode(EVENTS[0]).replace(b'"schema":2', b'"schema":9')
    with pytest.raises(TooNew, match="events#7"):
        records.decode_event(event, 7)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"[]", b'{"schema":2}', b'{"schema":2,"kind":"birth","value":{"instance":3}}'],
)
def test_bytes_that_make_no_sense_are_corrupt_and_name_their_key(data: bytes) -> None:
    with pytest.raises(Corrupt, match="births/x"):
        records.decode(data, Birth, "births/x")


def test_an_object_of_another_kind_is_corrupt() -> None:
    with pytest.raises(Corrupt, match="holds a 'bootstrap' where a 'birth' belongs"):
        records.decode(records.encode(BOOTSTRAP), Birth, "births/x")
    with pytest.raises(TooNew, match="no event is called 'bootstrap'"):
        records.decode_event(records.encode(BOOTSTRAP), 1)


def test_what_an_older_risen_did_not_write_takes_its_default() -> None:
    written = json.loads(records.encode(SPEC))
    del written["value"]["deletion_protection"]
    assert records.decode(json.dumps(written).encode(), ClusterSpec, "spec/current") == SPEC
    ended = events.TaskEnded(NOW, "gate/4/r-1/web", False, "503")
    written = json.loads(records.encode(ended))
    del written["value"]["silent"]
    assert records.decode_event(json.dumps(written).encode(), 1) == ended


def test_a_scaling_that_an_older_risen_wrote_has_no_reason() -> None:
    event, intent = (
        events.PoolScaled(NOW, "i", PoolName("w"), 7, "ci"),
        ScaleIntent("i", PoolName("w"), 7, "ci"),
    )
    older = [records.encode(value).replace(b',"reason":""', b"") for value in (event, intent)]
    assert not any(b"reason" in data for data in older)
    assert records.decode_event(older[0], 1) == event
    assert records.decode_intent(older[1], "intents/i") == intent


def test_keys_sort_as_their_numbers_do() -> None:
    keys = [records.revision_key(number) for number in (1, 2, 10, 99, 100)]
    assert keys == sorted(keys)
    assert records.bootstrap_key(1) == "bootstrap/00000001"
    assert records.birth_key(InstanceName("a")) == "births/a"
    assert records.join_key(InstanceName("a")) == "joins/a"
    assert records.intent_key("i") == "intents/i"
