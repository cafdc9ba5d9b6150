"""cluster.yaml's words for rolling, scaling and gates: what is taken, and what is refused where and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risen.cli.context import read_spec
from risen.codec.cluster_yaml import parse_cluster
from risen.codec.rollout_checks import duration_text, seconds_of, share_of, share_text
from risen.codec.yaml_nodes import Problems
from risen.core.spec import Disruption, Gate, Share, Strategy

HEAD = """\
apiVersion: risen/v1alpha1
kind: Cluster
metadata: {name: dev}
spec:
  kubernetes: {version: "1.36.3"}
  provider: {local: {}}
"""
JOB = """\
apiVersion: batch/v1
kind: Job
metadata: {name: smoke}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: b}]}}}
"""


def text_of(spec: str = "", plane: str = "", worker: str = "replicas: 2") -> str:
    more = f"  {spec}\n" if spec else ""
    plane = f", {plane}" if plane else ""
    return (
        f"{HEAD}{more}  pools:\n"
        f"  - {{name: cp, role: control-plane, replicas: 3{plane}}}\n"
        f"  - {{name: w, role: worker, {worker}}}\n"
    )


def refused(text: str, files: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(Problems) as caught:
        parse_cluster(text, "f", lambda path: _file(files or {}, path))
    return [str(problem) for problem in caught.value.problems]


def _file(files: dict[str, str], path: str) -> str:
    if path not in files:
        raise FileNotFoundError(2, "No such file or directory")
    return files[path]


def test_what_is_left_out_is_the_rules_own_default() -> None:
    spec = parse_cluster(text_of(), "f")
    assert (spec.disruption, spec.gates) == (Disruption(), ())
    assert [(pool.strategy, pool.expire_after_seconds, pool.max_replicas) for pool in spec.pools] == [
        (Strategy(), None, None)
    ] * 2


def test_every_field_arrives_in_the_spec() -> None:
    spec = parse_cluster(
        text_of(
            "disruption: {drainTimeout: 1h30m, onDrainTimeout: skip, loadBalancerSeconds: 40}\n"
            "  gates:\n"
            "  - {name: web, http: {url: 'http://web.default.svc:8080/ready', status: 204}, timeout: 90s}\n"
            "  - {name: smoke, job: ./smoke.yaml}",
            "strategy: {minReadySeconds: 60}",
            'minReplicas: 2, maxReplicas: 9, expireAfter: 720h, strategy: {maxSurge: "10%", maxUnavailable: 2}',
        ),
        "f",
        lambda path: _file({"./smoke.yaml": JOB}, path),
    )
    assert spec.disruption == Disruption(5400.0, "skip", 40.0)
    web, smoke = spec.gates
    assert web == Gate("web", "http://web.default.svc:8080/ready", 204, "", 90.0)
    assert (smoke.name, smoke.url, smoke.timeout_seconds) == ("smoke", "", 300.0)
    assert json.loads(smoke.job)["metadata"] == {"name": "smoke"}
    plane, worker = spec.pools
    assert plane.strategy == Strategy(min_ready_seconds=60.0)
    assert worker.strategy == Strategy(Share(1, 10), Share(2))
    assert (worker.replicas, worker.max_replicas, worker.expire_after_seconds) == (2, 9, 2592000.0)


def test_a_share_never_rounds_to_none_unless_it_is_none() -> None:
    assert [share_of(written).of(5) for written in ("10%", "50%", "0%", 3, 0)] == [1, 2, 0, 3, 0]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 10**6), st.integers(1, 100) | st.none(), st.integers(0, 200))
def test_numbers_come_back_as_they_were_written(seconds: int, percent: int | None, count: int) -> None:
    assert seconds_of(duration_text(float(seconds))) == seconds
    share = Share(count) if percent is None else Share(1, percent)
    text = share_text(share)
    assert share_of(int(text) if text.isdigit() else text) == share


@pytest.mark.parametrize(
    ("worker", "expected"),
    [
        ("replicas: 2, strategy: {maxSurge: 0}", "spec.pools[1].strategy.maxSurge: no instance more and none less"),
        ('replicas: 2, strategy: {maxSurge: "0%", maxUnavailable: 0}', "let maxUnavailable be 1"),
        ("replicas: 2, strategy: {maxSurge: -1}", "a number of instances up to 200 or a share"),
        ('replicas: 2, strategy: {maxSurge: "2"}', 'or a share such as "10%", not "2"'),
        ('replicas: 2, strategy: {maxUnavailable: "101%"}', 'not "101%"'),
        ("replicas: 2, strategy: {maxSurge: true}", "not true"),
        ("replicas: 2, strategy: {maxsurge: 1}", 'unknown field (did you mean "maxSurge"?)'),
        ("replicas: 2, strategy: {minReadySeconds: 10s}", 'must be a whole number, not "10s"'),
        ("replicas: 2, expireAfter: 720", "must be a duration from 1m to 87600h, such as 30m, not the number 720"),
        ("replicas: 2, expireAfter: 30d", 'not "30d"'),
        ("replicas: 2, expireAfter: 5s", 'not "5s"'),
        ("replicas: 2, minReplicas: 1, maxReplicas: 3", "replicas: stands beside minReplicas and maxReplicas"),
        ("minReplicas: 1", "spec.pools[1].minReplicas: needs maxReplicas beside it"),
        ("maxReplicas: 1", "spec.pools[1].maxReplicas: needs minReplicas beside it"),
        ("minReplicas: 4, maxReplicas: 3", "spec.pools[1].minReplicas: 4 is more than maxReplicas 3"),
        ("minReplicas: 0, maxReplicas: 198", "201 instances: a /24 has addresses for 200"),
        ("replicas: null", "spec.pools[1].replicas: is required: how many instances"),
        ("labels: {}", "spec.pools[1].replicas: is required: how many instances"),
    ],
)  # fmt: skip
def test_what_a_pool_cannot_be_rolled_or_scaled_by_is_refused_with_the_reason(
    worker: str, expected: str
) -> None:
    (found,) = refused(text_of(worker=worker))
    assert expected in found
    assert found.startswith("f:9:") or "spec.pools:" in found


@pytest.mark.parametrize(
    ("plane", "expected"),
    [
        ("strategy: {maxSurge: 0}", "maxSurge: must be 1 for a control plane, not the number 0"),
        ("strategy: {maxSurge: 0, maxUnavailable: 1}", "maxUnavailable: must be 0 for a control plane"),
        ("strategy: {maxSurge: 2}", "members are replaced one at a time"),
        ('strategy: {maxSurge: "50%"}', 'must be 1 for a control plane, not "50%"'),
        ("minReplicas: 1, maxReplicas: 3", "not for a control plane: write replicas of 1, 3 or 5"),
    ],
)
def test_a_control_plane_is_rolled_by_surge_one_at_a_time(plane: str, expected: str) -> None:
    assert any(expected in line for line in refused(text_of(plane=plane)))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("disruption: {drainTimeout: 1}", "spec.disruption.drainTimeout: must be a duration from 10s to 168h"),
        ("disruption: {loadBalancerSeconds: 3601}", "spec.disruption.loadBalancerSeconds"),
        ("disruption: {onDrainTimeout: kill}", "must be 'stop', 'skip' or 'force', not \"kill\""),
        ("gates: [{name: a}]", "spec.gates[0]: one check each"),
        ("gates: [{name: a, http: {url: 'http://a'}, job: ./j.yaml}]", "spec.gates[0]: one check each"),
        ("gates: [{name: a, http: null, job: null}]", "spec.gates[0]: one check each"),
        ("gates: [{name: a, http: {url: a}}]", 'spec.gates[0].http.url: must be a URL such as'),
        ("gates: [{name: a, http: {url: 'http://a', status: 99}}]", "must be at least 100, not the number 99"),
        ("gates: [{http: {url: 'http://a'}}]", "spec.gates[0].name: is required"),
        ("gates: [{name: A, http: {url: 'http://a'}}]", '"A" is no DNS label'),
        (
            "gates: [{name: a, http: {url: 'http://a'}}, {name: a, http: {url: 'http://b'}}]",
            'spec.gates[1].name: a second gate named "a"',
        ),
        ("gates: [{name: a, job: ./none.yaml}]", "./none.yaml cannot be read: No such file or directory"),
        ("gates: [{name: a, job: ./pod.yaml}]", "./pod.yaml must hold one Kubernetes Job"),
        ("gates: [{name: a, job: ./bare.yaml}]", "./bare.yaml is a Job without spec.template"),
        ("gates: [{name: a, job: ./broken.yaml}]", "spec.gates[0].job: ./broken.yaml:1:"),
        ("gates: {}", "spec.gates: must be a list, not a mapping"),
    ],
)  # fmt: skip
def test_gates_and_disruption_that_mean_nothing_are_refused_at_their_place(spec: str, expected: str) -> None:
    files = {
        "./j.yaml": JOB,
        "./pod.yaml": JOB.replace("Job", "Pod"),
        "./bare.yaml": "apiVersion: batch/v1\nkind: Job\n",
        "./broken.yaml": "a: [",
    }
    found = refused(text_of(spec), files)
    assert any(expected in line for line in found), found
    assert all(line.startswith("f:7:") for line in found)


def test_a_job_is_read_from_beside_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "gates").mkdir()
    (tmp_path / "gates" / "smoke.yaml").write_text(JOB)
    (tmp_path / "cluster.yaml").write_text(text_of("gates: [{name: smoke, job: ./gates/smoke.yaml}]"))
    assert json.loads(read_spec(tmp_path / "cluster.yaml").gates[0].job)["kind"] == "Job"


def test_flags_and_issuers_that_hold_a_mark_are_refused() -> None:
    marked = 'apiServer: {extraArgs: {v: "@{risen.name}"}}, serviceAccountIssuer: "https://@{risen.x}"'
    found = refused(text_of().replace('version: "1.36.3"', f'version: "1.36.3", {marked}'))
    assert len(found) == 2
    assert all("marks what is an instance's own" in line for line in found)
