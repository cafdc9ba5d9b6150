"""The simulator's store answers what the directory store answers, for any series of requests."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from risen.adapters.answer_file import noted
from risen.adapters.store.directory import DirectoryStore
from risen.interfaces.errors import InterfaceError
from risen.interfaces.store import IfAbsent, IfVersion, Object, Store
from risen.sim.bucket import Bucket

KEYS = st.sampled_from(["a", "a/b", "a/c", "b-1", "a.d"])
Request: TypeAlias = tuple[str, str, str]
REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["get", "put", "absent", "version", "stale", "delete", "list", "append", "read", "page"]
        ),
        KEYS,
        st.sampled_from(["x", "y"]),
    ),
    max_size=30,
)


class Asker:
    """Sends the same requests to both, each with the versions that it was given itself."""

    def __init__(self, directory: DirectoryStore, bucket: Bucket) -> None:
        self.directory, self.bucket = directory, bucket
        self.versions: dict[str, list[tuple[str, str]]] = {}

    async def ask(self, request: Request) -> tuple[object, object]:
        kind, key, text = request
        data = text.encode()
        given_before = self.versions.get(key, [])
        match kind:
            case "put" | "absent":
                condition = IfAbsent() if kind == "absent" else None
                return await self._put(key, data, (condition, condition))
            case "version" | "stale":
                old = given_before[-1 if kind == "version" else 0] if given_before else ("0", "0")
                return await self._put(key, data, (IfVersion(old[0]), IfVersion(old[1])))
            case "get":
                return await self._both(lambda: self.directory.get(key), lambda: self.bucket.get(key))
            case "delete":
                return await self._both(lambda: self.directory.delete(key), lambda: self.bucket.delete(key))
            case "list":
                return await self._both(lambda: self.directory.list(key), lambda: self.bucket.list(key))
            case "append":
                return await self._both(
                    lambda: self.directory.append(key, data), lambda: self.bucket.append(key, data)
                )
            case "page":
                return await self._both(
                    lambda: self.directory.read(key, 0, 2), lambda: self.bucket.read(key, 0, 2)
                )
            case _:
                return await self._both(lambda: self.directory.read(key, 1), lambda: self.bucket.read(key, 1))

    async def _put(
        self,
        key: str,
        data: bytes,
        conditions: tuple[IfAbsent | IfVersion | None, IfAbsent | IfVersion | None],
    ) -> tuple[object, object]:
        ours, its = await self._both(
            lambda: self.directory.put(key, data, conditions[0]),
            lambda: self.bucket.put(key, data, conditions[1]),
        )
        if isinstance(ours, str) and isinstance(its, str):
            self.versions.setdefault(key, []).append((ours, its))
            return "written", "written"
        return ours, its

    async def _both(
        self, ours: Callable[[], Awaitable[object]], its: Callable[[], object]
    ) -> tuple[object, object]:
        first: object
        second: object
        try:
            first = _without_version(await ours())
        except InterfaceError as error:
            first = type(error)
        try:
            second = _without_version(its())
        except InterfaceError as error:
            second = type(error)
        return first, second


def _without_version(answer: object) -> object:
    return answer.data if isinstance(answer, Object) else answer


@settings(max_examples=40, deadline=None, derandomize=True)
@given(REQUESTS)
def test_the_simulators_store_answers_what_the_directory_answers(requests: list[Request]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory(prefix="store-") as folder:
            asker = Asker(noted(DirectoryStore.create(Path(folder) / "store"), Store), Bucket())
            for number, request in enumerate(requests):
                ours, its = await asker.ask(request)
                assert ours == its, (number, request, requests[: number + 1])

    asyncio.run(run())
