"""Extraction of folders of frames: as of videos, whatever the workers; done ones are known by content and rate."""

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vidrep.extraction.estimate import estimate
from vidrep.extraction.extract import ExtractSummary, extract
from vidrep.extraction.extractors.patches import PatchExtractor
from vidrep.features.store import open_features
from vidrep.video.numbered_images import numbered_images
from vidrep.video.sampling import Sampling
from vidrep.video.sources import find_videos

SIDE = 8


def picture(seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def write_frames(folder: Path, numbers: list[int], *, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        assert cv2.imwrite(str(folder / f"img_{number:05}.png"), picture(100 * seed + number)[..., ::-1])
    return folder


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Three folders of frames: a whole one, one with a gap, one with a truncated image."""
    root = tmp_path / "clips"
    write_frames(root / "run" / "a", [1, 2, 3])
    write_frames(root / "run" / "b", [1, 2, 5], seed=1)
    write_frames(root / "jump" / "c", [1, 2, 3, 4], seed=2)
    cut = root / "jump" / "c" / "img_00002.png"
    cut.write_bytes(cut.read_bytes()[:-30])
    return root


def patches(root: Path, output: Path, *, frame_rate: float | None = None, **options: Any) -> ExtractSummary:
    sources = find_videos([root], frame_rate=frame_rate)
    return extract(sources, output, PatchExtractor(size=SIDE, color=True), **{"workers": 0, **options})


def test_what_is_written(clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    summary = patches(clips, tmp_path / "f.h5")
    features = open_features(tmp_path / "f.h5")
    assert [(row.path, row.label, row.length, row.status) for row in features.videos] == [
        ("jump/c", "jump", 3, "partial"),
        ("run/a", "run", 3, "ok"),
        ("run/b", "run", 3, "ok"),
    ]
    np.testing.assert_array_equal(features.rows(0), [picture(201), picture(203), picture(204)])
    np.testing.assert_array_equal(features.rows(1), [picture(1), picture(2), picture(3)])
    assert features.timestamps(0).tolist() == [0, 0.08, 0.12]
    assert features.timestamps(2).tolist() == [0, 0.04, 0.16]
    assert {row.fps for row in features.videos} == {25}
    assert [row.num_frames_from_header for row in features.videos] == [4, 3, 3]
    for row in features.videos:
        assert (row.source_size, row.source_sha256) == numbered_images(clips / row.path).fingerprint(None)
    assert [failure.path for failure in summary.failures] == ["jump/c"]
    assert features.videos[2].message == "2 of the numbers 1 to 5 are missing, and their time stays empty"
    assert caplog.messages[-1] == f"1 videos are whole, but note: run/b: {features.videos[2].message}"


def test_the_bytes_do_not_depend_on_the_workers(clips: Path, tmp_path: Path) -> None:
    for workers in (0, 1, 2):
        patches(clips, tmp_path / f"{workers}.h5", workers=workers)
    expected = (tmp_path / "0.h5").read_bytes()
    assert (tmp_path / "1.h5").read_bytes() == expected
    assert (tmp_path / "2.h5").read_bytes() == expected


def test_done_folders_are_known_by_numbers_bytes_and_rate(clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "f.h5"
    patches(clips, output)
    before = output.read_bytes()
    assert patches(clips, output).num_new == 0
    (clips / "run" / "a" / "img_00003.png").rename(clips / "run" / "a" / "img_00004.png")
    assert patches(clips, output).num_new == 1
    assert open_features(output).timestamps(1).tolist() == [0, 0.04, 0.12]
    (clips / "run" / "a" / "img_00004.png").rename(clips / "run" / "a" / "img_00003.png")
    assert patches(clips, output).num_new == 1
    assert output.read_bytes() == before
    assert patches(clips, output, frame_rate=10).num_new == 3
    assert open_features(output).timestamps(1).tolist() == [0, 0.1, 0.2]


def test_a_folder_that_is_no_video_any_more_is_a_failure(clips: Path, tmp_path: Path) -> None:
    sources = find_videos([clips])
    shutil.rmtree(clips / "run" / "a")
    (clips / "run" / "b" / "img_1.png").write_bytes(b"")
    extractor = PatchExtractor(size=SIDE)
    for workers in (0, 1):
        summary = extract(sources, tmp_path / f"{workers}.h5", extractor, workers=workers)
        assert [(one.path, one.status, one.reason) for one in summary.failures[:2]] == [
            ("run/a", "failed", "cannot be read (No such file or directory)"),
            (
                "run/b",
                "failed",
                "two images have the number 1, 'img_00001.png' and 'img_1.png': leave one in the folder",
            ),
        ]


def test_a_dry_run_counts_images_and_rate(clips: Path, tmp_path: Path) -> None:
    write_frames(clips / "jump" / "c", [2], seed=2)  # mends it
    extractor, sampling = PatchExtractor(size=SIDE, color=True), Sampling(fps=5)
    expected = estimate(find_videos([clips]), tmp_path / "f.h5", extractor)
    real = patches(clips, tmp_path / "f.h5")
    assert (expected.num_videos, expected.num_tried, expected.num_unreadable) == (3, 3, 0)
    assert expected.num_frames == real.num_frames == 10
    assert expected.output_bytes == 10 * (SIDE * SIDE * 3 + 8)
    assert expected.seconds > 0
    half = estimate(find_videos([clips], frame_rate=10), tmp_path / "g.h5", extractor, sampling=sampling)
    assert half.num_frames == 5
    again = estimate(find_videos([clips]), tmp_path / "f.h5", extractor)
    assert (again.num_done, again.num_frames) == (3, 0)
    other_rate = estimate(find_videos([clips], frame_rate=10), tmp_path / "f.h5", extractor)
    assert (other_rate.num_done, other_rate.num_frames) == (0, 10)


def test_images_are_videos_of_one_frame_where_that_is_asked_for(clips: Path, tmp_path: Path) -> None:
    sources = find_videos([clips / "run" / "a"], images=True)
    extract(sources, tmp_path / "f.h5", PatchExtractor(size=SIDE, color=True), workers=0)
    features = open_features(tmp_path / "f.h5")
    assert [(row.path, row.label, row.length, row.fps) for row in features.videos] == [
        (f"img_0000{number}.png", "", 1, 0) for number in (1, 2, 3)
    ]
    np.testing.assert_array_equal(features.rows(1), [picture(2)])
