"""A rollout as people follow and steer it: its screen, their orders, the story of every revision."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from click import ClickException

from builders import CP, Cluster, W, pod_of
from cli_ground import Ground, ground_in
from risen.bootstrap import Cluster as Opened
from risen.bootstrap import Host, open_cluster
from risen.cli.consoles import Consoles
from risen.cli.glimpse import Glimpse
from risen.cli.progress import bar, halted_next, progress_of, rollout_lines
from risen.cli.rollout import causes_to_go_past
from risen.cli.screen import UP_AND_CLEAR, Screen
from risen.cli.stories import Outcome, tell_of
from risen.cli.views import view_of
from risen.cli.watch import line_of
from risen.codec import records
from risen.core import events as happened
from risen.core.history import Entry, Intent, Revoked, RolloutIntent
from risen.core.names import InstanceName, ReleaseId
from risen.core.reasons import ROLLBACK, ROLLOUT
from risen.core.rules.verdict import halts
from risen.core.spec import Revision
from risen.interfaces.store import IfAbsent
from rollout_past import FIRST, REVISIONS, SECOND, THIRD, T, past


@pytest.fixture
def ground(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Ground:
    monkeypatch.setenv("RISEN_BY", "jane")
    return ground_in(tmp_path_factory.mktemp("ground"), monkeypatch, capsys)


def standing(ground: Ground, *events: happened.Event, more: tuple[Revision, ...] = ()) -> Ground:
    """A cluster `lab` with these events, and revisions after its first."""
    store = ground.cluster("lab").store

    async def write() -> None:
        for event in events:
            await store.append(records.EVENTS, records.encode(event))
        for revision in more:
            await store.put(records.revision_key(revision.number), records.encode(revision), IfAbsent())

    asyncio.run(write())
    return ground


async def _opened(ground: Ground) -> Opened:
    return await open_cluster(Host(ground.home, ground.home), "lab")


def asked(ground: Ground) -> list[Intent]:
    async def read() -> list[Intent]:
        store = (await _opened(ground)).store
        found = [(key, await store.get(key)) for key in await store.list(records.INTENTS)]
        return [records.decode_intent(one.data, key) for key, one in found if one is not None]

    return asyncio.run(read())


def glimpse_of(ground: Ground, cluster: Cluster) -> Glimpse:
    """A look at a picture in the making, as if it were `lab`."""
    there = ground.home / "clusters" / "lab"
    opened = asyncio.run(_opened(ground)) if there.exists() else ground.cluster("lab")
    opened = replace(opened, revision=cluster.revision)
    history, picture = cluster.history(), cluster.picture()
    now = cluster.now
    return Glimpse(opened, history, picture, cluster.plan(), None, now.boot, now.unix, Consoles({}, {}))


def rolling() -> Cluster:
    """Two of four workers are on the new release, one is being drained."""
    cluster = Cluster.standing(3, 4).apply(W)
    cluster.passed[ReleaseId("r-w-new")] = ("w-x served for 10 s with 2 pods",)
    cluster.revision = replace(cluster.revision, applied_unix=cluster.now.unix - 75)
    for name in ("w-x", "w-y"):
        cluster.serve(name).of_release(name)
    for gone in ("w-c", "w-d"):
        del cluster.lives[gone], cluster.instances[gone], cluster.nodes[gone]
    entry = Entry("w-a-1", InstanceName("w-a"), ROLLOUT, ("r-w → r-w-new",), cluster.now.unix - 12)
    cluster.entries[entry.id] = entry
    cluster.pods += [pod_of("web-1", "w-a"), pod_of("web-2", "w-a"), pod_of("ds", "w-a", daemon=True)]
    return cluster


# --- the screen ---------------------------------------------------------------------------------------------
def test_the_screen_tells_how_far_it_is_what_is_drained_and_the_verdict(ground: Ground) -> None:
    lines = rollout_lines(glimpse_of(ground, rolling()))
    assert lines[0].startswith(f"lab 2 → r-w-new   {bar(2, 4)}  2/4   75s, ETA ")
    assert "(plan " in lines[0] and "assumed" in lines[0]
    assert lines[1:3] == ["cp  3/3", "w   2/4     w-a draining for 12s: 2 pods left (default/web-1)"]
    verdict = "verdict  r-w-new: passed: w-x served for 10 s with 2 pods · 2 instances, 0 failed, boot p50 9.0s (r-w: 9.0s)"
    assert lines[3] == verdict


def test_what_never_came_up_of_a_revoked_release_counts_as_failed(ground: Ground) -> None:
    cluster = Cluster.standing(3, 2).apply(W)
    bad = ReleaseId("r-w-new")
    cluster.revoked[bad] = Revoked(bad, W, 2, ("w-x was never Ready",), cluster.now.unix)
    cluster.serve("w-x").of_release("w-x")
    cluster.lives["w-x"] = replace(cluster.lives["w-x"], ready_at_unix=None)
    lines = rollout_lines(glimpse_of(ground, cluster))
    assert "verdict  r-w-new: REVOKED: w-x was never Ready · 1 instance, 1 failed" in lines


def test_what_a_release_was_revoked_for_counts_as_failed_and_its_gate_does_not(ground: Ground) -> None:
    bad = ReleaseId("r-w-new")
    for evidence, failed in (
        ("w-x: its kube-proxy does not answer at port 10256, for 40 s by now", 1),
        ("gate shop: 500", 0),
    ):
        cluster = Cluster.standing(3, 2).apply(W)
        cluster.serve("w-x").of_release("w-x")
        cluster.revoked[bad] = Revoked(bad, W, 2, (evidence,), cluster.now.unix)
        (told,) = [line for line in rollout_lines(glimpse_of(ground, cluster)) if "REVOKED" in line]
        assert f"1 instance, {failed} failed" in told


def test_the_bar_is_full_only_when_all_is_done() -> None:
    assert [bar(done, 28).count("█") for done in (0, 14, 27, 28)] == [0, 8, 15, 16]
    assert bar(0, 0).count("█") == 16


def test_a_revision_that_stands_is_one_line_and_its_pools(ground: Ground) -> None:
    lines = rollout_lines(glimpse_of(ground, Cluster.standing(3, 2)))
    assert lines == ["lab 1   every instance is on it (5/5)", "cp  3/3", "w   2/2"]


def test_one_that_was_skipped_is_told_and_does_not_keep_the_rollout_going(ground: Ground) -> None:
    cluster = Cluster.standing(3, 2).apply(W)
    cluster.passed[ReleaseId("r-w-new")] = ("tried",)
    cluster.of_release("w-a").open("w-b", "rollout", closed_unix=cluster.now.unix, outcome="skipped")
    cluster.revision = replace(cluster.revision, applied_unix=cluster.now.unix - 200)
    cluster.completed, cluster.settled = 2, cluster.revision.releases
    cluster.completed_but = ("w-b: it was skipped, its drain took too long",)
    lines = rollout_lines(glimpse_of(ground, cluster))
    assert lines[:3] == [
        "lab 2   every instance is on it but w-b: it was skipped, its drain took too long (4/5)",
        "cp  3/3",
        "w   1/2     1 skipped",
    ]


def test_one_that_is_gone_back_from_says_why_and_is_whole_once_all_are_back(ground: Ground) -> None:
    cluster = Cluster.standing(3, 2).apply(W)
    bad = ReleaseId("r-w-new")
    cluster.revoked[bad] = Revoked(bad, W, 2, ("w-x was never Ready",), cluster.now.unix)
    assert rollout_lines(glimpse_of(ground, cluster))[0] == (
        "lab 2   gone back from: r-w-new is revoked: w-x was never Ready; every instance is on the releases of "
        "revision 1"
    )
    cluster.serve("w-x").of_release("w-x")
    entry = Entry("w-x-1", InstanceName("w-x"), ROLLBACK, ("r-w-new → r-w",), cluster.now.unix)
    cluster.entries[entry.id] = entry
    now = progress_of(view_of(glimpse_of(ground, cluster)))
    assert not now.whole and now.back is not None
    assert "going back r-w" in rollout_lines(glimpse_of(ground, cluster))[0]


def test_it_is_not_whole_before_the_ledger_says_so(ground: Ground) -> None:
    cluster = Cluster.standing(3, 2).apply(W)
    for name in ("w-a", "w-b"):
        cluster.of_release(name)
    assert not progress_of(view_of(glimpse_of(ground, cluster))).whole
    cluster.complete()
    assert progress_of(view_of(glimpse_of(ground, cluster))).whole


def test_blocked_and_paused_are_on_the_screen(ground: Ground) -> None:
    cluster = Cluster.standing(3, 2).apply(CP)
    cluster.orders[2] = RolloutIntent("i", 2, "pause", "jane", "lunch")
    lines = rollout_lines(glimpse_of(ground, cluster))
    assert lines[0].endswith("paused")
    assert "BLOCKED  paused: cp: revision 2 is paused by jane: lunch" in lines


def test_a_pod_that_asks_to_stay_in_mid_drain_is_named_on_the_screen(ground: Ground) -> None:
    cluster = rolling()
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], unschedulable=True)
    cluster.pods[0] = replace(cluster.pods[0], protected=True)
    told = "BLOCKED  do-not-disrupt: w-a: pod default/web-1 is annotated so; it stays"
    assert any(line.startswith(told) for line in rollout_lines(glimpse_of(ground, cluster)))


def test_status_is_the_same_as_data(ground: Ground) -> None:
    standing(ground)
    found = json.loads(ground.risen("rollout", "status", "-o", "json").out)
    assert (found["revision"], found["whole"], found["wanted"]) == (1, False, 2)
    assert ground.risen("rollout", "status", "-w", "-o", "json").code == 64


def test_watching_stops_after_its_timeout_and_says_that_the_rollout_goes_on(ground: Ground) -> None:
    told = standing(ground).risen("rollout", "status", "-w", "--timeout", "0")
    assert told.code == 1 and "stopped watching after 0 s; the rollout goes on" in told.out


def test_without_a_terminal_only_what_is_news_is_said() -> None:
    said: list[str] = []
    screen = Screen(False, say=said.append)
    screen.show(["lab 2 → r  1/3  5.0s, ETA 12s", "w  draining for 3.1s"])
    screen.show(["lab 2 → r  1/3  6.0s, ETA 11s", "w  draining for 4.2s"])
    screen.show(["lab 2 → r  2/3  1m07s, ETA 10s", "w  draining for 5.2s"])
    assert said == ["lab 2 → r  1/3  5.0s, ETA 12s", "w  draining for 3.1s", "lab 2 → r  2/3  1m07s, ETA 10s"]


def test_on_a_terminal_the_lines_replace_those_before_and_none_is_wrapped() -> None:
    said: list[str] = []
    screen = Screen(True, 10, said.append)
    screen.show(["a" * 30, "b"])
    screen.show(["c"])
    assert said == ["a" * 9 + "\nb", UP_AND_CLEAR.format(2) + "c"]


# --- orders -------------------------------------------------------------------------------------------------
def applied(ground: Ground) -> Ground:
    """Revision 1 stood, revision 2 is under way."""
    whole = happened.RevisionCompleted(T, 1, FIRST.releases)
    return standing(ground, whole, more=(SECOND,))


def test_an_order_names_the_newest_revision_who_and_why(ground: Ground) -> None:
    told = applied(ground).risen("rollout", "pause", "--reason", "lunch")
    assert told.code == 0 and "asked   pause the rollout of revision 2" in told.out
    (intent,) = asked(ground)
    assert isinstance(intent, RolloutIntent)
    assert (intent.revision, intent.order, intent.by, intent.reason) == (2, "pause", "jane", "lunch")


def test_abort_asks_and_says_where_it_goes_back_to(ground: Ground) -> None:
    applied(ground)
    assert ground.risen("rollout", "abort").code == 1 and asked(ground) == []
    told = ground.risen("rollout", "abort", typed="y\n")
    assert "go back from revision 2 to the releases of revision 1?" in told.out
    assert [intent.order for intent in asked(ground) if isinstance(intent, RolloutIntent)] == ["abort"]


@pytest.mark.parametrize("order", ["pause", "abort"])
def test_what_stands_whole_is_neither_paused_nor_aborted(ground: Ground, order: str) -> None:
    standing(ground, happened.RevisionCompleted(T, 1, FIRST.releases))
    words = ["--yes"] if order == "abort" else []
    told = ground.risen("rollout", order, *words)
    assert told.code == 1 and asked(ground) == []
    assert f"there is nothing to {order}; `risen rollout undo` goes back" in told.err


def test_what_stands_but_for_one_that_goes_on_being_drained_may_be_paused(ground: Ground) -> None:
    standing(ground, happened.RevisionCompleted(T, 1, FIRST.releases, but=("w-b: its pods do not leave it",)))
    assert ground.risen("rollout", "abort", "--yes").code == 1
    assert ground.risen("rollout", "pause").code == 0
    assert [intent.order for intent in asked(ground) if isinstance(intent, RolloutIntent)] == ["pause"]


def test_an_order_that_holds_already_is_refused_with_who_gave_it(ground: Ground) -> None:
    whole = happened.RevisionCompleted(T, 1, FIRST.releases)
    paused = happened.RolloutOrdered(T, "i", 2, "pause", "ci", "freeze")
    standing(ground, whole, paused, more=(SECOND,))
    assert "was told to pause already, by ci: freeze" in ground.risen("rollout", "pause").err
    assert ground.risen("rollout", "resume").code == 0


def test_there_is_nothing_to_resume_that_was_not_held(ground: Ground) -> None:
    assert "neither paused, aborted nor halted" in applied(ground).risen("rollout", "resume").err


def halted(**pod: object) -> Cluster:
    """Its first instance runs a pod that fails, on the old one as well."""
    cluster = Cluster.standing(3, 2).apply(W)
    cluster.serve("w-x").of_release("w-x")
    failing = {"ready": False, "failing": "CrashLoopBackOff", **pod}
    cluster.pods = [pod_of("web-1", "w-x", **failing), pod_of("web-2", "w-a", **failing)]
    return cluster


def test_resume_goes_past_what_it_is_halted_for_and_tells_it(
    ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    glimpse = glimpse_of(ground, halted())
    assert causes_to_go_past(SECOND, halts(view_of(glimpse))) == ("default/ReplicaSet/web fails",)
    assert "past    pod default/web-1 on w-x: CrashLoopBackOff" in capsys.readouterr().out
    assert halted_next(glimpse).startswith("risen rollout resume -c lab     (go on past what halts it)")


def test_nobody_goes_past_what_keeps_an_instance_from_serving(ground: Ground) -> None:
    cluster = halted(failing="")
    cluster.lives["w-x"] = replace(cluster.lives["w-x"], ready_at_unix=None)
    cluster.nodes["w-x"] = replace(cluster.nodes["w-x"], ready=False, waiting_for_addons=True)
    glimpse = glimpse_of(ground, cluster)
    with pytest.raises(ClickException, match="nobody can go past this: w-x waits for its network plugin"):
        causes_to_go_past(SECOND, halts(view_of(glimpse)))
    assert halted_next(glimpse).startswith(
        "mend what halts it: it goes on by itself   or: risen rollout abort"
    )


def test_status_names_what_mends_a_pause_and_nothing_where_it_goes_on(ground: Ground) -> None:
    assert halted_next(glimpse_of(ground, rolling())) == ""
    cluster = rolling()
    cluster.orders[2] = RolloutIntent("i", 2, "pause", "jane", "lunch")
    assert halted_next(glimpse_of(ground, cluster)).startswith("risen rollout resume -c lab     (go on)")


def test_nothing_is_aborted_before_anything_stood(ground: Ground) -> None:
    told = standing(ground, more=(SECOND,)).risen("rollout", "abort", "--yes")
    assert told.code == 1 and "there is nothing to go back to" in told.err


def test_undo_without_an_earlier_one_that_stood_says_so(ground: Ground) -> None:
    told = standing(ground, more=(SECOND,)).risen("rollout", "undo", "--yes")
    assert told.code == 1 and "no earlier revision stood whole with other releases" in told.err
    assert "no revision 9: there are 1 to 2" in ground.risen("rollout", "undo", "--to", "9", "--yes").err


# --- the story of revisions ---------------------------------------------------------------------------------
def test_every_revision_has_its_outcome_its_time_and_its_verdicts() -> None:
    first, second, third = tell_of(REVISIONS, past())
    assert [one.outcome for one in (first, second, third)] == [Outcome.WHOLE, Outcome.WHOLE, Outcome.REVOKED]
    assert (first.seconds, second.seconds, third.seconds) == (30.0, 85.0, None)
    assert [entry.subject for entry in second.replaced] == ["worker-a", "worker-b"]
    assert second.verdicts == (
        "r-new passed: worker-c served for 10 s with 2 pods", "pause by jane: lunch", "resume by jane",
    )  # fmt: skip
    assert third.verdicts == ("r-bad REVOKED: worker-e was never Ready",)


@pytest.mark.parametrize(
    ("events", "revisions", "outcome"),
    [
        ([happened.RolloutOrdered(T, "i", 2, "abort", "", "")], (FIRST, SECOND, THIRD), Outcome.ABORTED),
        ([happened.RolloutOrdered(T, "i", 2, "pause", "", "")], (FIRST, SECOND), Outcome.PAUSED),
        ([], (FIRST, SECOND), Outcome.GOING_ON),
        ([], (FIRST, SECOND, THIRD), Outcome.SUPERSEDED),
    ],
)
def test_what_did_not_stand_is_told_apart(
    events: list[happened.Event], revisions: tuple[Revision, ...], outcome: Outcome
) -> None:
    assert tell_of(revisions, events)[1].outcome is outcome


def test_a_halt_and_what_went_past_it_are_told() -> None:
    told = [
        happened.ReleaseHalted(
            T, ReleaseId("r-new"), W, 2, "default/DaemonSet/logs fails", "pod default/l-1 fails"
        ),
        happened.RolloutOrdered(T + 1, "i", 2, "resume", "jane", "known", ("default/DaemonSet/logs fails",)),
    ]
    assert tell_of((FIRST, SECOND), told)[1].verdicts == (
        "r-new halted: pod default/l-1 fails", "resume by jane: known",
    )  # fmt: skip
    assert [line_of(event)[9:] for event in told] == [
        "halted  r-new of w, revision 2: pod default/l-1 fails",
        "resume  rollout of revision 2 past what it is halted for (default/DaemonSet/logs fails), by jane: known",
    ]


def test_history_is_a_table_or_data_and_says_who_and_why(ground: Ground) -> None:
    standing(ground, *past(), more=(SECOND, THIRD))
    told = ground.risen("rollout", "history")
    lines = told.out.splitlines()
    assert lines[0].split() == ["REVISION", "APPLIED", "BY", "RELEASES", "REPLACED", "OUTCOME", "TOOK", "WHY"]
    assert "ci/4711" in lines[2] and "85s" in lines[2] and lines[2].endswith("more pods")
    assert "revoked" in lines[3] and "r-bad" in lines[3]
    wide = ground.risen("rollout", "history", "-o", "wide").out
    assert "3   r-bad REVOKED: worker-e was never Ready" in wide
    data = json.loads(ground.risen("rollout", "history", "-o", "json").out)
    assert data[1]["replaced"][0] | {"evidence": []} == {
        "instance": "worker-a", "reason": "rollout", "evidence": [], "opened_unix": T + 1020,
        "closed_unix": T + 1035, "outcome": "rolled", "ledger": "worker-a-1",
    }  # fmt: skip


def test_what_cannot_be_seen_now_halts_nothing_that_a_person_might_go_past(ground: Ground) -> None:
    cluster = halted()
    cluster.unseen["kubernetes"] = "Unreachable: not in sync yet"
    glimpse = glimpse_of(ground, cluster)
    assert (halts(view_of(glimpse)), halted_next(glimpse)) == ((), "")
