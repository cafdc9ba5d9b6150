"""The simulated Deployment's controller: a changed template is rolled with one more pod and none fewer."""

from __future__ import annotations

from risen.sim.workloads import Deployment, PodTruth, resized

OLD, NEW = frozenset({"old"}), frozenset({"new"})
DNS = Deployment("kube-system", "coredns", 2, images=NEW)


def pods(*ready: bool) -> list[PodTruth]:
    return [PodTruth(DNS, f"coredns-{n}", f"uid-{n}", ready=one) for n, one in enumerate(ready)]


def test_one_new_pod_is_made_before_an_old_one_goes() -> None:
    assert resized(DNS, {OLD: 2}, {OLD: pods(True, True)}) == {OLD: 2, NEW: 1}
    assert resized(DNS, {OLD: 2, NEW: 1}, {OLD: pods(True, True), NEW: pods(False)}) == {OLD: 2, NEW: 1}
    assert resized(DNS, {OLD: 2, NEW: 1}, {OLD: pods(True, True), NEW: pods(True)}) == {OLD: 1, NEW: 1}
    assert resized(DNS, {OLD: 1, NEW: 1}, {OLD: pods(True), NEW: pods(True)}) == {OLD: 1, NEW: 2}


def test_an_old_pod_stays_while_a_new_one_finds_no_place_and_what_is_not_ready_goes_first() -> None:
    assert resized(DNS, {OLD: 1, NEW: 2}, {OLD: pods(True), NEW: pods(True, False)}) == {OLD: 1, NEW: 2}
    assert resized(DNS, {OLD: 2, NEW: 1}, {OLD: pods(True, False), NEW: pods(True)}) == {OLD: 1, NEW: 1}
    assert resized(DNS, {OLD: 1, NEW: 2}, {OLD: pods(True), NEW: pods(True, True)}) == {OLD: 0, NEW: 2}
    assert resized(DNS, {OLD: 0, NEW: 2}, {NEW: pods(True, False)}) == {NEW: 2}
