"""What `make e2e LEFT=1` leaves out, and what a record keeps of a run."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.kept_record import CHANGED, Kept, code_now, git, not_yet_passed, read, write

ROOT = Path(__file__).resolve().parents[2]
PASSED = Kept(
    outcome="passed",
    seconds=1.0,
    commit="c",
    code="today's",
    date="2026-01-01T00:00:00+00:00",
    machine="2 CPU",
)


def test_a_file_of_which_one_test_has_not_passed_on_todays_code_is_left_whole() -> None:
    kept = {"a::1": PASSED, "a::2": PASSED, "b::1": PASSED, "b::2": replace(PASSED, code="older")}
    groups = [["a::1", "a::2"], ["b::1", "b::2"], ["c::1"]]
    assert not_yet_passed(groups, kept, lambda file: "today's") == {"b::1", "b::2", "c::1"}


def test_what_failed_is_left() -> None:
    assert not_yet_passed(
        [["a::1"]], {"a::1": replace(PASSED, outcome="failed")}, lambda file: "today's"
    ) == {"a::1"}


def test_what_ran_on_changes_that_were_not_committed_is_left() -> None:
    """Nobody can say what it ran on, not even the next minute."""
    assert not_yet_passed([["a::1"]], {"a::1": replace(PASSED, code="changed")}, lambda file: "changed") == {
        "a::1"
    }


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("src/risen/core/rules.py", True),
        ("tests/e2e/pieces.py", True),
        ("tests/e2e/qemu/guest.py", True),
        ("tests/e2e/test_one.py", True),
        ("tests/e2e/test_other.py", False),
        ("src/risen/sim/world.py", False),
        ("docs/index.md", False),
    ],
)
def test_a_record_counts_while_product_shared_parts_and_the_file_itself_are_the_same(
    tmp_path: Path, file: str, counts: bool
) -> None:
    def commit(text: str) -> None:
        (tmp_path / file).write_text(text)
        if counts:
            assert code_now("test_one.py", tmp_path) == CHANGED
        git("add", ".", root=tmp_path)
        who = ("-c", "user.name=n", "-c", "user.email=e")
        git(*who, "commit", "-qm", text, root=tmp_path)

    git("init", "-q", root=tmp_path)
    (tmp_path / file).parent.mkdir(parents=True)
    commit("before")
    before = code_now("test_one.py", tmp_path)
    commit("after")
    assert (code_now("test_one.py", tmp_path) != before) is counts


def test_a_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "e2e.json"
    assert read(file) == {}
    write(file, {"a::1": PASSED})
    assert read(file) == {"a::1": PASSED}
    assert [one.name for one in tmp_path.iterdir()] == ["e2e.json"]


def test_each_test_is_kept_as_soon_as_it_has_ended_and_a_failing_teardown_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        f"import sys\nsys.path[:0] = [{str(ROOT / 'tests')!r}]\n"
        "from pathlib import Path\nfrom e2e.kept_record import RecordKeeper\n"
        "def pytest_configure(config):\n"
        f"    config.pluginmanager.register(RecordKeeper(Path({str(tmp_path / 'e2e.json')!r})))\n"
    )
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "@pytest.fixture\n"
        "def untidy():\n    yield\n    raise OSError\n"
        "def test_good():\n    pass\n"
        "def test_bad():\n    assert False\n"
        "def test_untidy(untidy):\n    pass\n"
    )
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    subprocess.run(words, cwd=tmp_path, capture_output=True, check=False)
    outcomes = {test.rpartition("::")[2]: kept.outcome for test, kept in read(tmp_path / "e2e.json").items()}
    assert outcomes == {"test_good": "passed", "test_bad": "failed", "test_untidy": "failed"}
