"""Draws the picture of a rollout as SVG: readable on light and on dark, without any font or file from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from xml.sax.saxutils import escape, quoteattr

from risen.cli.timeline import Mark, Phase, Picture, Row
from risen.cli.words import span

WIDTH = 960
LEAST_GUTTER = 160.0
RIGHT = 24
TOP = 60
ROW = 22
BAR = 12
LANE = 16
LETTER = 6.3
"""Width of a letter at 11 px, about; only for keeping labels off each other."""
LEAST_WIDTH = 1.5
"""A phase shorter than that many pixels would not be seen."""
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
MOST_TICKS = 9
CLASSES: Mapping[Phase, str] = MappingProxyType(
    {
        Phase.LAUNCH: "launch",
        Phase.BOOT: "boot",
        Phase.JOIN: "join",
        Phase.SERVES: "serves",
        Phase.SERVES_OTHER: "other",
        Phase.DRAIN: "drain",
        Phase.LOST: "lost",
    }
)
STYLE = """
svg { --paper:#ffffff; --ink:#1f2328; --soft:#59636e; --line:#d1d9e0; --launch:#1b7c83; --boot:#8250df;
  --join:#0969da; --serves:#2da44e; --other:#afb8c1; --drain:#e16f24; --lost:#cf222e; }
@media (prefers-color-scheme: dark) { svg { --paper:#0d1117; --ink:#e6edf3; --soft:#9198a1; --line:#30363d;
  --launch:#39c5cf; --boot:#a371f7; --join:#4493f8; --serves:#3fb950; --other:#545d68; --drain:#f0883e;
  --lost:#f85149; } }
text { font: 11px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: var(--ink); }
.title { font: 600 14px system-ui, sans-serif; } .soft { fill: var(--soft); } .paper { fill: var(--paper); }
.line { stroke: var(--line); stroke-width: 1; } .off { stroke: var(--ink); stroke-width: 2; }
.launch { fill: var(--launch); } .boot { fill: var(--boot); } .join { fill: var(--join); }
.serves { fill: var(--serves); } .other { fill: var(--other); } .drain { fill: var(--drain); } .lost { fill: var(--lost); }
.good { stroke: var(--serves); fill: var(--serves); } .bad { stroke: var(--lost); fill: var(--lost); }
.order { stroke: var(--join); fill: var(--join); } .mark { stroke-width: 1.5; stroke-dasharray: 3 3; }
text.good, text.bad, text.order { stroke: none; }
"""


def draw(picture: Picture) -> str:
    """The whole file."""
    lanes = _lanes(picture)
    top = TOP + LANE * (max(lanes, default=-1) + 1) + 8
    bottom = top + ROW * len(picture.rows)
    height = bottom + 70
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label={quoteattr(picture.title)}>',
        f"<title>{escape(picture.title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="16" y="26">{escape(picture.title)}</text>',
        f'<text class="soft" x="16" y="44">{escape(picture.subtitle)}</text>',
        *_axis(picture, top, bottom),
        *(part for number, row in enumerate(picture.rows) for part in _row(picture, row, top + ROW * number)),
        *_marks(picture, lanes, bottom),
        *_legend(picture, bottom + 46),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _gutter(picture: Picture) -> float:
    """Room for the longest name beside its release, at most half of the picture."""
    letters = max((len(row.instance) + len(row.release) for row in picture.rows), default=0)
    return min(max(LEAST_GUTTER, 16 + letters * LETTER + 24), WIDTH / 2)


def _x(picture: Picture, unix: float) -> float:
    seconds, gutter = max(picture.end - picture.start, 0.001), _gutter(picture)
    return gutter + (WIDTH - gutter - RIGHT) * (unix - picture.start) / seconds


def _axis(picture: Picture, top: float, bottom: float) -> Iterator[str]:
    """A line every round number of seconds since the revision was applied."""
    seconds = picture.end - picture.start
    step = next((tick for tick in TICKS if seconds / tick <= MOST_TICKS), TICKS[-1])
    for number in range(int(seconds / step) + 1):
        x = _x(picture, picture.start + number * step)
        yield f'<line class="line" x1="{x:.1f}" y1="{top - 4}" x2="{x:.1f}" y2="{bottom + 4}"/>'
        words = (
            "applied"
            if number == 0
            else span(number * step).removesuffix(".0s").removesuffix("s")
            + ("s" if number * step < 120 else "")
        )
        yield f'<text class="soft" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{words}</text>'


def _row(picture: Picture, row: Row, y: float) -> Iterator[str]:
    middle = y + ROW / 2
    yield f'<text x="16" y="{middle + 4}">{escape(row.instance)}</text>'
    yield f'<text class="soft" x="{_gutter(picture) - 8:.1f}" y="{middle + 4}" text-anchor="end">{escape(row.release)}</text>'
    for bar in row.bars:
        start, end = _x(picture, bar.start), _x(picture, bar.end)
        width = max(LEAST_WIDTH, end - start)
        yield (
            f'<rect class="{CLASSES[bar.phase]}" x="{start:.1f}" y="{middle - BAR / 2}" width="{width:.1f}" '
            f'height="{BAR}" rx="2"><title>{escape(bar.words)}</title></rect>'
        )
    if row.entry is not None:
        x = _x(picture, row.entry[0])
        top = middle - BAR / 2
        yield (
            f'<path class="drain" d="M{x - 4:.1f} {top - 5} h8 l-4 5 z"><title>{escape(row.entry[1])}</title></path>'
        )
    if row.off is not None:
        x = _x(picture, row.off)
        yield f'<line class="off" x1="{x:.1f}" y1="{middle - 7}" x2="{x:.1f}" y2="{middle + 7}"/>'


def _lanes(picture: Picture) -> list[int]:
    """A lane for each mark's label, so that no two lie over each other."""
    ends: list[float] = []
    lanes: list[int] = []
    for mark in picture.marks:
        start, end = _label(picture, mark)
        lane = next((number for number, until in enumerate(ends) if until + 8 <= start), len(ends))
        ends[lane : lane + 1] = [end]
        lanes.append(lane)
    return lanes


def _label(picture: Picture, mark: Mark) -> tuple[float, float]:
    """From where to where its label goes: right of its line, or left of it near the edge."""
    x, width = _x(picture, mark.unix), len(mark.text) * LETTER
    return (x + 4, x + 4 + width) if x + 4 + width <= WIDTH - 4 else (x - 4 - width, x - 4)


def _marks(picture: Picture, lanes: list[int], bottom: float) -> Iterator[str]:
    for mark, lane in zip(picture.marks, lanes, strict=True):
        x, y = _x(picture, mark.unix), TOP + LANE * lane
        start, end = _label(picture, mark)
        anchor, at = ("start", start) if start > x else ("end", end)
        yield f'<line class="mark {mark.kind}" x1="{x:.1f}" y1="{y}" x2="{x:.1f}" y2="{bottom + 4}"/>'
        yield f'<text class="{mark.kind}" x="{at:.1f}" y="{y + 9}" text-anchor="{anchor}">{escape(mark.text)}</text>'


def _legend(picture: Picture, y: float) -> Iterator[str]:
    x = 16.0
    for phase in Phase:
        if not any(bar.phase is phase for row in picture.rows for bar in row.bars):
            continue
        yield f'<rect class="{CLASSES[phase]}" x="{x:.1f}" y="{y - 9}" width="10" height="10" rx="2"/>'
        yield f'<text class="soft" x="{x + 15:.1f}" y="{y}">{phase}</text>'
        x += 15 + len(phase) * LETTER + 24
    yield f'<path class="drain" d="M{x:.1f} {y - 8} h8 l-4 5 z"/>'
    yield f'<text class="soft" x="{x + 13:.1f}" y="{y}">ledger entry</text>'
    yield f'<line class="off" x1="{x + 108:.1f}" y1="{y - 10}" x2="{x + 108:.1f}" y2="{y + 2}"/>'
    yield f'<text class="soft" x="{x + 115:.1f}" y="{y}">off</text>'
    if picture.hidden:
        yield f'<text class="soft" x="16" y="{y + 18}">and {picture.hidden} more that only served</text>'
