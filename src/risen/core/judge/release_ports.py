"""Whether the programs of a first instance answer at their ports: those that are no pods, and that nothing else tells of.

A scheduler that never starts leaves its Node Ready and its apiserver well; its cluster finds out when every instance
is of that release.
"""

from __future__ import annotations

from risen.core.history import History, Life
from risen.core.judge.facts import Facts
from risen.core.judge.trial import SETTLE_SECONDS, Bad, Halted, NotYet, ReleaseVerdict, Trial
from risen.core.picture import PortSeen

MOST_BESIDE = 3


def on_trial(history: History) -> tuple[Life, ...]:
    """Instances whose ports are asked, by name: Ready ones of releases that have not passed, where one stood before."""
    if not history.settled:
        return ()
    judged = history.passed.keys() | history.revoked.keys()
    return tuple(life for life in _ready(history) if life.birth.release not in judged)


def beside(history: History, tried: tuple[Life, ...]) -> tuple[Life, ...]:
    """Some others, of the same roles first: where they are silent as well, a silent port says nothing of a release. In
    a pool of one that may be another role's: every node has a kubelet and a kube-proxy."""
    roles = {life.birth.role for life in tried}
    good = [life for life in _ready(history) if life.birth.release in history.passed]
    return tuple(sorted(good, key=lambda life: life.birth.role not in roles)[: MOST_BESIDE * len(roles)])


def _ready(history: History) -> list[Life]:
    lives = [
        life
        for life in history.lives.values()
        if life.ready_at_unix is not None and life.gone_at_unix is None
    ]
    return sorted(lives, key=lambda life: life.birth.instance)


def silent_port(facts: Facts, trial: Trial, until_unix: float) -> ReleaseVerdict | None:
    """What a port that does not answer says of the release; None while all do. Until then it had no time to settle."""
    name = trial.life.birth.instance
    if not trial.programs:
        return None
    if facts.ports is None:
        unseen = f"the ports of {name} cannot be asked"
        return Halted(unseen, "ports cannot be asked", lasts=True, awaits=f"the ports of {name} to be asked")
    mine = {seen.program: seen for seen in facts.ports if seen.instance == name}
    if not mine.keys() >= set(trial.programs):
        return NotYet(f"the ports of {name} to be asked", holds=True)
    silent = [mine[program] for program in trial.programs if not mine[program].answers]
    return _silent(facts, trial, silent[0], until_unix) if silent else None


def _silent(facts: Facts, trial: Trial, silent: PortSeen, until_unix: float) -> ReleaseVerdict:
    what, for_seconds = silent.program, facts.now.boot - silent.since
    for_what = f"{silent.instance}'s {what} to answer at port {silent.port}"
    others = [
        seen
        for seen in facts.ports or ()
        if seen.program == what and seen.instance != trial.life.birth.instance
    ]
    if not any(seen.answers for seen in others):
        why = f"no {what} answers at port {silent.port}: the trouble may not be {silent.instance}'s own"
        return Halted(why, f"no {what} answers", lasts=True, awaits=for_what)
    if facts.now.unix < until_unix or for_seconds < SETTLE_SECONDS:
        return NotYet(for_what, max(until_unix, facts.now.unix + SETTLE_SECONDS - for_seconds), holds=True)
    return Bad(
        (
            f"{silent.instance}: its {what} does not answer at port {silent.port}, for {for_seconds:.0f} s by now",
        )
    )


def answering_since(facts: Facts, trial: Trial) -> float:
    """Since when all of them do, in unix seconds; 0 where none was ever missed."""
    name = trial.life.birth.instance
    mine = (seen for seen in facts.ports or () if seen.instance == name and seen.program in trial.programs)
    since = max((seen.since for seen in mine), default=0.0)
    return facts.now.unix - (facts.now.boot - since) if since else 0.0
