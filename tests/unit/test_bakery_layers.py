"""Which layers make an image, and what each role gets and does not get."""

from __future__ import annotations

from dataclasses import replace

from risen.bakery.components import COMPONENTS, linker_flags
from risen.bakery.layers import OwnFiles, base_step, components_of, content_step, program_steps
from risen.bakery.lock import Lock, LockedComponent, LockedPackage, LockedProgram
from risen.bakery.recipe import Recipe, RecipeFile, RecipeImage, RecipeUnit
from risen.bakery.steps import LaidFile, step_digest
from risen.core.names import Role
from risen.instance.content import ImageContent, ImageFile

NOTHING = ImageContent((), ())
RECIPE = Recipe("node", (("etcd", "3.6.16"),))


def component(name: str, version: str = "1.2.3") -> LockedComponent:
    programs = tuple(
        LockedProgram(one.name, f"sha-{one.name}-{version}") for one in COMPONENTS[name].programs
    )
    return LockedComponent(name, version, "go-modules", name, "why", "c" * 64, True, "go", programs)


CATATONIT = LockedPackage("catatonit", "0.1.7", "amd64", "a" * 64, 1, "pool/c.deb")
LOCK = Lock(
    "e" * 64, "amd64", "bookworm", ("catatonit",), (CATATONIT,),
    (component("kubernetes", "1.36.3"), component("etcd"), component("flannel"), component("coredns")),
)  # fmt: skip


def programs(role: Role) -> set[str]:
    return {one.path for step in program_steps(LOCK, "1.36.3", "base", role) for one in step.programs}


def test_a_worker_carries_no_api_server_and_no_etcd() -> None:
    assert programs(Role.WORKER) == {"usr/bin/kubelet", "usr/bin/kube-proxy", "usr/bin/flannel"}


def test_the_control_plane_carries_the_workers_programs_and_its_own() -> None:
    own = {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "etcdutl"}
    assert programs(Role.CONTROL_PLANE) - programs(Role.WORKER) == {f"usr/bin/{one}" for one in own}


def test_no_role_carries_the_hosts_own_tools() -> None:
    assert not {"usr/bin/kubectl", "usr/bin/etcdctl"} & programs(Role.CONTROL_PLANE)


def test_an_image_tells_the_components_of_its_role_and_of_its_kubernetes_only() -> None:
    older = component("kubernetes", "1.35.4")
    debian = LockedComponent("runc", "1.1.5", "debian", "runc", "why")
    lock = replace(LOCK, components=(*LOCK.components, older, debian))
    worker = (("coredns", "1.2.3"), ("flannel", "1.2.3"), ("kubernetes", "1.36.3"), ("runc", "1.1.5"))
    assert components_of(lock, "1.36.3", Role.WORKER) == worker
    assert set(components_of(lock, "1.36.3", Role.CONTROL_PLANE)) - set(worker) == {("etcd", "1.2.3")}


def test_roles_share_the_layer_that_both_have() -> None:
    worker = program_steps(LOCK, "1.36.3", "base", Role.WORKER)
    control_plane = program_steps(LOCK, "1.36.3", "base", Role.CONTROL_PLANE)
    assert step_digest(worker[0]) == step_digest(control_plane[0])


def test_a_step_is_named_by_all_that_goes_in() -> None:
    steps = program_steps(LOCK, "1.36.3", "base", Role.WORKER)
    other = replace(LOCK, components=(component("kubernetes", "1.36.4"), *LOCK.components[1:]))
    assert step_digest(program_steps(other, "1.36.4", "base", Role.WORKER)[0]) != step_digest(steps[0])
    assert step_digest(program_steps(LOCK, "1.36.3", "other base", Role.WORKER)[0]) != step_digest(steps[0])
    package = replace(CATATONIT, sha256="0" * 64)
    assert step_digest(base_step(replace(LOCK, packages=(package,)))) != step_digest(base_step(LOCK))


def test_a_step_says_what_it_does() -> None:
    assert base_step(LOCK).describe() == "base: Debian bookworm amd64, 1 packages"
    assert "image risen.local/coredns:1.2.3" in program_steps(LOCK, "1.36.3", "b", Role.WORKER)[0].describe()


def test_enabled_units_are_linked_to_where_they_lie() -> None:
    content = ImageContent(
        (ImageFile("/etc/systemd/system/own.service", b"x"),), ("own.service", "deb.service")
    )
    files = {one.path: one for one in content_step(RECIPE, Role.WORKER, "b", content, OwnFiles({}, {})).files}
    wants = "etc/systemd/system/multi-user.target.wants"
    assert files[f"{wants}/own.service"].link == "/etc/systemd/system/own.service"
    assert files[f"{wants}/deb.service"].link == "/usr/lib/systemd/system/deb.service"


def test_the_recipes_files_reach_only_their_roles_and_win_over_ours() -> None:
    recipe = replace(
        RECIPE,
        files=(RecipeFile("/etc/a", "files/a", 0o600, (Role.WORKER,)),),
        units=(RecipeUnit("a.timer", "files/u"),),
        images=(RecipeImage("i.tar"),),
        kernel_modules=("overlay",),
        sysctls=(("a.b", "1"),),
    )
    own = OwnFiles({"files/a": b"mine", "files/u": b"unit"}, {"i.tar": "d" * 64})
    ours = ImageContent((ImageFile("/etc/a", b"ours"),), ())
    worker = content_step(recipe, Role.WORKER, "b", ours, own)
    files = {one.path: one for one in worker.files}
    assert files["etc/a"] == LaidFile("etc/a", b"mine", 0o600)
    assert files["etc/systemd/system/timers.target.wants/a.timer"].link == "/etc/systemd/system/a.timer"
    assert files["usr/lib/sysctl.d/60-risen-recipe.conf"].data == b"a.b = 1\n"
    assert [one.path for one in worker.copied] == [f"usr/lib/risen/images/own-{'d' * 16}.tar"]
    control_plane = content_step(recipe, Role.CONTROL_PLANE, "b", ours, own)
    assert {one.path: one for one in control_plane.files}["etc/a"].data == b"ours"


def test_a_changed_file_changes_only_its_own_layer() -> None:
    recipe = replace(RECIPE, files=(RecipeFile("/etc/a", "a"),))
    one = content_step(recipe, Role.WORKER, "b", NOTHING, OwnFiles({"a": b"1"}, {}))
    two = content_step(recipe, Role.WORKER, "b", NOTHING, OwnFiles({"a": b"2"}, {}))
    assert step_digest(one) != step_digest(two)


def test_kubernetes_programs_are_told_their_version() -> None:
    flags = linker_flags(COMPONENTS["kubernetes"], "1.36.3")
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in flags
    assert "-X k8s.io/component-base/version.gitMinor=36" in flags
