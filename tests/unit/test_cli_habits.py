"""The command line's habits: outputs for people and programs, exit codes, words, and what is next."""

from __future__ import annotations

import asyncio
import json
from typing import get_args

import pytest
import yaml

from builders import Cluster as Picture
from builders import birth_of
from cli_ground import Ground, ground_in
from risen.authority.windows import instance_window
from risen.bootstrap import Host, leadership_of
from risen.cli.words import leader_words, seen_words, span, step_words, waiting_words
from risen.codec import records
from risen.core.blocked import Waiting
from risen.core.events import BecameReady, Born, Event, Joined, Launched
from risen.core.names import InstanceName, ProviderId
from risen.core.step import Destroy, Launch, PowerOn, RemoveMember, Step


@pytest.fixture
def ground(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Ground:
    return ground_in(tmp_path_factory.mktemp("ground"), monkeypatch, capsys)


def tell(ground: Ground, *happened: Event, name: str = "lab") -> None:
    """Append to the stream of a cluster."""
    store = ground.cluster(name).store

    async def append() -> None:
        for event in happened:
            await store.append(records.EVENTS, records.encode(event))

    asyncio.run(append())


def test_every_kind_of_step_has_words_of_its_own_and_none_is_a_class_name() -> None:
    every = {kind.__name__ for kind in get_args(Step)}
    picture = Picture.nothing(3, 2)
    said = [step_words(step) for step in picture.plan().steps]
    assert said and not any(word in line for word in every for line in said)


def test_a_step_that_ends_something_says_what_goes_with_it() -> None:
    name, provider_id = InstanceName("w-a"), ProviderId("p")
    assert step_words(Destroy(name, provider_id, True)) == "w-a: end it and its disk, etcd data included"
    assert step_words(Destroy(name, provider_id, False)) == "w-a: end it and its disk"
    assert step_words(PowerOn(name, provider_id)) == "w-a: power it on from its own disk"
    assert step_words(Launch(name)) == "w-a: launch it"


def test_a_wait_says_how_long_already_and_until_when() -> None:
    waiting = Waiting("w-a", "its join", 100.0, 400.0)
    assert waiting_words(waiting, 112.0) == "w-a waits for its join, 12s so far, given up in 4m48s"
    assert waiting_words(Waiting("etcd", "its first answer", 0.0), 5.0) == "etcd waits for its first answer"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.44, "0.4s"), (12.9, "12s"), (185, "3m05s"), (7320, "2h02m"), (340 * 86400, "340d")],
)
def test_spans_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_a_leader_is_told_with_place_and_time() -> None:
    assert (
        leader_words("host-a 4711 since 1000", 1185.0) == "controller leads (pid 4711 on host-a, for 3m05s)"
    )
    assert leader_words("somebody", 0.0) == "controller leads (somebody)"


def test_who_leads_is_told_with_the_last_sign_of_life() -> None:
    leader = "host-a 4711 since 1000"
    assert seen_words(leader, 1184.6, 1185.0).endswith("for 3m05s), seen 0.4s ago")
    assert seen_words(leader, None, 1185.0).endswith("for 3m05s), not seen at work yet")
    assert seen_words(None, 1000.0, 1185.0) == "no controller, last seen 3m05s ago"
    assert seen_words(None, None, 1185.0) == "no controller"


def test_status_says_who_leads_or_when_a_controller_was_last_seen(ground: Ground) -> None:
    ground.cluster()
    assert "no controller · store ok" in ground.risen("status").out
    log = ground.home / "clusters" / "lab" / "controller.log"
    log.write_bytes(b"\xff garbage")
    told = ground.risen("status")
    assert "no controller, last seen 3" in told.out or "last seen 0" in told.out
    assert f"LOG    {log}" in told.out
    assert "WRONG  no controller: nothing is mended until `risen up` starts one" in told.out


def test_status_names_the_certificate_that_ends_first(ground: Ground) -> None:
    joined = 1_800_000_000.0
    tell(
        ground,
        *(Born(joined, birth_of(name)) for name in ("w-a", "w-b")),
        *(Joined(joined, InstanceName(name)) for name in ("w-a", "w-b")),
    )
    ends = {name: instance_window(InstanceName(name), joined).end for name in ("w-a", "w-b")}
    first = min(ends, key=lambda name: ends[name])
    line = next(line for line in ground.risen("status").out.splitlines() if line.startswith("CERTS"))
    assert line.startswith("CERTS  first expiry in ") and line.endswith(f"d ({first})")


def test_json_and_yaml_say_the_same(ground: Ground) -> None:
    ground.cluster()
    as_json = json.loads(ground.risen("get", "instances", "-o", "json").out)
    as_yaml = yaml.safe_load(ground.risen("get", "instances", "-o", "yaml").out)
    assert as_json == as_yaml == []
    status = yaml.safe_load(ground.risen("status", "-o", "yaml").out)
    assert (status["cluster"], status["steps"]) == ("lab", ["etcd: to be founded on a new instance"])


@pytest.mark.parametrize("words", [("images", "list"), ("version",), ("get", "instances")])
def test_whatever_lists_or_shows_does_so_as_json_and_yaml(ground: Ground, words: tuple[str, ...]) -> None:
    ground.cluster()
    as_json, as_yaml = (ground.risen(*words, "-o", form).out for form in ("json", "yaml"))
    assert json.loads(as_json) == yaml.safe_load(as_yaml)
    assert as_json != as_yaml or as_json.strip() == "[]"


def test_doctor_does_so_too_of_a_host_that_changes_meanwhile(ground: Ground) -> None:
    """Free space and load are others between two runs."""
    as_json, as_yaml = (ground.risen("doctor", "-o", form).out for form in ("json", "yaml"))
    first, second = json.loads(as_json), yaml.safe_load(as_yaml)
    assert [(one["name"], list(one)) for one in first] == [(one["name"], list(one)) for one in second] != []
    assert as_json != as_yaml


def test_events_are_lines_for_people_and_one_document_each_for_programs(ground: Ground) -> None:
    name = InstanceName("w-a")
    tell(ground, Born(1.0, birth_of("w-a")), Launched(2.0, name, ProviderId("p")), BecameReady(3.5, name))
    assert [line.split()[1] for line in ground.risen("events").out.splitlines()] == ["born", "launch", "rise"]
    found = [json.loads(line) for line in ground.risen("events", "-o", "json").out.splitlines()]
    assert [event["kind"] for event in found] == ["Born", "Launched", "BecameReady"]
    assert found[2] == {
        "kind": "BecameReady", "time": "1970-01-01T00:00:03.500+00:00", "unix": 3.5, "instance": "w-a",
    }  # fmt: skip
    documents = list(yaml.safe_load_all(ground.risen("events", "-o", "yaml").out))
    assert documents == found


def test_what_is_next_goes_beside_a_listing_so_that_pipes_stay_clean(ground: Ground) -> None:
    ground.cluster()
    told = ground.risen("events")
    assert (told.out, told.err) == ("", "next    risen up     (nothing happened yet)\n")
    assert "next    risen status" not in ground.risen("get", "instances", "-o", "name").both


def test_a_dry_run_of_apply_is_the_plan_and_changes_nothing(ground: Ground) -> None:
    ground.cluster()
    ground.file(ground.yaml(workers=2))
    dry, plan = ground.risen("apply", "--dry-run"), ground.risen("plan")
    assert dry.code == plan.code == 0
    assert dry.out.splitlines()[:3] == plan.out.splitlines()[:3]
    assert "spec.pools[worker].replicas: 1 → 2 (replaces nothing)" in dry.out
    assert not ground.stored("lab", "revisions/00000002").exists()


def test_plan_exits_with_2_only_when_asked_and_something_would_change(ground: Ground) -> None:
    ground.cluster()
    ground.file(ground.yaml(workers=2))
    assert ground.risen("plan").code == 0
    assert ground.risen("plan", "--detailed-exitcode").code == 2
    ground.file(ground.yaml())
    told = ground.risen("plan", "--detailed-exitcode")
    assert (told.code, "nothing would change" in told.out) == (0, True)


def test_a_kill_names_who_acts_on_it(ground: Ground) -> None:
    tell(ground, Born(1.0, birth_of("w-a")), name="lab")

    async def kill() -> str:
        lead = await leadership_of(Host(ground.home, ground.home), "lab").try_lead("example 4711")
        assert lead is not None
        told = await asyncio.to_thread(ground.risen, "kill", "w-a", "--yes", "--reason", "trial")
        await lead.release()
        return told.out

    assert "asked   end w-a now · controller leads (pid 4711 on example" in asyncio.run(kill())
    assert "nobody leads: done once `risen up` starts one" in ground.risen("kill", "w-a", "--yes").out


def test_a_removed_member_without_a_name_is_said_by_its_id() -> None:
    from risen.core.names import MemberId

    assert step_words(RemoveMember(MemberId("9"), InstanceName(""), False)) == "member 9: remove it from etcd"
