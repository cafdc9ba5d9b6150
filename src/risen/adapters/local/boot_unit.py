"""A systemd unit that runs a cluster's controller, and at a boot of its host starts the cluster first. Written
outside of /etc; removed with the site."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from risen.adapters.local.host import is_systemd_host, run, write_file
from risen.adapters.local.settings import LocalSettings
from risen.interfaces.errors import OutcomeUnknown

RELOAD_SECONDS = 120.0
LIBRARY = Path("/usr/local/lib")
UNITS = LIBRARY / "systemd" / "system"
"""Searched by systemd and left to the administrator (systemd.unit(5))."""


def unit_text(settings: LocalSettings) -> str:
    """The unit: `start`, which needs no store, then the controller, once the network is up.

    `start` is for a boot only. Started again beside living instances the controller judges by itself which of
    those that are off are to be powered on.

    Instances are ordered before it (see `launcher`), so at shutdown the controller ends first and does not
    start again what is being powered off.
    """
    command = " ".join(_quoted(word) for word in settings.boot_command)
    log = _escaped(str(settings.folder / "controller.log"))
    return (
        f"[Unit]\nDescription=Risen cluster {settings.name}\nAfter=network-online.target\n"
        "Wants=network-online.target\n\n"
        "[Service]\nType=exec\nKillMode=mixed\nTimeoutStartSec=infinity\nRestart=on-failure\nRestartSec=2\n"
        f'Environment="RISEN_HOME={_escaped(str(settings.home))}"\n'
        f"StandardOutput=append:{log}\nStandardError=append:{log}\n"
        f"ExecStartPre=-{command} start --after-boot -c {settings.name}\n"
        f"ExecStart={command} serve -c {settings.name}\n\n"
        "[Install]\nWantedBy=multi-user.target\n"
    )


def _escaped(text: str) -> str:
    """`%` is doubled: it begins a specifier (systemd.unit(5))."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """One word of ExecStart=: `%` and `$` are doubled (systemd.service(5), command lines)."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def unit_name(settings: LocalSettings) -> str:
    """`risen-NAME.service`."""
    return f"risen-{settings.name}.service"


def boot_unit_file(settings: LocalSettings) -> Path:
    """Where the unit lies."""
    return UNITS / unit_name(settings)


def _files(settings: LocalSettings) -> tuple[Path, Path]:
    return boot_unit_file(settings), UNITS / "multi-user.target.wants" / unit_name(settings)


def _reload() -> None:
    """systemd reads all its units again, which a busy host takes its time for."""
    run(["systemctl", "daemon-reload"], timeout_seconds=RELOAD_SECONDS)


def keep_boot_unit(settings: LocalSettings) -> None:
    """Write and enable the unit where systemd is process 1 and a command is given."""
    if not settings.boot_command or not is_systemd_host():
        return
    unit, wanted = _files(settings)
    text = unit_text(settings).encode()
    if unit.exists() and unit.read_bytes() == text and wanted.is_symlink():
        return
    write_file(unit, text, 0o644)
    wanted.parent.mkdir(parents=True, exist_ok=True)
    if not wanted.is_symlink():
        os.symlink(f"../{unit.name}", wanted)
    _reload()


def remove_boot_unit(settings: LocalSettings) -> None:
    """Remove unit and link, and the folders if that leaves them empty."""
    unit, wanted = _files(settings)
    if not unit.exists() and not wanted.is_symlink():
        return
    if is_systemd_host():
        with suppress(OutcomeUnknown):  # never loaded: as good as stopped
            run(["systemctl", "stop", unit.name])
    for file in (wanted, unit):
        file.unlink(missing_ok=True)
        remove_empty(file.parent, LIBRARY)
    if is_systemd_host():
        _reload()


def remove_empty(folder: Path, top: Path) -> None:
    """Remove a folder and those it is in, as long as they are empty, but never `top`."""
    while folder != top and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
