"""Files that a former vidrep made: what it read otherwise is decoded again, and nothing else."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from fixture_types import MakeClip
from odd_files import set_display_matrix, write_joined, write_two_streams

from vidrep.extraction.extract import ExtractSummary, extract
from vidrep.extraction.extractors.patches import PatchExtractor
from vidrep.features.parts_folder import find_parts
from vidrep.features.store import open_features
from vidrep.features.table import VideoRow
from vidrep.features.writer import write_merged
from vidrep.inference.info import info
from vidrep.video import changes
from vidrep.video.sources import find_videos


def run(folder: Path, output: Path) -> ExtractSummary:
    return extract(find_videos([folder]), output, PatchExtractor(size=8), workers=0)


@pytest.fixture
def folder(tmp_path: Path, clip: MakeClip) -> Path:
    """Two plain clips, one cut short, and three that former vidreps read otherwise."""
    clips = tmp_path / "clips"
    for number in range(3):
        clip(clips / f"plain{number}.mp4", seed=number)
    cut = clips / "plain2.mp4"
    cut.rename(clips / "cut.mp4")
    (clips / "cut.mp4").write_bytes((clips / "cut.mp4").read_bytes() + bytes(5))
    set_display_matrix(clip(clips / "mirrored.mp4", seed=7, side=16), (-1, 0, 0, 1), side=16)
    write_joined(clips / "joined.ts")
    write_two_streams(clips / "two.mp4")
    return clips


def make_old(path: Path, version: int) -> None:
    """Make a file look as a former vidrep wrote it, which took a few bytes behind cut.mp4 for damage."""

    def edit(row: VideoRow) -> VideoRow:
        status = "partial" if row.path == "cut.mp4" else row.status
        return replace(row, decoding_version=version, status=status)

    write_merged(path, [open_features(path)], edit=edit)


@pytest.mark.parametrize("output", ["f.h5", "parts"])
def test_what_is_read_otherwise_is_decoded_again(
    folder: Path, tmp_path: Path, output: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder, tmp_path / output)
    expected = {row.path: row for row in open_features(tmp_path / output).videos}
    for path in [tmp_path / output] if output == "f.h5" else find_parts(tmp_path / output):
        make_old(path, 1)
    assert "6 videos" in info(tmp_path / output)["decoded by a former vidrep"]
    caplog.clear()
    summary = run(folder, tmp_path / output)
    assert summary.num_new == 4
    again = (
        "4 videos were decoded again, as this vidrep reads them otherwise: cut.mp4, joined.ts, mirrored.mp4, two.mp4"
    )
    assert again in caplog.text
    features = open_features(tmp_path / output)
    assert {row.path: (row.checksum, row.status, row.decoding_version) for row in features.videos} == {
        key: (row.checksum, "ok", 2) for key, row in expected.items()
    }
    assert "decoded by a former vidrep" not in info(tmp_path / output)
    monkeypatch.delattr(changes, "changed_since")  # nothing is looked at again
    assert run(folder, tmp_path / output).num_new == 0


def test_what_opencv_decoded_is_decoded_again_whole(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "f.h5")
    before = (tmp_path / "f.h5").read_bytes()
    make_old(tmp_path / "f.h5", 0)
    assert run(folder, tmp_path / "f.h5").num_new == 6
    assert (tmp_path / "f.h5").read_bytes() == before


def test_a_video_that_was_replaced_is_not_said_to_be_read_otherwise(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(folder, tmp_path / "f.h5")
    shutil.copy(folder / "plain0.mp4", folder / "plain1.mp4")
    caplog.clear()
    run(folder, tmp_path / "f.h5")
    assert "1 videos took the place of others with the same key: plain1.mp4" in caplog.text
    assert "decoded again" not in caplog.text
