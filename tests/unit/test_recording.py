"""The recorder notes what was answered, in kinds; what is recorded is otherwise as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from builders import UID, id_of
from risen.core.names import InstanceName, ProviderId
from risen.core.picture import InstanceSeen, InstanceState, ProviderSeen
from risen.interfaces.answers import Answer
from risen.interfaces.endpoint import Endpoint
from risen.interfaces.errors import NotFound
from risen.interfaces.etcd import Etcd
from risen.interfaces.kubernetes import Kubernetes
from risen.interfaces.order import WRITES
from risen.interfaces.provider import Provider
from risen.interfaces.recording import recorded


def seen_of(*names: str) -> ProviderSeen:
    """A list of running instances."""
    return ProviderSeen(
        tuple(InstanceSeen(InstanceName(name), id_of(name), UID, InstanceState.RUNNING) for name in names)
    )


@dataclass
class Cloud:
    """A provider whose list lags as it is told to."""

    listed: list[InstanceName] = field(default_factory=list)
    colour: str = "grey"

    async def list(self) -> ProviderSeen:
        await asyncio.sleep(0)
        return seen_of(*self.listed)

    async def get(self, name: InstanceName) -> InstanceSeen:
        raise NotFound(f"no {name}")

    async def destroy(self, provider_id: ProviderId) -> None:
        raise KeyError(provider_id)

    async def launch(self, request: Any) -> ProviderId:
        return id_of(request.instance)

    async def press_power_button(self, provider_id: ProviderId) -> None: ...
    async def power_on(self, provider_id: ProviderId) -> None: ...
    async def console(self, name: InstanceName, limit: int = 65536) -> bytes:
        return b"x" * limit


@dataclass(frozen=True)
class Wanted:
    """As much of a launch request as its recording looks at."""

    instance: InstanceName


@dataclass
class Book:
    """Notes in a list."""

    told: list[tuple[Answer, str]] = field(default_factory=list)

    def note(self, answer: Answer, error: str) -> None:
        self.told.append((answer, error))

    @property
    def kinds(self) -> list[str]:
        return [str(answer) for answer, _ in self.told]


def run(request: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(request)


def test_an_answer_is_passed_on_and_noted_by_what_it_shows() -> None:
    cloud, book = Cloud([InstanceName("w-a")]), Book()
    seen = run(recorded(cloud, Provider, book.note).list())
    assert seen == seen_of("w-a")
    assert book.kinds == ["provider.list  ok", "provider.list  shows  running"]


def test_an_error_is_passed_on_and_noted_with_its_text() -> None:
    book = Book()
    with pytest.raises(NotFound):
        run(recorded(Cloud(), Provider, book.note).get(InstanceName("w-a")))
    assert book.told == [(Answer("provider.get", "NotFound"), "no w-a")]


def test_what_no_interface_may_raise_is_noted_by_its_own_name() -> None:
    book = Book()
    with pytest.raises(KeyError):
        run(recorded(Cloud(), Provider, book.note).destroy(id_of("w-a")))
    assert book.kinds == ["provider.destroy  KeyError"]


def test_a_call_that_was_cancelled_was_not_answered() -> None:
    book = Book()

    async def ask() -> None:
        asking = asyncio.ensure_future(recorded(Cloud(), Provider, book.note).list())
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    run(ask())
    assert book.told == []


def test_what_the_interface_does_not_name_is_the_real_objects_own() -> None:
    cloud, book = Cloud(), Book()
    around = recorded(cloud, Provider, book.note)
    around.colour = "blue"
    assert (cloud.colour, around.colour, around.listed is cloud.listed, book.told) == (
        "blue",
        "blue",
        True,
        [],
    )


def test_a_list_that_lacks_what_was_launched_is_told_from_one_that_has_it() -> None:
    cloud, book = Cloud(), Book()
    around = recorded(cloud, Provider, book.note)

    async def ask() -> None:
        await around.launch(request=Wanted(InstanceName("w-a")))
        await around.list()
        cloud.listed.append(InstanceName("w-a"))
        await around.list()
        await around.list()

    run(ask())
    assert [kind for kind in book.kinds if "order" in kind] == [
        "provider.list  order  launch not shown yet",
        "provider.list  order  launch shown",
    ]


def test_a_list_that_was_asked_for_before_the_launch_need_not_show_it() -> None:
    cloud, book = Cloud(), Book()
    around = recorded(cloud, Provider, book.note)

    async def ask() -> None:
        asking = asyncio.ensure_future(around.list())
        await asyncio.sleep(0)
        await around.launch(Wanted(InstanceName("w-a")))
        await asking

    run(ask())
    assert [kind for kind in book.kinds if "order" in kind] == []


def test_every_write_that_must_show_is_one_of_an_interface() -> None:
    """A renamed method must not slip out of the recording."""
    known = {
        f"{interface.__name__.lower()}.{name}"
        for interface in (Provider, Endpoint, Etcd, Kubernetes)
        for name in vars(interface)
    }
    assert WRITES - known == frozenset()
