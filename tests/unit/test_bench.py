"""What bench records hold, and what is read of a cluster's events; the figures themselves need a real cluster."""

from __future__ import annotations

import asyncio
import datetime
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from builders import birth_of
from risen.adapters.store.directory import DirectoryStore
from risen.core.events import (
    BecameReady,
    Born,
    EntryClosed,
    EntryOpened,
    Event,
    Joined,
    Launched,
    ReplaceAsked,
    SeenGone,
)
from risen.core.names import InstanceName, ProviderId, Role
from risen.core.step import CordonNode
from risen.engine.past import load_past

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.append(str(BENCH))

from shared.gaps import Gap, longest_gap  # noqa: E402
from shared.phases import phases_of  # noqa: E402
from shared.record import Figure, record_of  # noqa: E402
from shared.replacements import last_replacement  # noqa: E402

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
NAME = InstanceName("worker-a")


def test_a_record_holds_what_a_comparison_needs_and_leaves_out_what_was_not_measured() -> None:
    figures = {"up": Figure("s", [3.0, 1.0, 2.00004], 90, note="why"), "not measured": Figure("s", [])}
    record = record_of("rise", figures, {"kubernetes": "1.36.3"}, NOW)
    assert set(record) == {"bench", "commit", "date", "machine", "versions", "figures"}
    assert record["date"] == "2026-01-02T03:04:05+00:00"
    assert record["figures"] == {
        "up": {
            "unit": "s", "runs": [3.0, 1.0, 2.0], "median": 2.0, "worst": 3.0, "better": "lower",
            "aim": 90, "aim_on": "median", "rival": {}, "note": "why",
        }
    }  # fmt: skip


def test_a_launch_counts_from_when_it_was_first_seen_and_not_from_its_answer() -> None:
    events: list[Event] = [
        Born(0.0, birth_of(NAME)),
        Launched(1.0, NAME, ProviderId("id")),
        Launched(2.0, NAME, ProviderId("id")),
        Joined(4.0, NAME),
        BecameReady(9.0, NAME),
    ]
    (phases,) = phases_of(events).values()
    assert (phases.role, phases.to_join, phases.to_ready, phases.whole) == (Role.WORKER, 3.0, 5.0, 8.0)


def test_an_instance_that_never_became_ready_has_no_phases() -> None:
    assert phases_of([Born(0.0, birth_of(NAME)), Launched(1.0, NAME, ProviderId("id"))]) == {}


OLD = InstanceName("worker-old")
REPLACED: list[Event] = [
    Born(0.0, birth_of(OLD)),
    Launched(1.0, OLD, ProviderId("old")),
    BecameReady(5.0, OLD),
    ReplaceAsked(100.0, "i-1", OLD, "jane", "bench"),
    Born(100.5, birth_of(NAME)),
    Launched(101.0, NAME, ProviderId("id")),
    BecameReady(105.0, NAME),
    EntryOpened(108.0, "e-1", OLD, "replace", ()),
    SeenGone(112.0, OLD),
    EntryClosed(112.25, "e-1", "gone"),
]


def test_what_a_replacement_took_is_told_apart_into_boot_drain_soak_and_the_rest() -> None:
    found = last_replacement(REPLACED, OLD)
    assert (found.new, found.whole, found.boot, found.drain) == (NAME, 12.25, 4.0, 4.0)
    assert found.beyond(soak_seconds=3.0) == 1.25


def test_a_replacement_that_is_not_over_is_no_figure() -> None:
    with pytest.raises(AssertionError, match=r"worker-old: its events lack \['closed'\]"):
        last_replacement(REPLACED[:-1], OLD)


def test_a_gap_reaches_to_the_ends_of_its_window_and_no_further() -> None:
    assert longest_gap([1.0, 2.0, 2.25], since=2.0, until=3.0) == Gap(0.75, began=0.25)
    assert longest_gap([2.5, 9.0], since=2.0, until=3.25) == Gap(0.75, began=0.5)


@pytest.mark.parametrize("program", sorted(path.stem for path in BENCH.glob("*.py")))
def test_every_bench_starts_and_says_how_often_it_measures(program: str) -> None:
    words = [sys.executable, str(BENCH / f"{program}.py"), "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "--runs" in done.stdout


def test_the_past_that_is_measured_is_one_of_a_cluster_that_stands(tmp_path: Path) -> None:
    history = runpy.run_path(str(BENCH / "history.py"))
    asyncio.run(history["fill"](tmp_path / "store", 300))
    past = asyncio.run(load_past(DirectoryStore(tmp_path / "store")))
    living = [life for life in past.history.lives.values() if life.gone_at_unix is None]
    assert (len(living), past.history.open_entries, past.seq >= 300) == (history["STANDING"], (), True)
    figures = asyncio.run(history["read"](tmp_path / "store"))
    assert set(figures) == {"read all", "look for news", "append one", "memory"}
    assert all(value > 0 for value in figures.values())


def test_compile_times_are_read_from_what_a_bake_says() -> None:
    said = "base      53.9s  base: Debian\ncompile etcd       …  the Go compiler\ncompile etcd    61.5s  etcd 3.6.16\n"
    found = runpy.run_path(str(BENCH / "compile.py"))["seconds_by_component"](said)
    assert found == {"etcd 3.6.16": 61.5}


def test_what_is_decided_and_planned_in_the_bench_is_amid_a_rollout() -> None:
    plan = runpy.run_path(str(BENCH / "plan.py"))
    found = plan["once"](100, 3)
    assert set(found) == {"decide", "plan", "memory"}
    assert all(value > 0 for value in found.values())
    cluster = plan["rolling"](100, 3)
    cordoned = {step.node for step in cluster.steps(CordonNode)}
    assert cordoned and cordoned <= {InstanceName(f"w-{number:05d}") for number in range(50, 100)}
