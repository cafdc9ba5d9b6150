"""The picture of a rollout: what is in it, and that it can be read on light and on dark, by itself."""

from __future__ import annotations

import re
import xml.etree.ElementTree as xml
from pathlib import Path

import click
import pytest

from risen.cli.stories import tell_of
from risen.cli.svg import STYLE, draw
from risen.cli.timeline import MOST_ROWS, Lives, Phase, Picture, chosen_story, picture_of
from risen.core import events as happened
from risen.core.events import Event
from risen.core.names import InstanceName
from rollout_past import REVISIONS, T, past, raised

SVG = "{http://www.w3.org/2000/svg}"


def drawn(number: int, *more: Event, now: float = T + 3000) -> Picture:
    events = sorted([*past(), *more], key=lambda event: event.unix)
    lives = Lives()
    for event in events:
        lives.add(event)
    return picture_of("lab", tell_of(REVISIONS, events)[number - 1], lives, now)


def row(picture: Picture, name: str) -> list[tuple[Phase, float, float]]:
    found = next(row for row in picture.rows if row.instance == name)
    return [(bar.phase, bar.start - picture.start, bar.end - picture.start) for bar in found.bars]


def test_each_instance_goes_through_its_phases() -> None:
    picture = drawn(2)
    assert [row.instance for row in picture.rows] == ["control-plane-a", *(f"worker-{one}" for one in "abcd")]
    assert row(picture, "worker-c") == [
        (Phase.LAUNCH, 1, 2), (Phase.BOOT, 2, 5.5), (Phase.JOIN, 5.5, 10), (Phase.SERVES, 10, 85),
    ]  # fmt: skip
    assert row(picture, "worker-a") == [(Phase.SERVES_OTHER, 0, 20), (Phase.DRAIN, 20, 34)]


def test_entries_the_end_of_each_and_verdicts_are_marked() -> None:
    picture = drawn(2)
    taken = {row.instance: row for row in picture.rows if row.entry is not None}
    assert taken.keys() == {"worker-a", "worker-b"}
    assert taken[InstanceName("worker-a")].entry == (T + 1020, "rollout: r-old → r-new")
    assert taken[InstanceName("worker-a")].off == T + 1034
    marks = [(mark.unix - picture.start, mark.kind, mark.text) for mark in picture.marks]
    assert marks == [
        (45, "good", "r-new passed"), (46, "order", "pause by jane"), (50, "order", "resume by jane"),
        (85, "good", "whole"),
    ]  # fmt: skip
    assert picture.title == "lab · revision 2 · 2 instances replaced, whole after 85s"
    assert picture.subtitle == "by ci/4711 · more pods"


def test_a_revoked_one_ends_with_the_last_that_went_back() -> None:
    picture = drawn(3)
    assert picture.end == T + 2105
    assert picture.title.endswith("1 instance replaced, revoked and gone back from in 105s")
    assert [mark.kind for mark in picture.marks] == ["bad"]
    assert row(picture, "worker-e")[-1] == (Phase.DRAIN, 101, 104)


def test_one_that_goes_on_ends_now() -> None:
    entry = happened.EntryOpened(T + 2200, "worker-c-1", InstanceName("worker-c"), "rollback", ("x",))
    assert drawn(3, entry, now=T + 2300).end == T + 2300


def test_what_repair_ended_is_told_from_what_was_drained() -> None:
    entry = happened.EntryOpened(T + 1060, "worker-c-9", InstanceName("worker-c"), "repair", ("silent",))
    gone = happened.SeenGone(T + 1064, InstanceName("worker-c"))
    assert row(drawn(2, entry, gone), "worker-c")[-1] == (Phase.LOST, 60, 64)


def test_a_large_cluster_shows_whom_it_concerned_and_counts_the_rest() -> None:
    crowd = [event for number in range(100) for event in raised(f"worker-{number:03}", "r-old", T + 3)]
    picture = drawn(2, *crowd)
    assert len(picture.rows) <= MOST_ROWS and picture.hidden == 101
    assert {"worker-a", "worker-c"} <= {row.instance for row in picture.rows}
    assert "and 101 more that only served" in draw(picture)


def test_the_file_is_whole_needs_nothing_from_elsewhere_and_says_its_title() -> None:
    text = draw(drawn(2))
    root = xml.fromstring(text)
    assert root.tag == f"{SVG}svg" and root.find(f"{SVG}title") is not None
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(|<image|<script|href", text)
    assert len(root.findall(f"{SVG}rect")) == 1 + sum(len(row.bars) for row in drawn(2).rows) + 6


def test_what_people_write_cannot_break_the_picture() -> None:
    order = happened.RolloutOrdered(T + 1047, "i", 2, "pause", '<b>&"', "")
    root = xml.fromstring(draw(drawn(2, order)))
    assert any(text.text == 'pause by <b>&"' for text in root.findall(f"{SVG}text"))


def test_labels_of_marks_do_not_lie_over_each_other_nor_beyond_the_edge() -> None:
    orders = [
        happened.RolloutOrdered(T + 1080 + n, f"i{n}", 2, "pause", "somebody-with-a-name", "")
        for n in range(5)
    ]
    root = xml.fromstring(draw(drawn(2, *orders)))
    marks = [text for text in root.findall(f"{SVG}text") if text.get("class") in ("good", "order")]
    places = []
    for text in marks:
        width, x = len(text.text or "") * 6.3, float(text.get("x", "0"))
        start = x if text.get("text-anchor") == "start" else x - width
        assert start >= 0 and start + width <= 960
        places.append((text.get("y"), start, start + width))
    for number, (lane, start, end) in enumerate(places):
        for other, before, after in places[:number]:
            assert lane != other or end <= before or after <= start


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_colour_can_be_told_from_the_paper(scheme: int) -> None:
    sets = re.findall(r"svg \{(.*?)\}", STYLE, re.DOTALL)
    assert len(sets) == 2
    colours = dict(re.findall(r"--(\w+):(#[0-9a-f]{6})", sets[scheme]))
    for text in ("ink", "soft"):
        assert contrast(colours[text], colours["paper"]) >= 4.5, text
    for shape in ("launch", "boot", "join", "serves", "drain", "lost"):
        assert contrast(colours[shape], colours["paper"]) >= 3.0, shape


def test_which_revision_is_drawn() -> None:
    stories = tell_of(REVISIONS, past())
    assert chosen_story(stories, None).revision.number == 3
    assert chosen_story(stories, 2).revision.number == 2
    with pytest.raises(click.ClickException, match="no revision 7: there are 1 to 3"):
        chosen_story(stories, 7)
    with pytest.raises(click.ClickException, match="there is nothing to draw"):
        chosen_story(stories[:1], None)


def test_long_names_and_their_releases_do_not_lie_over_each_other() -> None:
    name = f"{'pool-with-a-long-name' * 2}-abcde"
    root = xml.fromstring(draw(drawn(2, *raised(name, "r-4e69db287290", T + 3))))
    texts = {text.text: text for text in root.findall(f"{SVG}text")}
    ends = float(texts[name].get("x", "0")) + len(name) * 6.3
    begins = float(texts["r-4e69db287290"].get("x", "0")) - 14 * 6.3
    assert ends < begins


def test_the_picture_in_the_docs_is_one_of_the_products_own(request: pytest.FixtureRequest) -> None:
    file = Path(request.config.rootpath) / "docs" / "rollout.svg"
    root = xml.fromstring(file.read_text())
    style = root.find(f"{SVG}style")
    assert style is not None and style.text == STYLE
