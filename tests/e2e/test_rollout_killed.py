"""The controller is killed at every kind of step and task of a rollout, and of going back from a bad release."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from background import Background
from bad_recipes import KINDS, Kind, bad_recipe
from budget_recorder import BudgetRecorder
from controller import Assassin
from gates import a_gate
from load import credentials_of
from pieces import Credentials, wait_for
from standing import REPLICAS, births, names, served, standing, whole

pytestmark = [pytest.mark.e2e, pytest.mark.root]
TAKING = {"OpenEntry", "WriteBirth", "Launch", "MarkNode", "CordonNode", "PressPowerButton", "Destroy"}
TAKING |= {"DeleteNode", "CloseEntry", "PassRelease", "gate", "CompleteRevision"}
OF_WORKERS = TAKING | {"EvictPod"}
OF_THE_CONTROL_PLANE = TAKING | {"snapshot", "AddLearner", "PromoteMember", "RemoveMember"}
OF_THE_CONTROL_PLANE |= {"AddBackend", "DrainBackend", "RemoveBackend", "MoveLeader"}
OF_A_REVOCATION = {"OpenEntry", "WriteBirth", "Launch", "RevokeRelease", "Destroy", "CloseEntry"}
ROLLED_SECONDS = 900.0
ROUNDS = 3
"""A step that took a few milliseconds while the host was busy may have gone by: then the next round has it."""
LEAST_READY = REPLICAS - 1
BUDGET = f"""
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: web}}
spec: {{minAvailable: {LEAST_READY}, selector: {{matchLabels: {{app: web}}}}}}
"""


@pytest.fixture(scope="module")
def assassin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assassin]:
    """Three control-plane instances and two workers with an app that has a budget."""
    with standing(tmp_path_factory.mktemp("killed")) as cluster:
        cluster.kubectl("apply", "-f", "-", stdin=BUDGET)
        yield Assassin(cluster)


@pytest.fixture(scope="module")
def credentials(assassin: Assassin, tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    """A kubeconfig of hours, split into files."""
    folder = tmp_path_factory.mktemp("credentials")
    assassin.cluster.risen("kubeconfig", "--out", str(folder / "kubeconfig"))
    return credentials_of(folder / "kubeconfig", folder)


def rolled(assassin: Assassin, pool: str, before: str, after: str) -> None:
    """A change that rolls a pool; killed again and again, the controller replaces each instance of it once."""
    cluster = assassin.cluster
    old, before_it = names(cluster, pool), len(births(cluster))
    cluster.change(before, after)
    cluster.risen("apply", "--yes", "--reason", "killed again and again")
    assassin.until(lambda: whole(cluster) and not set(old) & set(names(cluster, pool)), ROLLED_SECONDS)
    assert [one["pool"] for one in births(cluster)[before_it:]] == [pool] * len(old), "each was replaced once"
    wait_for("the app is whole", lambda: served(cluster), 60)


SETTINGS = {
    "worker": (
        "    # kubelet: {maxPods: 110}",
        *(f"    kubelet: {{maxPods: {pods}}}" for pods in (109, 108, 107)),
    ),
    "control-plane": (
        "    # apiServer:\n",
        *(f'    apiServer: {{extraArgs: {{v: "{level}"}}}}\n' for level in (1, 2, 3)),
    ),
}
"""A line of cluster.yaml as it is at first, and as each round changes it."""


@pytest.mark.parametrize(
    ("pool", "wanted"), [("worker", OF_WORKERS), ("control-plane", OF_THE_CONTROL_PLANE)]
)
def test_killed_at_every_kind_of_step_of_a_rollout_each_instance_is_replaced_once(
    assassin: Assassin, credentials: Credentials, pool: str, wanted: set[str]
) -> None:
    cluster, lines = assassin.cluster, SETTINGS[pool]
    budget = BudgetRecorder(cluster.endpoint, credentials, "app=web")
    assassin.begin()
    with a_gate(cluster, "shop", 200), Background([budget]):
        for before, after in pairwise(lines):
            rolled(assassin, pool, before, after)
            if assassin.kinds >= wanted:
                break
    print("killed at", assassin.killed_at, "\n".join(budget.story))
    assert assassin.kinds >= wanted
    assert budget.fewest_ready >= LEAST_READY


def gone_back_from(assassin: Assassin, bad: Kind, pool: str) -> None:
    """A bad release; killed again and again, the controller lets one instance have it, revokes it and goes back."""
    cluster = assassin.cluster
    wanted, before, revocations = cluster.status()["want"], names(cluster), cluster.events("ReleaseRevoked")
    with bad_recipe(cluster, bad, pool):
        cluster.risen("apply", "--yes", "--reason", "bad", bound_seconds=600)
        revoked_now = lambda: cluster.events("ReleaseRevoked")[len(revocations) :]  # noqa: E731
        assassin.until(lambda: bool(revoked_now()) and whole(cluster), ROLLED_SECONDS)
    (revoked,) = revoked_now()
    born = [one for one in births(cluster) if one["release"] == revoked["release"]]
    assert len(born) == 1, "one instance ever had it"
    assert names(cluster) == before
    assert cluster.status()["want"] == wanted
    assert served(cluster)


@pytest.mark.parametrize("pool", ["worker", "control-plane"])
def test_killed_at_every_kind_of_step_of_going_back_a_bad_release_is_revoked_and_gone(
    assassin: Assassin, pool: str
) -> None:
    bad = KINDS["cannot boot"]
    assassin.begin()
    for number in range(ROUNDS):
        gone_back_from(assassin, replace(bad, text=f"{bad.text}# {number}\n"), pool)
        if assassin.kinds >= OF_A_REVOCATION:
            break
    print("killed at", assassin.killed_at)
    assert assassin.kinds >= OF_A_REVOCATION
