"""Written YAML: what is read, what is refused, and whether every word about it points at the right place."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import AfterValidator, Field

from risen.codec.written import Written, did_you_mean, parse
from risen.codec.yaml_nodes import MAX_BYTES, Problem, Problems, load, plain_scalar, render_path


def _short(text: str) -> str:
    if len(text) > 3:
        raise ValueError("must be short")
    return text


class _Pool(Written):
    name: Annotated[str, AfterValidator(_short)]
    replicas: int = Field(ge=0)
    max_pods: int = 110
    role: Literal["worker", "control-plane"] = "worker"


class _Spec(Written):
    not_built: ClassVar[Mapping[str, str]] = MappingProxyType({"aws": "local"})
    version: str = Field(description="such as 1.36.3")
    pools: list[_Pool] = Field(default_factory=list)
    labels: dict[str, str] = Field(default_factory=dict)
    extra: _Pool | None = None
    sources: list[Literal["official", "debian"] | _Pool] = Field(default_factory=list)


class _File(Written):
    spec: _Spec


def _problems(text: str) -> list[str]:
    with pytest.raises(Problems) as caught:
        parse(text, "f.yaml", _File)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("off", "off"), ("yes", "yes"), ("no", "no"), ("True", "True"), ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"), ("1_000", "1_000"), ("0644", "0644"), (".inf", ".inf"), ("1.36.3", "1.36.3"),
        ("true", True), ("false", False), ("null", None), ("~", None), ("", None),
        ("0", 0), ("-7", -7), ("0o17", 15), ("0x1f", 31), ("1.40", 1.4), ("1e3", 1000.0), ("20%", "20%"),
    ],
)  # fmt: skip
def test_unquoted_scalars_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    read = plain_scalar(text)
    assert (read, type(read)) == (value, type(value))


def test_quoted_scalars_are_always_text() -> None:
    assert load("a: \"1\"\nb: 'true'\nc: |\n  3\n", "f").data == {"a": "1", "b": "true", "c": "3\n"}


def test_positions_count_from_one_and_tell_key_from_value() -> None:
    document = load("a:\n- {b: 1,\n   c: x}\n", "f")
    assert document.key_positions[("a", 0, "c")] == (3, 4)
    assert document.positions[("a", 0, "c")] == (3, 7)
    assert document.at(("a", 0, "c")) == "x"
    assert document.at(("a", 9, "c")) is None


def test_a_problem_with_what_is_missing_points_at_what_is_around_it() -> None:
    document = load("a:\n  b: 1\n", "f")
    assert document.problem(("a", "z", "y"), "m") == Problem("f", 2, 3, ("a", "z", "y"), "m")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: {a: 1}\na: 2\n", "f:3:1: a: this key stands already at 1:1: keep one of them"),
        ("a: &x 1\n", "f:1:4: a: anchors (&x) are not read: write the value where it is used"),
        ("a: *x\n", "f:1:4: a: aliases (*x) are not read: write the value out"),
        ("a: !!python/object:os.system x\n", "f:1:4: a: tags (tag:yaml.org,2002:python/object:os.system) are not"),
        ("a: !mine {}\n", "f:1:4: a: tags (!mine) are not read"),
        ("<<: {a: 1}\n", "f:1:1: merge keys (<<) are not read"),
        ("? [1]\n: 2\n", "f:1:3: a key must be plain text"),
        ("a: 1\n---\nb: 1\n", "f:2:1: a second document"),
        ("", "f:1:1: the file is empty"),
        ("# only words\n", "f:1:1: the file is empty"),
        ("a: [1\n", "f:2:1: not YAML: while parsing a flow sequence"),
        ("a:\n\tb: 1\n", "f:2:1: not YAML"),
        ("a: 1\nb: \x01\n", "f:2:4: not YAML: the character U+0001 may not stand in it"),
        ('a: "x\\0"\n', "f:1:4: a: the character U+0000 may not stand in text"),
        ('a: "x\\ud800"\n', "f:1:4: a: the character U+D800 may not stand in text"),
        ("[" * 100 + "]" * 100, "f:1:66: [0][0][0]: nested deeper than 64 levels"),
        ("a: " + "x" * MAX_BYTES, "f:1:1: larger than"),
    ],
)  # fmt: skip
def test_refused_yaml_is_named_with_its_place(text: str, expected: str) -> None:
    with pytest.raises(Problems) as caught:
        load(text, "f")
    assert str(caught.value).startswith(expected)


def test_everything_wrong_is_said_at_once_and_in_order() -> None:
    found = _problems(
        "spec:\n  version: 1.40\n  pols: []\n  aws: {}\n  labels: {a: on, b: 1}\n"
        "  pools:\n  - name: long-one\n    replicas: -1\n    maxpods: 3\n    role: wroker\n  - replicas: '3'\n"
    )
    assert found == [
        'f.yaml:2:12: spec.version: must be text: write "1.40" in quotes (unquoted, YAML reads the number 1.4)',
        'f.yaml:3:3: spec.pols: unknown field (did you mean "pools"?); known here: version, pools, labels, extra, sources',
        "f.yaml:4:3: spec.aws: is not built yet; this Risen has: local",
        'f.yaml:5:22: spec.labels.b: must be text: write "1" in quotes (unquoted, YAML reads the number 1)',
        "f.yaml:7:11: spec.pools[0].name: must be short",
        "f.yaml:8:15: spec.pools[0].replicas: must be at least 0, not the number -1",
        'f.yaml:9:5: spec.pools[0].maxpods: unknown field (did you mean "maxPods"?); '
        "known here: name, replicas, maxPods, role",
        "f.yaml:10:11: spec.pools[0].role: must be 'worker' or 'control-plane', not \"wroker\" "
        '(did you mean "worker"?)',
        "f.yaml:11:5: spec.pools[1].name: is required",
        'f.yaml:11:15: spec.pools[1].replicas: must be a whole number, not "3"',
    ]


def test_a_missing_field_says_what_it_is_for() -> None:
    assert _problems("spec: {pools: []}\n") == ["f.yaml:1:7: spec.version: is required: such as 1.36.3"]


def test_checks_across_fields_speak_beside_field_errors() -> None:
    with pytest.raises(Problems) as caught:
        parse("spec: {version: 1}\n", "f", _File, (lambda document: [document.problem(("spec",), "odd")],))
    assert [problem.message.split(":")[0] for problem in caught.value.problems] == ["odd", "must be text"]


def test_a_right_file_gives_its_model() -> None:
    value, _ = parse('spec: {version: "1", extra: {name: a, replicas: 2, maxPods: 5}}\n', "f", _File)
    assert (value.spec.extra and value.spec.extra.max_pods) == 5


def test_suggestions_are_made_only_for_what_is_near() -> None:
    assert did_you_mean("replica", ["replicas", "name"]) == ' (did you mean "replicas"?)'
    assert did_you_mean("quantum", ["replicas", "name"]) == ""


def test_paths_read_like_code() -> None:
    assert render_path(("spec", "pools", 1, "labels", "a/b")) == 'spec.pools[1].labels["a/b"]'


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "ofical",
            "spec.sources[0]: must be 'official' or 'debian', not \"ofical\" (did you mean \"official\"?)",
        ),
        ("{name: a}", "spec.sources[0].replicas: is required"),
        ("{name: a, replicas: x}", 'spec.sources[0].replicas: must be a whole number, not "x"'),
        (
            "{name: a, replicas: 1, rol: x}",
            'spec.sources[0].rol: unknown field (did you mean "role"?); known here:',
        ),
        ("3", "spec.sources[0]: must be 'official' or 'debian', not the number 3"),
    ],
)
def test_of_two_shapes_a_value_may_have_only_the_nearer_speaks(source: str, message: str) -> None:
    (found,) = _problems(f'spec: {{version: "1", sources: [{source}]}}\n')
    assert message in found
