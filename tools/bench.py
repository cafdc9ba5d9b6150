"""Runs the measurements in bench/ and prints the newest records against their aims and the record before.

    python tools/bench.py [NAME…]    run bench/NAME.py, or all of them, then show
    python tools/bench.py --show     only show

Measures nothing itself. Warns where a figure got more than 30 % worse than on this machine before; the exit
status is that of the runs, so figures alone never fail.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
WORSE_SHARE = 0.30
HEAD = ("bench", "figure", "median", "worst", "aim", "before", "")


@dataclass(frozen=True)
class Row:
    """One figure of one bench as the table shows it."""

    bench: str
    figure: str
    median: str
    worst: str
    aim: str
    before: str
    remark: str

    @property
    def cells(self) -> tuple[str, ...]:
        """In the order of the table's head."""
        return (self.bench, self.figure, self.median, self.worst, self.aim, self.before, self.remark)


def rows_of(records: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """The newest record of each bench, beside the one before it from the same machine."""
    by_bench: dict[str, list[Mapping[str, Any]]] = {}
    for record in sorted(records, key=lambda one: str(one["date"])):
        by_bench.setdefault(str(record["bench"]), []).append(record)
    for bench, found in sorted(by_bench.items()):
        newest = found[-1]
        earlier = [one for one in found[:-1] if one.get("machine") == newest.get("machine")]
        before: Mapping[str, Any] = earlier[-1]["figures"] if earlier else {}
        for name, figure in newest.get("figures", {}).items():
            yield _row(bench, name, figure, before.get(name))


def render(rows: Iterable[Row]) -> str:
    """The table, in columns as wide as they need."""
    lines = [HEAD, *(row.cells for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )
    return "\n".join(line.rstrip() for line in padded)


def _row(bench: str, name: str, figure: Mapping[str, Any], before: Mapping[str, Any] | None) -> Row:
    unit, aim = str(figure.get("unit", "")), figure.get("aim")
    judged = figure.get(figure.get("aim_on", "median"))
    higher = figure.get("better") == "higher"
    remarks = []
    if aim is not None and judged is not None:
        remarks.append("ok" if (judged >= aim if higher else judged <= aim) else "misses its aim")
    if before and before.get("median") and figure.get("median") is not None:
        change = figure["median"] / before["median"] - 1
        if (-change if higher else change) > WORSE_SHARE:
            remarks.append(f"WORSE by {abs(change):.0%}")
    return Row(
        bench,
        name,
        _number(figure.get("median"), unit),
        _number(figure.get("worst"), unit),
        (f"{'≥' if higher else '≤'} {_number(aim, unit)}") if aim is not None else "",
        _number((before or {}).get("median"), unit),
        ", ".join(remarks),
    )


def _number(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.4g} {unit}".rstrip()


def main(arguments: list[str]) -> int:
    """Run what was asked for, then show. The exit status of the first run that failed, else 0."""
    status = 0
    if arguments != ["--show"]:
        names = arguments or sorted(path.stem for path in (ROOT / "bench").glob("*.py"))
        for name in names:
            print(f"bench   {name}", file=sys.stderr)
            done = subprocess.run([sys.executable, str(ROOT / "bench" / f"{name}.py")], cwd=ROOT, check=False)
            status = status or done.returncode
    records = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    print(render(rows_of(record for record in records if "figures" in record)))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
