"""One bad release of each kind, for the workers and for the control plane of one cluster: one instance has it, it is
revoked with its evidence, and everything is as it was.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bad_recipes import KINDS, Kind, bad_recipe
from gates import a_gate
from pieces import Cluster, wait_for
from standing import followed, served, standing, whole

pytestmark = [pytest.mark.e2e, pytest.mark.root]
WATCH_SECONDS = 600.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three control-plane instances and two workers with an app."""
    with standing(tmp_path_factory.mktemp("bad")) as found:
        yield found


def released(cluster: Cluster, kind: Kind, role: str) -> int:
    """Apply the recipe with the bad file for a role and watch to the end: the exit status."""
    with bad_recipe(cluster, kind, role):
        cluster.risen("apply", "--yes", "--reason", f"{kind.path} for {role}", bound_seconds=600)
        return followed(cluster, WATCH_SECONDS)


@pytest.mark.parametrize(("kind", "role"), [(kind, role) for kind in KINDS for role in KINDS[kind].roles])
def test_a_release_that(cluster: Cluster, kind: str, role: str) -> None:
    """… is tried by one instance, revoked, and leaves the cluster as it was."""
    assert whole(cluster)
    wanted, revoked_before = cluster.status()["want"], len(cluster.events("ReleaseRevoked"))
    if KINDS[kind] is KINDS["breaks the gate"]:
        with a_gate(cluster, "shop", 500):
            status = released(cluster, KINDS[kind], role)
    else:
        status = released(cluster, KINDS[kind], role)
    (revoked,) = cluster.events("ReleaseRevoked")[revoked_before:]
    print(revoked)
    assert status == 1, "it was gone back from"
    assert KINDS[kind].evidence in " ".join(revoked["evidence"])
    born = [one for one in cluster.events("Born") if one["birth"]["release"] == revoked["release"]]
    assert [one["birth"]["pool"] for one in born] == [role], "one instance ever had it"
    wait_for("the cluster is whole", lambda: whole(cluster), 180)
    assert cluster.status()["want"] == wanted
    assert served(cluster)


def test_what_was_revoked_is_refused_and_the_good_one_is_in_place(cluster: Cluster) -> None:
    cluster.risen("recipe", "lock")
    cluster.risen("apply", "--yes", "--reason", "back to what stands")
    wait_for("it is settled", lambda: cluster.status()["settled"], 60)
    with bad_recipe(cluster, KINDS["is never Ready"], "worker"):
        refused = cluster.run("apply", "--yes")
    assert refused.returncode != 0
    assert "--override-revocation" in refused.stderr, refused.stderr
    assert whole(cluster)
