"""What `status` quotes from consoles: the join line of whoever has not joined, and of whoever was given up."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as changed

from builders import UID, birth_of, id_of
from risen.cli.consoles import Consoles, join_line, read_consoles
from risen.core.history import Entry, History, Life
from risen.core.judge.joining import NEVER_JOINED
from risen.core.names import InstanceName
from risen.interfaces.errors import NotFound

CONSOLE = (
    b"[  OK  ] Started dbus.service.\r\r\n"
    b"risen-join[140]: worker-a asks https://10.81.0.1:9443 for 2 certificates\r\n"
    b"risen-join[140]: cannot fetch the authority from https://10.81.0.1:9443: \x1b[31mrefused \r\n"
    b"\x1b[K[***   ] Job kube-proxy.service/start running (2s / 15min)\r\r\n"
)


@dataclass(frozen=True)
class Printed:
    """A provider of which only consoles are asked."""

    consoles: dict[str, bytes]

    async def console(self, instance: InstanceName, limit: int = 65536) -> bytes:
        if instance not in self.consoles:
            raise NotFound(f"{instance} has printed nothing")
        return self.consoles[instance][-limit:]


def life(name: str, **facts: float) -> Life:
    return changed(Life(birth_of(name), id_of(name), 10001.0), **facts)


def history(*lives: Life, never_joined: dict[str, float] | None = None) -> History:
    entries = {
        f"e-{name}": Entry(f"e-{name}", InstanceName(name), NEVER_JOINED, ("late",), at, at + 1)
        for name, at in (never_joined or {}).items()
    }
    return History(UID, {one.birth.instance: one for one in lives}, entries=entries)


def test_the_last_join_line_is_found_among_boot_lines_and_terminal_codes() -> None:
    assert join_line(CONSOLE) == "cannot fetch the authority from https://10.81.0.1:9443:  [31mrefused"


def test_a_console_without_a_join_line_gives_nothing() -> None:
    assert join_line(b"[  OK  ] Started dbus.service.\r\n") == ""


async def test_only_who_has_not_joined_is_asked() -> None:
    provider = Printed({"w-aaaaa": CONSOLE, "w-bbbbb": CONSOLE})
    seen = await read_consoles(provider, history(life("w-aaaaa"), life("w-bbbbb", joined_at_unix=10002.0)))  # type: ignore[arg-type]
    assert list(seen.joining) == ["w-aaaaa"]
    assert seen.of(InstanceName("w-bbbbb")) == ""


async def test_who_says_on_its_console_that_it_joined_is_believed_before_the_store_knows() -> None:
    provider = Printed({"w-aaaaa": CONSOLE + b"risen-join[140]: w-aaaaa joined\r\n"})
    assert await read_consoles(provider, history(life("w-aaaaa"))) == Consoles({}, {})  # type: ignore[arg-type]


async def test_the_newest_that_never_joined_is_quoted_from_its_kept_console_until_another_is_ready() -> None:
    provider = Printed({"w-aaaaa": b"", "w-bbbbb": CONSOLE})
    dead = [life(name, gone_at_unix=10400.0) for name in ("w-aaaaa", "w-bbbbb")]
    late = {"w-aaaaa": 10300.0, "w-bbbbb": 10350.0}
    seen = await read_consoles(provider, history(*dead, never_joined=late))  # type: ignore[arg-type]
    assert list(seen.given_up) == ["w-bbbbb"]
    assert "cannot fetch" in seen.given_up[InstanceName("w-bbbbb")]
    risen = life("w-ccccc", joined_at_unix=10500.0, ready_at_unix=10501.0)
    assert await read_consoles(provider, history(*dead, risen, never_joined=late)) == Consoles({}, {})  # type: ignore[arg-type]


async def test_a_console_that_cannot_be_read_is_said_and_ends_no_status() -> None:
    seen = await read_consoles(Printed({}), history(life("w-aaaaa")))  # type: ignore[arg-type]
    assert seen.joining[InstanceName("w-aaaaa")].startswith("not readable: w-aaaaa")
