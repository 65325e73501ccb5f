"""Numbers of frames become seconds by the times of the features, or by a constant rate."""

from pathlib import Path

import numpy as np
import pytest

from vidrep.errors import LabelError
from vidrep.features.store import Features, open_features
from vidrep.features.table import VideoRow
from vidrep.features.writer import writing_features
from vidrep.segments.frame_clock import ConstantRate, FeatureTimes
from vidrep.segments.reading import read_segments
from vidrep.segments.writing import write_segments

UNEVEN = np.array([0.02, 0.06, 0.1, 0.5, 0.54])


@pytest.fixture
def features(tmp_path: Path) -> Features:
    """Return features of all frames of a video with uneven times, and of every fifth frame of one at 25 a second."""
    times = {"clips/all.mp4": UNEVEN, "clips/sampled.mp4": np.arange(20) / 5}
    path = tmp_path / "features.h5"
    num_rows = sum(map(len, times.values()))
    with writing_features(
        path, settings={"kind": "test"}, versions={}, num_rows=num_rows, frame_shape=(1,), dtype="float32"
    ) as writer:
        for key, seconds in times.items():
            writer.append(np.zeros((len(seconds), 1), np.float32), seconds)
            writer.end_video(VideoRow(key, fps=25.0))
    return open_features(path)


def test_a_constant_rate() -> None:
    np.testing.assert_array_equal(ConstantRate(4).edges("a", 3, ""), [0, 0.25, 0.5, 0.75])
    assert ConstantRate(29.97).num_frames("a", 10, "") == 300


def test_the_times_of_all_frames_count(features: Features) -> None:
    np.testing.assert_allclose(FeatureTimes(features).edges("all", 5, ""), [*UNEVEN, 0.58])
    assert FeatureTimes(features).num_frames("all", 99.0, "") == 5


def test_of_sampled_features_the_frame_rate_counts(features: Features) -> None:
    np.testing.assert_allclose(FeatureTimes(features).edges("sampled.mp4", 99, ""), np.arange(100) / 25)
    assert FeatureTimes(features).num_frames("sampled", 99.0, "") == 100


def test_another_frame_rate_and_another_video(features: Features, tmp_path: Path) -> None:
    for video, num_frames in (("all", 6), ("sampled", 120), ("sampled", 19)):
        with pytest.raises(LabelError, match=rf"row 9: {num_frames} frames, but '{video}' has .*: another frame rate"):
            FeatureTimes(features).edges(video, num_frames, "row 9")
    with pytest.raises(
        LabelError, match=r"row 9: 'other' is not one of the 2 videos in .*features.h5'; rename the file"
    ):
        FeatureTimes(features).edges("other", 5, "row 9")


def test_a_row_a_frame_with_uneven_times(features: Features, tmp_path: Path) -> None:
    text = ",background,groom\n0,1,0\n1,0,1\n2,0,1\n3,0,1\n4,1,0\n"
    path = tmp_path / "all_labels.csv"
    path.write_text(text)
    clock = FeatureTimes(features)
    found = read_segments(path, frame_clock=clock)
    assert [(one.video, one.start, one.end) for one in found.segments] == [("all", 0.06, 0.54)]
    assert found.watched["all"][0] == pytest.approx((0.02, 0.58))
    write_segments(found, path, format="deepethogram", frame_clock=clock, overwrite=True)
    assert path.read_text() == text
    path.write_text(text + "5,1,0\n")
    with pytest.raises(LabelError, match=r"line 7: 6 frames, but 'all' has 5 frames until 0.58 s at 25 frames/s"):
        read_segments(path, frame_clock=clock)
