"""Risen on hosts as most users have them: Debian 12 and 13, cgroup version 2, systemd as process 1."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "qemu"))

from guest import kvm_runs, make_root, run_guest
from payload import make_payload
from story import STEPS

from risen.adapters.builder.images_tar import static_busybox

pytestmark = [pytest.mark.root, pytest.mark.e2e]
CACHE = Path(os.environ.get("RISEN_CACHE", "/var/cache/risen"))
BOUND_SECONDS = 300


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a guest of each suite said of each step: `ok`, or how it failed."""
    folder = tmp_path_factory.mktemp(request.param)
    root = make_root(request.param, CACHE)
    payload = make_payload(request.param, folder)
    accelerated = kvm_runs(root, static_busybox(CACHE, "bookworm", "amd64"), folder)
    story = run_guest(root, payload, folder, accelerated, BOUND_SECONDS)
    payload.unlink()
    print(story)
    lines = [line.split(" ", 3) for line in story.splitlines() if line.startswith("STORY ")]
    return {words[2]: words[1] if words[1] == "ok" else words[3] for words in lines}


def test_doctor_finds_nothing_to_mend_on_a_stock_debian_with_systemd_and_cgroup_version_2(
    told: dict[str, str],
) -> None:
    assert told == {step.__name__: "ok" for step in STEPS}
