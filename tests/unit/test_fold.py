"""Events into history: repeats change nothing, objects stand in for lost events, nothing grows without end."""

from __future__ import annotations

from dataclasses import replace

from join_world import FOUNDER, NOW, UID, WORKER, birth

from risen.core import fold as folding
from risen.core.events import (
    SECOND_KEY,
    WRONG_ADDRESS,
    Alarm,
    BecameReady,
    BootstrapWritten,
    Born,
    ClusterIdSeen,
    DrainForced,
    EntryClosed,
    EntryOpened,
    Event,
    Joined,
    KillAsked,
    KillDone,
    Launched,
    LaunchRefused,
    ReleaseHalted,
    RolloutOrdered,
    SeenGone,
)
from risen.core.fold import apply, fold
from risen.core.history import Entry, KillIntent
from risen.core.names import InstanceName, PoolName, ProviderId, ReleaseId
from risen.core.step import Bootstrap

LIFE: tuple[Event, ...] = (
    BootstrapWritten(NOW, Bootstrap(1, FOUNDER, "t")),
    Born(NOW, birth(WORKER)),
    Launched(NOW + 1, WORKER, ProviderId("p-1")),
    Joined(NOW + 2, WORKER),
    BecameReady(NOW + 3, WORKER),
    ClusterIdSeen(NOW + 3, "77"),
    KillAsked(NOW + 4, "i-1", WORKER, "noisy", accept_data_loss=False),
    EntryOpened(NOW + 5, "e-1", WORKER, "kill", ("asked",), ("ns/Kind/app",)),
    SeenGone(NOW + 6, WORKER),
    KillDone(NOW + 6, "i-1"),
    DrainForced(NOW + 7, "e-1", WORKER, ("default/api-1",)),
    EntryClosed(NOW + 7, "e-1", "replaced"),
)


def test_a_life_is_told_by_its_events() -> None:
    history = fold(UID, LIFE)
    life = history.lives[WORKER]
    assert (life.provider_id, life.launched_at_unix, life.joined_at_unix) == ("p-1", NOW + 1, NOW + 2)
    assert (life.ready_at_unix, life.gone_at_unix, life.condemned) == (NOW + 3, NOW + 6, "")
    assert history.entries["e-1"] == Entry(
        "e-1", WORKER, "kill", ("asked",), NOW + 5, NOW + 7, "replaced", ("default/api-1",), ("ns/Kind/app",)
    )
    assert (history.kills, history.open_entries, history.etcd_cluster_id) == ((), (), "77")
    assert history.bootstraps == (Bootstrap(1, FOUNDER, "t"),)


def test_a_closed_entry_keeps_its_first_outcome() -> None:
    history = fold(UID, LIFE)
    assert apply(history, EntryClosed(NOW + 60, "e-1", "recovered")) == history


def test_each_event_met_twice_in_a_row_changes_nothing() -> None:
    history = fold(UID, ())
    for event in LIFE:
        history = apply(history, event)
        assert apply(history, event) == history, event


def test_first_times_stay_when_an_event_comes_again_later() -> None:
    again = (
        *LIFE[:5],
        Joined(NOW + 50, WORKER),
        BecameReady(NOW + 50, WORKER),
        Born(NOW + 50, birth(WORKER)),
    )
    assert fold(UID, again) == fold(UID, LIFE[:5])


def test_objects_stand_in_for_events_that_a_crash_kept_from_being_written() -> None:
    known = fold(UID, LIFE[:2])
    assert fold(UID, (), (birth(WORKER),), (Bootstrap(1, FOUNDER, "t"),)) == known
    assert fold(UID, LIFE[:2], (birth(WORKER),), (Bootstrap(1, FOUNDER, "t"),)) == known
    assert fold(UID, (), etcd_cluster_id="77").etcd_cluster_id == "77"


def test_an_intent_is_open_until_it_is_done() -> None:
    assert fold(UID, LIFE[:7]).kills == (KillIntent("i-1", WORKER, "noisy"),)
    assert fold(UID, LIFE).kills == ()


def test_only_a_second_key_condemns_and_the_first_reason_stays() -> None:
    born = LIFE[1]
    harmless = fold(UID, (born, Alarm(NOW, WRONG_ADDRESS, WORKER, "from elsewhere")))
    assert harmless.lives[WORKER].condemned == ""
    alarms = (Alarm(NOW, SECOND_KEY, WORKER, "first"), Alarm(NOW, SECOND_KEY, WORKER, "second"))
    assert fold(UID, (born, *alarms)).lives[WORKER].condemned == "first"
    assert fold(UID, (Alarm(NOW, SECOND_KEY, "nobody", "x"),)).lives == {}


def test_a_refused_launch_is_told_since_when_in_its_last_words_until_it_is_launched() -> None:
    refused = LaunchRefused(NOW + 1, WORKER, "NoCapacity: no room")
    stream = (*LIFE[:2], refused, LaunchRefused(NOW + 9, WORKER, "NotFound: no image"))
    life = fold(UID, stream).lives[WORKER]
    assert (life.refused, life.refused_since_unix) == ("NotFound: no image", NOW + 1)
    assert fold(UID, (*stream, *LIFE[2:])) == fold(UID, LIFE)


def test_causes_that_a_rollout_goes_past_add_up_whatever_is_ordered_after() -> None:
    resume = RolloutOrdered(NOW, "i-1", 2, "resume", "jane", "", ("a fails",))
    stream = (
        ReleaseHalted(NOW, ReleaseId("r-1"), PoolName("w"), 2, "a fails", "pod a-1 fails"),
        resume,
        RolloutOrdered(NOW + 1, "i-2", 2, "pause", "jane", ""),
        replace(resume, intent="i-3", causes=("b fails", "a fails")),
    )
    history = fold(UID, (*stream, *stream))
    assert history.halts == {2: ((ReleaseId("r-1"), "a fails"),)}
    assert history.gone_past == {2: ("a fails", "b fails")}
    assert history.orders[2].order == "resume"


def test_the_longest_gone_are_forgotten_unless_an_open_entry_is_about_them() -> None:
    names = [InstanceName(f"worker-{number:05d}") for number in range(folding.KEEP_GONE_LIVES + 20)]
    events: list[Event] = [EntryOpened(NOW, "e-0", names[0], "kill", ())]
    for number, name in enumerate(names):
        events += [Born(NOW + number, birth(name)), SeenGone(NOW + number, name)]
    history = fold(UID, events, births=[birth(name) for name in names])
    assert names[0] in history.lives and names[1] not in history.lives and names[-1] in history.lives
    assert len(history.lives) == folding.KEEP_GONE_LIVES + 1
    history = apply(history, Joined(NOW, names[1]))
    assert names[1] not in history.lives


def test_the_longest_closed_entries_are_forgotten_and_open_ones_never() -> None:
    events: list[Event] = [EntryOpened(NOW, "open", WORKER, "kill", ())]
    for number in range(folding.KEEP_CLOSED_ENTRIES + 5):
        key = f"e-{number:05d}"
        events += [EntryOpened(NOW, key, WORKER, "kill", ()), EntryClosed(NOW + number, key, "done")]
    entries = fold(UID, events).entries
    assert len(entries) == folding.KEEP_CLOSED_ENTRIES + 1
    assert "open" in entries and "e-00004" not in entries and "e-00005" in entries


def test_what_happened_to_an_instance_whose_birth_event_was_never_written_is_kept() -> None:
    one = birth("worker-bcdfg")
    events = [
        Launched(2.0, one.instance, ProviderId("id")),
        Joined(3.0, one.instance),
        BecameReady(4.0, one.instance),
    ]
    life = fold(UID, events, births=[one]).lives[one.instance]
    assert (life.provider_id, life.joined_at_unix, life.ready_at_unix) == ("id", 3.0, 4.0)


def test_an_entry_that_let_its_subject_live_takes_the_place_of_none_that_buries() -> None:
    """Without its entry an instance that is long gone would count as one that has just died."""
    names = [InstanceName(f"w-{number:05d}") for number in range(folding.KEEP_CLOSED_ENTRIES)]
    events: list[Event] = []
    for number, name in enumerate(names):
        at, key = NOW + number, f"{name}-1"
        events += [Born(at, birth(name)), EntryOpened(at, key, name, "rollout", ())]
        events += [SeenGone(at, name), EntryClosed(at, key, "rolled")]
    for number in range(20):
        events += [EntryOpened(NOW + 9000, f"put-{number}", WORKER, "rollout", ())]
        events += [EntryClosed(NOW + 9001 + number, f"put-{number}", "put off")]
    history = fold(UID, events, births=[birth(name) for name in names])
    assert {one.subject for one in history.entries.values() if one.outcome == "rolled"} == set(names)
