"""Tables of bouts, which the package reads itself, and of summaries."""

from pathlib import Path

from vidrep.metrics.segmentation.bouts import Bouts
from vidrep.segments.reading import read_segments
from vidrep.segments.segment import Span
from vidrep.segments.writing import write_segments
from vidrep.timelines.summary import summarize, summarize_bins
from vidrep.timelines.tables import annotations_of, write_bins, write_bouts, write_summary

LABELS = ("dig, deep", "groom")
BOUTS = {
    "run/a.mp4": Bouts.of([0.04, 1 / 3], [0.2, 2.0], [0, 1], [0.75, 2 / 3]),
    "b.mp4": Bouts.of([], [], []),
}
WATCHED = {"run/a.mp4": [Span(0.0, 4.0)], "b.mp4": [Span(0.0, 1.0)]}


def test_a_table_of_bouts_is_read_as_annotations(tmp_path: Path) -> None:
    write_bouts(tmp_path / "bouts.csv", BOUTS, LABELS)
    assert (tmp_path / "bouts.csv").read_text(encoding="utf-8") == (
        "video,start,end,label,confidence\n"
        'run/a.mp4,0.04,0.2,"dig, deep",0.750000\n'
        "run/a.mp4,0.333333,2,groom,0.666667\n"
    )
    found = read_segments(tmp_path / "bouts.csv")
    assert [(one.video, one.start, one.end, one.label) for one in found.segments] == [
        ("run/a.mp4", 0.04, 0.2, "dig, deep"),
        ("run/a.mp4", 0.333333, 2.0, "groom"),
    ]


def test_bouts_become_annotations_and_come_back(tmp_path: Path) -> None:
    annotations = annotations_of(BOUTS, WATCHED, LABELS)
    assert annotations.labels == LABELS
    for name in ("bouts.csv", "bouts.json"):
        write_segments(annotations, tmp_path / name)
        found = read_segments(tmp_path / name)
        assert found.watched == annotations.watched
        bouts = Bouts.of_segments(found.by_video["run/a.mp4"], LABELS)
        for column in ("starts", "ends", "labels"):
            assert getattr(bouts, column).tolist() == getattr(BOUTS["run/a.mp4"], column).tolist()


def test_tables_of_summaries(tmp_path: Path) -> None:
    summaries = [one for video in BOUTS for one in summarize(video, BOUTS[video], LABELS, WATCHED[video])]
    write_summary(tmp_path / "summary.csv", summaries)
    assert (tmp_path / "summary.csv").read_text(encoding="utf-8") == (
        "video,label,count,total_seconds,mean_seconds,latency_seconds,share\n"
        'run/a.mp4,"dig, deep",1,0.16,0.16,0.04,0.040000\n'
        "run/a.mp4,groom,1,1.666667,1.666667,0.333333,0.416667\n"
        'b.mp4,"dig, deep",0,0,,,0.000000\n'
        "b.mp4,groom,0,0,,,0.000000\n"
    )
    write_bins(tmp_path / "bins.csv", summarize_bins("a.mp4", BOUTS["run/a.mp4"], ["dig"], [Span(0, 3)], seconds=2))
    assert (tmp_path / "bins.csv").read_text(encoding="utf-8") == (
        "video,label,bin_start,bin_end,count,total_seconds,share\n"
        "a.mp4,dig,0,2,1,0.16,0.080000\n"
        "a.mp4,dig,2,3,0,0,0.000000\n"
    )
