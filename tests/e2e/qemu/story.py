"""Runs inside the guest, as a unit of its systemd: what Risen says of a stock Debian.

Says each step's end on the serial console as `STORY ok|failed STEP SECONDS TEXT`; the test outside reads that.
It may use what the guest has and nothing of the test's host. It ends with a power-off.
"""

from __future__ import annotations

import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from pieces import Cluster

CLUSTER = Cluster("qemu", Path("/srv/payload/work"), "10.83.0")


def said(*words: str) -> str:
    """What a program of the guest prints."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def stock_host() -> None:
    """The guest is what it claims: cgroup version 2, systemd as process 1, and Docker's FORWARD drop."""
    assert said("stat", "-fc", "%T", "/sys/fs/cgroup").strip() == "cgroup2fs"
    assert Path("/proc/1/comm").read_text().strip() == "systemd"
    assert "-P FORWARD DROP" in said("iptables", "-S")


def set_up() -> None:
    """The packages are compiled, as `make setup` compiles them."""
    said(sys.executable, "-m", "compileall", "-q", "-j", "2", "/srv/payload/site")


def doctor() -> None:
    """`risen doctor` finds nothing to mend for the cluster that `risen init` writes."""
    CLUSTER.risen("init", "--name", "qemu", "--control-plane", "1", "--workers", "1")
    CLUSTER.risen("doctor")


STEPS = (stock_host, set_up, doctor)


def told(step: Callable[[], None]) -> bool:
    """Run a step and say how it went."""
    began = time.monotonic()
    try:
        step()
    except Exception as error:  # noqa: BLE001 - whatever it is, the test outside must read it
        print(traceback.format_exc(), flush=True)
        text = " ".join(str(error).split())[:2000]
        print(f"STORY failed {step.__name__} {time.monotonic() - began:.0f} {text}", flush=True)
        return False
    print(f"STORY ok {step.__name__} {time.monotonic() - began:.0f}", flush=True)
    return True


def main() -> None:
    """Tell the steps up to the first that fails, then power the guest off."""
    if not all(told(step) for step in STEPS):
        subprocess.run(
            ["journalctl", "-b", "-p", "warning", "-n", "40", "--no-pager", "-o", "cat"], check=False
        )
    subprocess.run(["systemctl", "poweroff"], check=True)


if __name__ == "__main__":
    main()
