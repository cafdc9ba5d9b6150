"""A host of a test's own as far as its network, firewall and /run go: rules are laid and lost there, and nowhere else.

All of it ends with the thread that it is entered by; threads and programs started from that one are in it too.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000


class Elsewhere(Protocol):
    """Runs there, and returns what it returns."""

    def __call__(self, act: Callable[[], T]) -> T: ...


def out(*argv: str) -> str:
    """What a program that must end well prints."""
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    """A namespace of network and mounts with an empty /run, and an outside behind a link that leads nowhere."""
    with ThreadPoolExecutor(1, initializer=_enter) as thread:

        def inside(act: Callable[[], T]) -> T:
            return thread.submit(act).result()

        yield inside


def _enter() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "unshare")
    out("mount", "--make-rprivate", "/")
    out("mount", "-t", "tmpfs", "tmpfs", "/run")
    for words in (
        "link set lo up",
        "link add outside type bridge",
        "addr add 192.0.2.2/24 dev outside",
        "link set outside up",
        "route add default via 192.0.2.1",
    ):
        out("ip", *words.split())
