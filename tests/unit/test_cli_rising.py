"""What `risen up` prints while a cluster rises: one line an instance, and what is awaited when all is quiet."""

from __future__ import annotations

from dataclasses import replace

from builders import Cluster, birth_of, pod_of
from risen.cli.rising import DNS_LABEL, Rising, dns_line, rise_line
from risen.core.events import Alarm, BecameReady, Born, Joined, Launched
from risen.core.names import InstanceName, ProviderId, Role

NAME = InstanceName("w-a")


def test_an_instance_gets_one_line_with_its_phases_when_it_is_ready() -> None:
    rising, said = Rising(0.0), []
    for event in (
        Born(100.0, birth_of("w-a")),
        Launched(100.3, NAME, ProviderId("p")),
        Joined(102.2, NAME),
        BecameReady(103.4, NAME),
    ):
        said += rising.lines(event, None)
    assert said == [
        "rise    w-a                   launch 0.3s   boot and join 1.9s   Ready 1.2s   3.4s in all"
    ]


def test_beside_a_control_plane_instance_stands_how_many_of_etcd_vote() -> None:
    cluster = Cluster.standing(3, 0)
    cluster.members["cp-c"] = replace(cluster.members["cp-c"], learner=True)
    rising = Rising(0.0)
    rising.lines(Born(1.0, birth_of("cp-b")), None)
    (line,) = rising.lines(BecameReady(4.0, InstanceName("cp-b")), cluster.picture())
    assert line.endswith("3.0s in all   etcd 2/3 vote")


def test_what_happened_before_the_watching_counts_in_the_phases_and_alarms_are_told_at_once() -> None:
    rising = Rising(0.0)
    rising.lines(Born(1.0, birth_of("w-a")), None)
    (line,) = rising.lines(BecameReady(9.0, NAME), None)
    assert line.endswith("8.0s in all")
    (alarm,) = rising.lines(Alarm(9.0, "second-key", "w-a", "other keys"), None)
    assert alarm.endswith("ALARM   w-a: second-key: other keys")


def test_a_clock_that_went_back_gives_no_phase_below_zero() -> None:
    from risen.cli.rising import Moments

    assert "launch 0.0s" in rise_line(NAME, Moments(Role.WORKER, 100.0, launched=90.0), 101.0)


def test_up_ends_once_both_pods_of_the_dns_are_ready_and_stay() -> None:
    cluster = Cluster.standing(3, 2)
    names = [pod_of(f"coredns-{at}", at, labels=(DNS_LABEL,)) for at in ("w-a", "w-b")]
    for pods, whole, count in (
        ([], False, 0),
        ([names[0], replace(names[1], ready=False)], False, 1),
        ([names[0], replace(names[1], terminating=True)], False, 1),
        (names, True, 2),
    ):
        cluster.pods = pods
        found, line = dns_line(cluster.picture())
        assert (found, f"cluster DNS {count} of 2" in line) == (whole, True)
