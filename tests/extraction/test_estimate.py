"""A dry run's figures are near what the real run gives, and nothing is changed by it."""

from pathlib import Path

import pytest
from fixture_types import MakeClip

from vidrep.errors import OutputError
from vidrep.extraction.estimate import estimate
from vidrep.extraction.extract import extract
from vidrep.extraction.extractors.patches import PatchExtractor
from vidrep.features.store import open_features
from vidrep.video.sampling import Sampling
from vidrep.video.sources import find_videos

FRAME_BYTES = 8 * 8 + 8


def test_frames_and_bytes_are_those_of_the_real_run(clips_folder: Path, tmp_path: Path) -> None:
    sources = find_videos([clips_folder])
    expected = estimate(sources, tmp_path / "f.h5", PatchExtractor(size=8))
    assert list(tmp_path.iterdir()) == []
    assert (expected.num_videos, expected.num_done, expected.num_tried, expected.num_unreadable) == (6, 0, 6, 0)
    assert (
        expected.num_frames == extract(sources, tmp_path / "f.h5", PatchExtractor(size=8), workers=0).num_frames == 33
    )
    assert expected.output_bytes == 33 * FRAME_BYTES <= (tmp_path / "f.h5").stat().st_size
    assert expected.needed_bytes == 2 * expected.output_bytes  # parts and the merged file
    assert expected.free_bytes > 10**6
    assert 0 < expected.seconds < 60


def test_sampling_views_and_folders_count(clips_folder: Path, tmp_path: Path) -> None:
    sources = find_videos([clips_folder])
    sampling = Sampling(every=2, max_frames=3)
    extractor = PatchExtractor(size=8, grid=2)
    expected = estimate(sources, tmp_path / "parts", extractor, sampling=sampling)
    real = extract(sources, tmp_path / "parts", extractor, sampling=sampling, workers=0)
    assert expected.num_frames == pytest.approx(real.num_new_frames, abs=3)
    assert expected.output_bytes == expected.needed_bytes == 4 * expected.num_frames * FRAME_BYTES


def test_what_is_done_is_left_out(clips_folder: Path, tmp_path: Path) -> None:
    sources = find_videos([clips_folder])
    extract(sources[:4], tmp_path / "f.h5", PatchExtractor(size=8), workers=0)
    before = (tmp_path / "f.h5").read_bytes()
    expected = estimate(sources, tmp_path / "f.h5", PatchExtractor(size=8))
    assert (expected.num_done, expected.num_tried) == (4, 2)
    done = open_features(tmp_path / "f.h5").num_frames
    assert expected.num_frames == 33 - done
    assert expected.output_bytes == 33 * FRAME_BYTES
    all_anew = estimate(sources, tmp_path / "f.h5", PatchExtractor(size=8), overwrite=True)
    assert (all_anew.num_done, all_anew.num_frames) == (0, 33)
    with pytest.raises(OutputError, match="size is 8, not 9"):
        estimate(sources, tmp_path / "f.h5", PatchExtractor(size=9))
    extract(sources, tmp_path / "f.h5", PatchExtractor(size=8), workers=0)
    nothing = estimate(sources, tmp_path / "f.h5", PatchExtractor(size=8))
    assert (nothing.num_frames, nothing.needed_bytes) == (0, 0)
    assert 0 < nothing.seconds < 1  # to read the files again
    assert before != (tmp_path / "f.h5").read_bytes()


def test_unreadable_videos_are_counted(tmp_path: Path, clip: MakeClip) -> None:
    for name in ("a", "b"):
        (tmp_path / "clips" / name).mkdir(parents=True)
        (tmp_path / "clips" / name / "x.mp4").write_text("no video")
    nothing = estimate(find_videos([tmp_path / "clips"]), tmp_path / "f.h5", PatchExtractor(size=8))
    assert (nothing.num_tried, nothing.num_unreadable, nothing.num_frames) == (2, 2, 0)
    clip(tmp_path / "clips" / "good.mp4", num_frames=7)
    some = estimate(find_videos([tmp_path / "clips"]), tmp_path / "f.h5", PatchExtractor(size=8))
    assert (some.num_tried, some.num_unreadable, some.num_frames) == (3, 2, 7)


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), 100),
        (Sampling(every=3), pytest.approx(33.3, abs=0.1)),
        (Sampling(fps=5), 20),
        (Sampling(fps=50), 100),
        (Sampling(max_frames=7), 7),
        (Sampling(start=1.0), 75),
        (Sampling(start=1.0, end=2.0), 25),
        (Sampling(end=100.0), 100),
        (Sampling(start=100.0), 0),
    ],
)
def test_how_many_frames_are_kept(sampling: Sampling, expected: float) -> None:
    assert sampling.expected(100, 25.0) == expected
