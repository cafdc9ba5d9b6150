"""Whatever stands in a file: it is read, or everything wrong is said with a place in it; nothing else is raised."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from risen.codec.cluster_yaml import parse_cluster
from risen.codec.yaml_nodes import Problems, load

WORDS = st.sampled_from(
    ["apiVersion", "kind", "metadata", "spec", "name", "pools", "role", "worker", "control-plane", "replicas", "local",
     "provider", "networking", "podSubnet", "10.96.0.0/12", "taints", "key", "effect", "labels", "risen/v1alpha1",
     "kubernetes", "version", "1.36.3", "subnet", "serviceSubnet", "apiServer", "extraArgs", "certSANs", "image"]
)  # fmt: skip
PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.sampled_from("äé→𐀀")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-9, 999)
    | st.floats(allow_nan=False, allow_infinity=False, width=16)
    | WORDS
    | st.text(PRINTABLE, max_size=5)
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=20,
)


def _lines_of(text: str) -> list[str]:
    try:
        parse_cluster(text, "f")
    except Problems as problems:
        lines = text.splitlines() or [""]
        for problem in problems.problems:
            assert 1 <= problem.line <= len(lines) + 1, str(problem)
            assert problem.column >= 1
            assert problem.message
        return [str(problem) for problem in problems.problems]
    return []


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.text(max_size=80))
def test_any_text_gets_problems_with_a_place(text: str) -> None:
    assert _lines_of(text)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(DATA, DATA)
def test_any_data_in_the_right_frame_gets_problems_with_a_place(spec: object, pools: object) -> None:
    file = {"apiVersion": "risen/v1alpha1", "kind": "Cluster", "metadata": {"name": "dev"}, "spec": spec}
    if isinstance(spec, dict):
        spec["pools"] = pools
    assert _lines_of(json.dumps(file))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(DATA)
def test_what_json_writes_is_read_as_it_was_meant(data: object) -> None:
    assert load(json.dumps(data, ensure_ascii=False), "f").data == data
