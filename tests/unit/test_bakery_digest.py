"""What the digest of a tree sees, and what it must not see."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risen.bakery.digest import Entry, diff_entries, image_digest, tree_digest
from risen.core.names import Role

FILE = Entry("usr/bin/a", "file", 0o755, 0, 0, 3, "a" * 64)
LINK = Entry("bin", "link", 0o777, 0, 0, target="usr/bin")
FOLDER = Entry("usr", "dir", 0o755, 0, 0)
TREE = (FOLDER, LINK, FILE)


@given(st.permutations(TREE))
def test_the_order_of_a_directory_listing_does_not_count(entries: list[Entry]) -> None:
    assert tree_digest(entries) == tree_digest(TREE)


@pytest.mark.parametrize(
    "changed",
    [
        replace(FILE, mode=0o4755),
        replace(FILE, uid=1),
        replace(FILE, gid=1),
        replace(FILE, sha256="b" * 64),
        replace(FILE, path="usr/bin/b"),
        replace(FILE, xattrs=(("security.capability", "01"),)),
    ],
    ids=["mode", "owner", "group", "content", "name", "capability"],
)
def test_everything_an_instance_could_notice_changes_the_digest(changed: Entry) -> None:
    assert tree_digest((FOLDER, LINK, changed)) != tree_digest(TREE)


def test_a_path_cannot_imitate_two_entries() -> None:
    sly = replace(FILE, path='usr/bin/a","file"]\n["x')
    assert tree_digest([sly]) != tree_digest([FILE, replace(FILE, path="x")])


def test_an_image_is_its_role_and_its_layers_in_order() -> None:
    digest = image_digest(Role.WORKER, ["a", "b"])
    assert digest.startswith("sha256:")
    assert digest != image_digest(Role.WORKER, ["b", "a"])
    assert digest != image_digest(Role.CONTROL_PLANE, ["a", "b"])


def test_a_difference_names_the_path_and_what_changed() -> None:
    after = (FOLDER, replace(FILE, mode=0o700, sha256="b" * 64, size=4), Entry("x", "dir", 0o755, 0, 0))
    assert diff_entries(TREE, after) == (
        "- bin",
        "~ usr/bin/a (content, 3 to 4 bytes, mode 0755 to 0700)",
        "+ x",
    )
