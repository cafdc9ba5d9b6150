"""What the user's gates say of a release that served through its soak: those that failed and passed, those to be asked
(again), and for what they halt its rollout.

It asks none and writes no verdict.
"""

from __future__ import annotations

from dataclasses import dataclass

from risen.core.history import TaskResult
from risen.core.judge.trial import Halted
from risen.core.names import ReleaseId
from risen.core.rules.view import View
from risen.core.task import AskGate


@dataclass(frozen=True, slots=True)
class GatesSay:
    """`unasked` have no result yet, `silent` one that says nothing of the release: both are to be asked."""

    failed: tuple[str, ...]
    passed: tuple[str, ...]
    unasked: tuple[AskGate, ...]
    silent: tuple[AskGate, ...]
    halted: Halted | None


def silent_cause(name: str) -> str:
    """The cause of a halt by a gate that says nothing. Gone past, the gate is not needed while that is so."""
    return f"gate {name} says nothing"


def gates_of(view: View, release: ReleaseId) -> GatesSay:
    """What they say in the revision in force. One that failed counts above all, whatever the others do."""
    failed: list[str] = []
    passed: list[str] = []
    unasked: list[AskGate] = []
    silent: list[tuple[AskGate, TaskResult]] = []
    gone_past = view.facts.history.gone_past.get(view.revision.number, ())
    for gate in view.revision.spec.gates:
        asked = AskGate(release, view.revision.number, gate)
        result = view.facts.history.results.get(asked.key)
        if result is None:
            unasked.append(asked)
        elif result.silent and silent_cause(gate.name) not in gone_past:
            silent.append((asked, result))
        else:
            (passed if result.ok or result.silent else failed).append(f"gate {gate.name}: {result.text}")
    halted = None if failed or not silent else _halted(*silent[0])
    return GatesSay(tuple(failed), tuple(passed), tuple(unasked), tuple(gate for gate, _ in silent), halted)


def _halted(asked: AskGate, result: TaskResult) -> Halted:
    name = asked.gate.name
    why = f"gate {name}: {result.text}, which says nothing of the release; it is asked again"
    return Halted(why, silent_cause(name))
