"""Passes: signed once for hours and kept sealed, signed again as soon as they may not be good any more."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from cryptography import x509

from risen.adapters.store.directory import DirectoryStore
from risen.adapters.system import SystemEntropy
from risen.authority.passes import LEAST_SECONDS, Passes
from risen.authority.sealing import SealingKey
from risen.codec import records
from risen.core.names import ClusterUid
from risen.interfaces.errors import Denied, NotFound
from risen.services.credentials import PASS_HOURS, Credentials, PassPlace

UID = ClusterUid("uid-of-tests")
KEY, OTHER_KEY = SealingKey(b"k" * 32), SealingKey(b"o" * 32)
NOW = 1_800_000_000.0


@dataclass
class Clock:
    """Stands until it is set."""

    now: float = NOW

    def boot(self) -> float:
        return self.now

    def unix(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Kept:
    """A file in memory."""

    content: bytes | None = None
    writes: int = 0
    full: bool = False
    place: PassPlace = field(init=False)

    def __post_init__(self) -> None:
        self.place = PassPlace("passes", lambda: self.content, self._write)

    def _write(self, data: bytes) -> None:
        if self.full:
            raise Denied("the file system is read-only")
        self.content, self.writes = data, self.writes + 1


@pytest.fixture
async def own(tmp_path: Path) -> Credentials:
    credentials = Credentials(DirectoryStore.create(tmp_path), KEY, Clock(), SystemEntropy())
    await credentials.found("lab")
    return credentials


async def test_passes_are_signed_once_and_then_taken_from_where_they_are_kept(own: Credentials) -> None:
    kept = Kept()
    first = await own.passes(UID, kept.place)
    assert (await own.passes(UID, kept.place), kept.writes) == (first, 1)
    assert first.api.ends_unix == first.etcd.ends_unix == NOW + PASS_HOURS * 3600
    names = [
        x509.load_pem_x509_certificate(one.certificate.encode()).subject for one in (first.api, first.etcd)
    ]
    assert [name.rfc4514_string() for name in names] == [
        "CN=risen:controller,O=system:masters",
        "CN=risen:controller",
    ]


async def test_what_is_kept_is_of_no_use_without_the_sealing_key(own: Credentials) -> None:
    kept = Kept()
    passes = await own.passes(UID, kept.place)
    assert kept.content is not None
    assert b"PRIVATE" not in kept.content and passes.api.key.encode() not in kept.content
    with pytest.raises(Denied):
        await replace(own, key=OTHER_KEY).passes(UID, kept.place)


async def test_passes_are_signed_again_before_they_end(own: Credentials) -> None:
    kept, clock = Kept(), Clock()
    own = replace(own, clock=clock)
    first = await own.passes(UID, kept.place)
    clock.now = first.api.ends_unix - LEAST_SECONDS - 1
    assert await own.passes(UID, kept.place) == first
    clock.now += 1
    second = await own.passes(UID, kept.place)
    assert second != first and second.api.ends_unix == clock.now + PASS_HOURS * 3600


async def test_passes_of_other_authorities_or_of_another_cluster_are_not_used(own: Credentials) -> None:
    kept = Kept()
    first = await own.passes(UID, kept.place)
    assert (await own.passes(ClusterUid("another"), kept.place)).api != first.api
    await own.passes(UID, kept.place)
    there = await own.store.get(records.AUTHORITIES)
    assert there is not None
    await own.store.put(records.AUTHORITIES, there.data)
    assert (await own.passes(UID, kept.place)).authorities != first.authorities


@pytest.mark.parametrize("content", [b"", b"garbage", b"risen-sealed 9 0\n"])
async def test_what_cannot_be_opened_is_signed_anew(own: Credentials, content: bytes) -> None:
    kept = Kept(content)
    assert isinstance(await own.passes(UID, kept.place), Passes)
    assert kept.content != content


async def test_passes_kept_under_another_sealing_key_are_signed_anew(
    own: Credentials, tmp_path: Path
) -> None:
    kept = Kept()
    other = replace(own, store=DirectoryStore.create(tmp_path / "other"), key=OTHER_KEY)
    await other.found("other")
    theirs = await other.passes(UID, kept.place)
    assert (await own.passes(UID, kept.place)).api != theirs.api


async def test_where_nothing_can_be_kept_everyone_signs_for_himself(own: Credentials) -> None:
    kept = Kept(full=True)
    assert await own.passes(UID, kept.place) != await own.passes(UID, kept.place)


async def test_without_authorities_there_are_no_passes(tmp_path: Path) -> None:
    own = Credentials(DirectoryStore.create(tmp_path), KEY, Clock(), SystemEntropy())
    with pytest.raises(NotFound, match="authorities"):
        await own.passes(UID, Kept().place)


async def test_authorities_are_founded_once(own: Credentials) -> None:
    before = await own.authorities()
    await own.found("lab")
    assert await own.authorities() == before
