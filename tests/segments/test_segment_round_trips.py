"""What is written in a format and read again is the same, but for what the format cannot hold, which is said."""

import logging
from pathlib import Path

import pytest

from vidrep.segments.formats.source import Source
from vidrep.segments.frame_clock import ConstantRate
from vidrep.segments.known_formats import FORMATS, format_named, format_of
from vidrep.segments.reading import read_segments
from vidrep.segments.segment import Annotations, Segment, Span
from vidrep.segments.writing import write_segments

RATE = ConstantRate(25)
NAMES = [one.name for one in FORMATS]
ODD_LABELS = ['a "quoted", one', "50% & <more>", "café; --> x", "rear  twice", "watched", "1", "-"]


def everything() -> Annotations:
    """Return annotations that only our own table can hold: times that no decimal ends, several spans, splits."""
    segments = [
        Segment("run/a.mp4", 1 / 3, 2 / 3, "groom", "anna", "cage 1"),
        Segment("run/a.mp4", 0.5, 2.0, "groom", "ben", "cage 1"),
        Segment("run/a.mp4", 0.5, 2.0, "rear", "", ""),
        Segment("run/a.mp4", 2.0, 2.0, "bite", "anna", "cage 1"),
        Segment("run/b.mp4", 0.0, 1e-5, "groom", "anna", "cage 2"),
        *(Segment("run/b.mp4", 10 + number, 11 + number, label) for number, label in enumerate(ODD_LABELS)),
    ]
    watched = {"run/a.mp4": [Span(0.1, 2.5), Span(4, 6)], "run/b.mp4": [Span(0, 60)], "empty.mp4": [Span(0, 3)]}
    return Annotations.of(segments, watched | {"unknown.mp4": []}, {"run/a.mp4": "train", "empty.mp4": "test"})


def round_trip(
    folder: Path, annotations: Annotations, name: str, caplog: pytest.LogCaptureFixture, output: str = ""
) -> tuple[Annotations, str]:
    """Return what is read again, and what was said to be lost; everything must be recognized as what it is."""
    caplog.set_level(logging.WARNING, "vidrep")
    ending = format_named(name).ending
    path = folder / (output or f"a{ending}")
    files = write_segments(annotations, path, format=name, frame_clock=RATE)
    for file in files:
        source = Source(file, file.read_text(encoding="utf-8"), RATE)
        assert format_of(source).title == format_named(name).title
    lost = caplog.messages[-1].partition("lost: ")[2] if caplog.messages else ""
    caplog.clear()
    return read_segments(path if len(files) > 1 else files, frame_clock=RATE), lost


@pytest.mark.parametrize("name", ["csv", "tsv"])
def test_our_own_table_loses_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    found, lost = round_trip(tmp_path, everything(), name, caplog)
    assert found == everything()
    assert lost == ""


def simple(video: str, *, subject: str = "", group: str = "", watched: float | None = 60.0) -> Annotations:
    """Return annotations of one video at 25 frames/s: labels in turn, one overlap, odd names, and time watched."""
    segments = [
        Segment(video, 1.0, 2.0, "groom", subject, group),
        Segment(video, 1.52, 3.04, "rear", subject, group),
        *(Segment(video, 10.0 + number, 10.4 + number, name, subject, group) for number, name in enumerate(ODD_LABELS)),
    ]
    return Annotations.of(segments, {video: [] if watched is None else [Span(0, watched)]})


HOLDS = {  # name of format: (the name of the video as it comes back, other things that it holds)
    "activitynet": ("run/a.mp4", {"watched"}),
    "elan": ("run/a.mp4", {"watched", "subject"}),
    "elan-text": ("run/a.mp4", {"watched", "subject"}),
    "vtt": ("a", {"subject"}),
    "srt": ("a", set[str]()),
    "boris": ("run/a.mp4", {"watched", "subject", "group"}),
    "boris-aggregated": ("run/a.mp4", {"watched", "subject", "group"}),
    "csv": ("run/a.mp4", {"watched", "subject", "group"}),
    "tsv": ("run/a.mp4", {"watched", "subject", "group"}),
    "audacity": ("a", set[str]()),
    "deepethogram": ("a", {"watched"}),
    "simba": ("a", {"watched"}),
}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost_that_a_format_can_hold(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    video, holds = HOLDS[name]
    asked = simple(
        video,
        subject="anna & <b>" if "subject" in holds else "",
        group="cage 1" if "group" in holds else "",
        watched=60.0 if "watched" in holds else None,
    )
    ending = format_named(name).ending
    found, lost = round_trip(tmp_path, asked, name, caplog, f"a{ending}")
    assert found.videos == asked.videos
    for got, expected in zip(found.segments, asked.segments, strict=True):
        assert (got.label, got.subject, got.group) == (expected.label, expected.subject, expected.group)
        assert (got.start, got.end) == pytest.approx((expected.start, expected.end), abs=1e-9)
    assert found.watched == asked.watched
    assert lost == ""


@pytest.mark.parametrize("name", NAMES)
def test_what_a_format_cannot_hold_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    _, holds = HOLDS[name]
    asked = Annotations.of(
        [Segment("run/a.mp4", 0.00012, 1.0, "groom", "anna", "cage 1"), Segment("run/a.mp4", 2, 2, "bite", "anna")],
        {"run/a.mp4": [Span(0.5, 4.0)]},
        {"run/a.mp4": "train"},
    )
    found, lost = round_trip(tmp_path, asked, name, caplog)
    assert ("the subject of 2 segments" in lost) == ("subject" not in holds)
    assert ("the group of 1 segments" in lost) == ("group" not in holds)
    assert ("split" in lost) == (name not in {"csv", "tsv", "activitynet"})
    assert ("names of videos (here a)" in lost) == (HOLDS[name][0] == "a")
    assert ("watched" in lost) == (list(found.watched.values()) != list(asked.watched.values()))
    same_times = [(one.start, one.end) for one in found.segments] == [(one.start, one.end) for one in asked.segments]
    assert ("times, by up to" in lost) != same_times


def test_points_keep_their_kind_where_there_is_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    asked = Annotations.of([Segment("a", 2.0, 2.0, "bite"), Segment("a", 3, 4, "rear")])
    for name in NAMES:
        found, lost = round_trip(tmp_path, asked, name, caplog, f"a-{name}" + format_named(name).ending)
        if name in {"srt", "vtt", "elan"}:
            assert (found.segments[0].end, "times, by up to 0.001 s" in lost) == (2.001, True)
        elif name in {"deepethogram", "simba"}:
            assert (found.segments[0].end, "times, by up to 0.04 s" in lost) == (2.04, True)
        else:
            assert found.segments[0].is_point


def test_labels_that_overlap_themselves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    asked = Annotations.of([Segment("a", start, start + 2, "groom") for start in (0.0, 1.0, 1.5, 2.0, 6.0)])
    for name in sorted(set(NAMES) - {"boris", "deepethogram", "simba"}):
        found, _ = round_trip(tmp_path, asked, name, caplog)
        assert [(one.start, one.end) for one in found.segments] == [(one.start, one.end) for one in asked.segments]
        for file in tmp_path.iterdir():
            file.unlink()
    found, lost = round_trip(tmp_path, asked, "deepethogram", caplog)
    assert [(one.start, one.end) for one in found.segments] == [(0.0, 4.0), (6.0, 8.0)]
    assert "3 of 5 segments, by joining them" in lost


def test_partly_watched_frames(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A segment in time that nobody watched is known; other labels are not."""
    segments = [Segment("a", 0.04, 0.08, "groom"), Segment("a", 0.2, 0.28, "rear")]
    asked = Annotations.of(segments, {"a": [Span(0, 0.16)]}, labels=["never"])
    found, lost = round_trip(tmp_path, asked, "deepethogram", caplog, "a_labels.csv")
    assert found == asked
    assert lost == ""
    assert (tmp_path / "a_labels.csv").read_text().splitlines() == [
        ",background,groom,never,rear",
        *("0,1,0,0,0", "1,0,1,0,0", "2,1,0,0,0", "3,1,0,0,0", "4,-1,-1,-1,-1", "5,0,-1,-1,1", "6,0,-1,-1,1"),
    ]
    _, lost = round_trip(tmp_path, asked, "simba", caplog, "a.csv")
    assert "what was watched of 1 videos, in part" in lost


def test_boris_keeps_what_was_coded_from_the_first_to_the_last_event(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked = Annotations.of([Segment("a.mp4", 3.5, 7.25, "groom")], {"a.mp4": [Span(3.5, 7.25)]})
    for name in ("boris", "boris-aggregated"):
        found, lost = round_trip(tmp_path, asked, name, caplog, f"{name}.tsv")
        assert (found, lost) == (asked, "")


def test_a_folder_has_a_file_for_each_video_wherever_it_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    segments = [Segment("../../etc/a.mp4", 0, 1, "x"), Segment("C:\\clips\\b.mp4", 0, 1, "y"), Segment("c", 0, 1, "z")]
    asked = Annotations.of(segments)
    found, lost = round_trip(tmp_path, asked, "srt", caplog, "out")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["a.srt", "b.srt", "c.srt"]
    assert [one.label for one in found.segments] == ["x", "y", "z"]
    assert "names of videos (here a, b)" in lost


@pytest.mark.parametrize("name", NAMES)
def test_the_same_is_written_again(tmp_path: Path, name: str) -> None:
    ending = format_named(name).ending
    contents = set()
    for folder in ("one", "two"):
        (file,) = write_segments(simple("a"), tmp_path / folder / f"a{ending}", format=name, frame_clock=RATE)
        contents.add(file.read_bytes())
    assert len(contents) == 1
