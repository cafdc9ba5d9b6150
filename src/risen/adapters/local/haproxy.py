"""HAProxy's configuration and admin socket. The backends kept in `backends.json` are rendered into its
configuration, so that they outlive it; the socket changes the running one. Source: HAProxy's management guide.
"""

from __future__ import annotations

import csv
import json
import resource
import socket
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from risen.adapters.local.host import write_file
from risen.adapters.local.settings import API_PORT, LocalSettings
from risen.interfaces.errors import Corrupt, OutcomeUnknown, Unreachable

SLOTS = 24
BACKEND = "apiservers"
SOCKET_TIMEOUT_SECONDS = 3.0
CONNECTIONS_WANTED = 8000
NOWHERE = "127.0.0.1"
STARTING, RUNNING = "1", "2"
CHECK_PASSED = "3"
READY = "/readyz?exclude=poststarthook/rbac/bootstrap-roles"
"""An API server that starts reads every built-in role again, or makes it in a new cluster, for 2 to 10 s in which it
could serve: where they are missing, a client is refused and asks again."""
NO_CONNECTION = frozenset({"L4CON", "L4TOUT"})
"""The last check was refused, found no way there, or nobody answered: no apiserver is there."""
ANY_MAINTENANCE = 0x01 | 0x02 | 0x20 | 0x40
"""Without 0x04, which only tells that the configuration began with it disabled."""
ANY_DRAIN = 0x08 | 0x10


@dataclass(frozen=True, slots=True)
class Slot:
    """One of HAProxy's fixed servers, lent to an instance. `leaving` until its sessions are seen ended."""

    number: int
    instance: str
    address: str
    draining: bool = False
    leaving: bool = False

    @property
    def server(self) -> str:
        """HAProxy's name of it."""
        return f"slot{self.number}"


@dataclass(frozen=True, slots=True)
class Shown:
    """What the running HAProxy shows of a slot. `checked` when its last check passed, `silent` when it found nobody
    who takes a connection."""

    address: str
    up: bool
    maintenance: bool
    draining: bool
    checked: bool
    silent: bool = False
    changed_seconds: float = 0.0
    """How long ago it last went up or down."""


def endpoint_folder(settings: LocalSettings) -> Path:
    """Where configuration, CA and backends lie."""
    return settings.folder / "endpoint"


def read_slots(settings: LocalSettings) -> tuple[Slot, ...]:
    """Kept backends. Raises Corrupt."""
    file = endpoint_folder(settings) / "backends.json"
    try:
        return tuple(Slot(**item) for item in json.loads(file.read_bytes()))
    except FileNotFoundError:
        return ()
    except (ValueError, TypeError) as error:
        raise Corrupt(f"{file}: {error}") from error


def write_slots(settings: LocalSettings, slots: tuple[Slot, ...]) -> None:
    """Durable, and rendered into the configuration that HAProxy starts with next time."""
    ordered = sorted(slots, key=lambda slot: slot.number)
    text = json.dumps([asdict(slot) for slot in ordered], indent=1)
    write_file(endpoint_folder(settings) / "backends.json", text.encode())
    write_file(endpoint_folder(settings) / "haproxy.cfg", render(settings, tuple(ordered)).encode())


def change_slot(slots: tuple[Slot, ...], changed: Slot) -> tuple[Slot, ...]:
    """The slots with one replaced or added."""
    return (*(slot for slot in slots if slot.number != changed.number), changed)


def free_slot(slots: tuple[Slot, ...]) -> int | None:
    """The lowest slot that nobody has."""
    used = {slot.number for slot in slots}
    return next((number for number in range(1, SLOTS + 1) if number not in used), None)


def _server_line(settings: LocalSettings, number: int, slot: Slot | None) -> str:
    address = slot.address if slot else NOWHERE
    off = " disabled" if slot is None or slot.leaving else ""
    weight = " weight 0" if slot is not None and slot.draining else ""
    return f"  server slot{number} {address}:{API_PORT}{weight}{off}\n"


def render(settings: LocalSettings, slots: tuple[Slot, ...]) -> str:
    """haproxy.cfg. A backend serves only while READY answers 200 over TLS that chains to the cluster CA
    and names `kubernetes`; one that fails loses its sessions at once (Go clients would wait 45 s).

    A check's connection, its TLS handshake with it, has the time between two checks, and its answer 2 s, or 4 times
    as long where that is more."""
    by_number = {slot.number: slot for slot in slots}
    servers = "".join(_server_line(settings, n, by_number.get(n)) for n in range(1, SLOTS + 1))
    authority = endpoint_folder(settings) / "cluster-ca.crt"
    every = round(settings.endpoint_check_seconds * 1000)
    connect, answer = max(2000, every), max(2000, 4 * every)
    return (
        "global\n"
        f"  stats socket {settings.admin_socket} mode 600 level admin\n"
        f"  maxconn {_connections()}\n"
        f"defaults\n  mode tcp\n  timeout connect {connect}ms\n  timeout client 24h\n  timeout server 24h\n"
        f"  timeout check {answer}ms\n  retries 3\n  option redispatch\n  option clitcpka\n  option srvtcpka\n"
        f"frontend api\n  bind {settings.gateway}:{API_PORT}\n  default_backend {BACKEND}\n"
        f"backend {BACKEND}\n  balance leastconn\n  option httpchk\n"
        f"  http-check send meth GET uri {READY} ver HTTP/1.1 hdr Host kubernetes\n"
        "  http-check expect status 200\n"
        f"  default-server check check-ssl verify required ca-file {authority} check-sni kubernetes "
        f"verifyhost kubernetes inter {every}ms fastinter {every}ms downinter {every}ms fall 2 rise 1 "
        "on-marked-down shutdown-sessions\n"
        f"{servers}"
    )


def _connections() -> int:
    """As many as the hard limit of open files allows: two per connection, and some for itself."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return CONNECTIONS_WANTED
    return max(100, min(CONNECTIONS_WANTED, (hard - 200) // 2))


def ask(settings: LocalSettings, *commands: str) -> str:
    """Send commands to the admin socket. Raises Unreachable (HAProxy is not there), OutcomeUnknown."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(SOCKET_TIMEOUT_SECONDS)
        try:
            link.connect(str(settings.admin_socket))
        except OSError as error:
            raise Unreachable(f"API endpoint of {settings.name}: {error}") from error
        try:
            link.sendall((";".join(commands) + "\n").encode())
            parts = []
            while data := link.recv(65536):
                parts.append(data)
        except OSError as error:
            raise OutcomeUnknown(f"API endpoint of {settings.name}: {error}") from error
    return b"".join(parts).decode(errors="replace")


def shown_slots(settings: LocalSettings) -> dict[str, Shown]:
    """What HAProxy shows, by its names of the slots. Raises Unreachable, OutcomeUnknown.

    Source: HAProxy's management guide, `show servers state` and `show stat`.
    """
    text = ask(settings, f"show servers state {BACKEND}", f"show stat {BACKEND} 4 -1")
    states, found, table = text.partition("# pxname,")
    lines = states.splitlines()
    if not found or len(lines) < 2 or not lines[1].startswith("# "):
        raise OutcomeUnknown(f"API endpoint of {settings.name}: no server states: {lines[:2]}")
    keys = lines[1][2:].split()
    rows = (dict(zip(keys, line.split(), strict=False)) for line in lines[2:] if line)
    stats = csv.DictReader(f"pxname,{table}".splitlines())
    checks = {row["svname"]: row["check_status"].removeprefix("* ") for row in stats}
    return {row["srv_name"]: _shown(row, checks.get(row["srv_name"], "")) for row in rows}


def _shown(row: dict[str, str], check: str) -> Shown:
    admin = int(row["srv_admin_state"])
    return Shown(
        address=row["srv_addr"],
        up=row["srv_op_state"] in (STARTING, RUNNING),
        maintenance=bool(admin & ANY_MAINTENANCE),
        draining=bool(admin & ANY_DRAIN) or row["srv_uweight"] == "0",
        checked=row["srv_check_result"] == CHECK_PASSED,
        silent=check in NO_CONNECTION,
        changed_seconds=float(row["srv_time_since_last_change"]),
    )


def leaving(slot: Slot) -> Slot:
    """The slot on its way out."""
    return replace(slot, leaving=True)
