"""recipe.yaml: what is read, and what is refused with its place and what would be right."""

from __future__ import annotations

import pytest

from risen.bakery.recipe import EVERY_ROLE, LocalFolder, NamedSource, Recipe
from risen.codec.recipe_yaml import default_recipe_yaml, load_recipe
from risen.codec.yaml_nodes import Problems
from risen.core.names import Role

HEAD = "apiVersion: risen/v1alpha1\nkind: Recipe\nmetadata: {name: node}\nspec:\n"
COMPONENTS = (
    '  components: {etcd: "3.6.16", containerd: debian, runc: debian, cni-plugins: debian,'
    ' flannel: "0.28.10", coredns: "1.15.0"}\n'
)


def read(spec: str) -> Recipe:
    return load_recipe(HEAD + COMPONENTS + spec, "recipe.yaml")


def refused(spec: str, components: str = COMPONENTS) -> list[str]:
    with pytest.raises(Problems) as caught:
        load_recipe(HEAD + components + spec, "recipe.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_the_scaffolded_recipe_is_valid_and_needs_no_image_of_the_users() -> None:
    recipe = load_recipe(default_recipe_yaml(), "recipe.yaml")
    assert recipe.version_of("etcd") == "3.6.16"
    assert recipe.images == ()
    assert recipe.sources == (NamedSource("official"), NamedSource("go-modules"), NamedSource("debian"))


def test_every_field_of_the_example_reaches_the_recipe() -> None:
    recipe = read(
        "  sources: [{path: ./vendor}, official]\n"
        "  packages: [chrony, jq]\n"
        '  kernel: {modules: [overlay], sysctls: {net.core.somaxconn: "4096"}}\n'
        '  files: [{path: /etc/a.conf, source: ./files/a.conf, mode: "0600", roles: [worker]}]\n'
        "  units: [{name: a.service, source: ./files/a.service, enabled: false}]\n"
        "  images: [{path: ./images/a.tar}]\n"
    )
    assert recipe.sources == (LocalFolder("vendor"), NamedSource("official"))
    assert recipe.sysctls == (("net.core.somaxconn", "4096"),)
    assert (recipe.files[0].mode, recipe.files[0].roles) == (0o600, (Role.WORKER,))
    assert (recipe.units[0].enabled, recipe.units[0].roles) == (False, EVERY_ROLE)
    assert recipe.images[0].path == "images/a.tar"


def test_everything_wrong_is_said_at_once_with_line_and_column() -> None:
    said = refused(
        "  packages: [openssh-server]\n"
        '  files: [{path: etc/a, source: ../a, mode: "4755"}]\n'
        "  ports: [{port: 9100}]\n"
        "  bases: {}\n"
    )
    assert [one.split(" ")[0] for one in said] == [
        "recipe.yaml:6:14:", "recipe.yaml:7:18:", "recipe.yaml:7:33:", "recipe.yaml:7:45:",
        "recipe.yaml:8:3:", "recipe.yaml:9:3:",
    ]  # fmt: skip
    assert "nobody logs in to an instance" in said[0]
    assert "setuid bits are refused" in said[3]
    assert "not built yet" in said[4]
    assert 'did you mean "base"?' in said[5]


@pytest.mark.parametrize(
    ("components", "words"),
    [
        ('  components: {kubernetes: "1.36.3"}\n', "Kubernetes' version stands in cluster.yaml"),
        ("  components: {etcd: 3.6}\n", 'write "3.6" in quotes'),
        ("  components: {etcd: latest}\n", 'must be a version such as "3.6.16"'),
        ('  components: {containerd: "2.4.2"}\n', "comes from Debian only"),
        ("  components: {etcd: debian}\n", "is not taken from Debian"),
        ('  components: {etc: "3.6.16"}\n', 'did you mean "etcd"?'),
        ('  components: {etcd: "3.6.16"}\n', "lacks flannel, coredns, containerd, runc, cni-plugins"),
        ('  components: {etcd: "3.6.16", etcd: "3.6.16"}\n', "this key stands already at 5:16"),
    ],
)
def test_a_component_that_cannot_be_is_refused_with_what_would_be_right(components: str, words: str) -> None:
    assert any(words in one for one in refused("", components)), refused("", components)


def test_two_files_for_one_path_of_one_role_are_refused() -> None:
    said = refused("  files: [{path: /etc/a, source: ./a}, {path: /etc/a, source: ./b, roles: [worker]}]\n")
    assert said == ["recipe.yaml:6:47: spec.files[1].path: stands already in files[0] for worker: keep one"]


def test_the_same_path_for_different_roles_is_fine() -> None:
    recipe = read(
        "  files:\n"
        "  - {path: /etc/a, source: ./a, roles: [control-plane]}\n"
        "  - {path: /etc/a, source: ./b, roles: [worker]}\n"
    )
    assert [one.source for one in recipe.files] == ["a", "b"]


def test_risens_own_folders_are_not_the_users_to_write() -> None:
    assert "that is Risen's own" in refused("  files: [{path: /usr/lib/risen/run, source: ./a}]\n")[0]
