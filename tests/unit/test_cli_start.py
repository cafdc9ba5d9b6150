"""How a command starts and ends: what it imports, its exit code, and that all it wrote arrived."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from cli_ground import Ground, ground_in

HEAVY = (
    "aiohttp.web", "cryptography.x509", "jinja2", "pydantic", "yaml", "risen.adapters.builder",
    "risen.adapters.local.site", "risen.authority.certificates", "risen.instance", "risen.services.join", "risen.sim",
)  # fmt: skip
SHOW = """
import sys
from risen.cli import main
try:
    main.answer()
finally:
    print(*sorted(sys.modules), sep="\\n", file=sys.stderr)
"""


@pytest.fixture
def ground(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Ground:
    return ground_in(tmp_path_factory.mktemp("ground"), monkeypatch, capsys)


def imported_by(*words: str) -> list[str]:
    """Of HEAVY, what a fresh interpreter has imported when the command ends."""
    done = subprocess.run([sys.executable, "-c", SHOW, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    there = set(done.stderr.splitlines())
    return [one for one in HEAVY if any(name == one or name.startswith(f"{one}.") for name in there)]


def test_a_look_at_a_cluster_imports_nothing_that_signs_bakes_renders_or_serves(ground: Ground) -> None:
    ground.cluster()
    imported_by("status")
    for words in (("status",), ("get", "instances"), ("status", "-o", "json"), ("status", "-c", "lab")):
        assert imported_by(*words) == [], words


def test_help_imports_no_more_than_it_shows() -> None:
    assert imported_by("--help") == []


def test_what_a_look_keeps_on_the_host_is_for_its_owner_only(ground: Ground) -> None:
    ground.cluster()
    assert ground.risen("status").code == 0
    kept = ground.home / "clusters" / "lab" / "passes"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    before = kept.read_bytes()
    assert ground.risen("status").code == 0
    assert kept.read_bytes() == before
    assert not list(kept.parent.glob(".passes-*"))


def run(*words: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "risen.cli.main", *words]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "code"), [(("--help",), 0), (("nonsense",), 64), (("status", "-c", "no"), 1)]
)
def test_the_program_ends_with_the_commands_exit_code(
    ground: Ground, words: tuple[str, ...], code: int
) -> None:
    done = run(*words)
    assert done.returncode == code
    assert done.stdout if code == 0 else done.stderr


def test_who_stops_reading_gets_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run("--help", stdout=writing)
    finally:
        os.close(writing)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
