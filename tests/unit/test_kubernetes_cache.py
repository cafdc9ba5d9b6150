"""The pure cache: one more word from the API, and what is then seen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from risen.adapters.kubernetes.cache import (
    Attachment,
    Cache,
    Changes,
    ClaimingPod,
    LeaseHolder,
    Listed,
    LocalVolume,
    NodeLease,
    apply,
    holders,
    kubernetes_seen,
)
from risen.core.names import InstanceName
from risen.core.picture import BudgetSeen, NodeSeen, PodSeen


def node(name: str, uid: str = "u") -> NodeSeen:
    return NodeSeen(InstanceName(name), uid, "", ready=True)


def test_a_new_list_forgets_what_it_does_not_name() -> None:
    cache = apply(Cache(), Listed("nodes", (("a", node("a")), ("b", node("b")))))
    cache = apply(cache, Listed("nodes", (("b", node("b")),)))
    assert [seen.name for seen in kubernetes_seen(cache).nodes] == ["b"]


def test_the_last_word_of_a_piece_counts() -> None:
    changes = (("a", node("a", "old")), ("a", None), ("a", node("a", "new")))
    cache = apply(Cache(), Changes("nodes", changes))
    assert [seen.uid for seen in kubernetes_seen(cache).nodes] == ["new"]


def test_a_word_that_changes_nothing_gives_the_same_cache_so_that_nobody_is_woken() -> None:
    cache = apply(Cache(), Listed("nodes", (("a", node("a")),)))
    assert apply(cache, Changes("nodes", (("a", node("a")), ("gone", None)))) is cache
    assert apply(cache, Listed("nodes", (("a", node("a")),))) is cache


def test_a_leader_lease_that_is_only_renewed_has_no_other_holder() -> None:
    def held(holder: str, until: float) -> Cache:
        return apply(Cache(), Listed("lease-holders", (("k", LeaseHolder("kube-scheduler", holder, until)),)))

    assert holders(held("cp-a", 5.0)) == holders(held("cp-a", 7.0)) != holders(held("cp-b", 7.0))
    assert kubernetes_seen(held("cp-a", 7.0)).leases_until_unix == (("kube-scheduler", 7.0),)


def test_an_empty_first_list_is_knowledge_too() -> None:
    assert "pods" in apply(Cache(), Listed("pods", ())).tables


def test_a_lease_alone_makes_no_node_and_is_joined_to_its_own() -> None:
    cache = apply(
        Cache(), Listed("node-leases", (("l/a", NodeLease("a", 5.0)), ("l/x", NodeLease("x", 6.0))))
    )
    cache = apply(cache, Listed("nodes", (("a", node("a")), ("b", node("b")))))
    assert [(seen.name, seen.lease_renewed_unix) for seen in kubernetes_seen(cache).nodes] == [
        ("a", 5.0),
        ("b", None),
    ]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["1", "2", None])), max_size=12))
def test_pieces_and_single_words_end_in_one_cache(words: list[tuple[str, str | None]]) -> None:
    entries = tuple((key, None if uid is None else node(key, uid)) for key, uid in words)
    at_once = apply(Cache(), Changes("nodes", entries))
    singly = Cache()
    for entry in entries:
        singly = apply(singly, Changes("nodes", (entry,)))
    assert kubernetes_seen(at_once) == kubernetes_seen(singly)


def test_a_pod_cannot_follow_a_claim_whose_volume_is_its_nodes_alone() -> None:
    pods = tuple(
        (name, ClaimingPod(PodSeen("ns", name, name, InstanceName("a"), ready=True), (claim,)))
        for name, claim in (("stays", "here"), ("moves", "network"))
    )
    cache = apply(Cache(), Listed("pods", pods))
    cache = apply(
        cache, Listed("local-volumes", (("/v", LocalVolume("ns/here")), ("/w", LocalVolume("x/network"))))
    )
    assert {pod.name: pod.local_volume for pod in kubernetes_seen(cache).pods} == {
        "stays": True,
        "moves": False,
    }


def test_budgets_and_attachments_come_sorted() -> None:
    budgets = [BudgetSeen("b", "x", 0, 1, 1), BudgetSeen("a", "y", 0, 1, 1)]
    cache = apply(Cache(), Listed("budgets", tuple((item.name, item) for item in budgets)))
    attached = [Attachment("v2", "n"), Attachment("v1", "n")]
    cache = apply(cache, Listed("attachments", tuple((item.name, item) for item in attached)))
    seen = kubernetes_seen(cache)
    assert [budget.namespace for budget in seen.budgets] == ["a", "b"]
    assert seen.attachments == (("v1", "n"), ("v2", "n"))
