"""What reality has answered, the simulator can answer; what is said to be rare, it can indeed be brought to say."""

from __future__ import annotations

import pytest

from fidelity.asked import PLAIN
from fidelity.comparison import kept_answers
from fidelity.plugin import KEPT
from fidelity.rare import RARE
from fidelity.simulated import answerable, answers_to
from risen.interfaces.answers import Answer
from risen.interfaces.endpoint import Endpoint
from risen.interfaces.etcd import Etcd
from risen.interfaces.kubernetes import Kubernetes
from risen.interfaces.provider import Provider
from risen.interfaces.recording import Recorder
from risen.interfaces.store import Leadership, Store
from risen.sim.faults import Faults

INTERFACES = (Provider, Endpoint, Etcd, Kubernetes, Store, Leadership)


@pytest.mark.parametrize("answer", RARE)
def test_what_is_declared_rare_is_answered_when_it_is_provoked(answer: str) -> None:
    assert Answer.parse(answer) in answers_to(RARE[answer], Faults())


def test_all_that_reality_has_answered_so_far_the_simulator_can_answer() -> None:
    kept = kept_answers(KEPT.read_text().splitlines())
    assert sorted(map(str, kept - answerable())) == []
    assert len(kept) > 100


def test_every_operation_that_the_simulator_stands_behind_is_asked() -> None:
    """A method added to an interface must be asked here, too, or its faults are never held against reality."""
    recorders = (Recorder(interface, lambda answer, error: None) for interface in INTERFACES)
    operations = {recorder.operation(method) for recorder in recorders for method in recorder.methods()}
    assert operations == set(PLAIN)


@pytest.mark.parametrize("operation", PLAIN)
def test_every_request_can_be_answered_and_all_but_those_of_a_lock_can_find_nobody(operation: str) -> None:
    outcomes = {answer.outcome for answer in answerable() if answer.operation == operation}
    assert {"ok"} <= outcomes if operation.startswith("leadership") else {"ok", "Unreachable"} <= outcomes
