from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vidrep.errors import ConfigError
from vidrep.features.annotation_files import read_annotations
from vidrep.segments.reading import read_segments
from vidrep.segments.segment import Span, find_overlaps
from vidrep.synthetic.clips import draw_appearance
from vidrep.synthetic.long_videos import LongVideoConfig
from vidrep.synthetic.motions import MOTIONS
from vidrep.synthetic.outlines import OTHER_SHAPES, SHAPES
from vidrep.synthetic.samples import Clip, write_samples

SMALL = LongVideoConfig(num_videos=3, minutes=0.3, frame_size=16)


def positions(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Where the shape is: (T, 3) mean x, mean y and log of the radius that its area has, in frame sides.

    A shape is brighter than any background, which has a luma of 0.45 at most.
    """
    is_shape = frames @ [0.299, 0.587, 0.114] > 0.49 * 255
    columns = (np.arange(frames.shape[1]) + 0.5) / frames.shape[1]
    area = is_shape.mean(axis=(1, 2))
    x = (is_shape.mean(axis=1) @ columns) / (area * len(columns))
    y = (is_shape.mean(axis=2) @ columns) / (area * len(columns))
    return np.stack([x, y, np.log(np.sqrt(area))], axis=1)


def test_segments_are_the_frames_in_which_the_pictures_move() -> None:
    clip = replace(SMALL, minutes=0.5, frame_size=64).clips()[0]
    where = positions(clip.render())
    segments = clip.annotations.segments
    assert len(segments) > 5
    for one, after in pairwise(segments):
        start, stop = round(10 * one.start), round(10 * one.end)
        assert (start / 10, stop / 10) == (one.start, one.end)
        # From its last frame on the shape rests, until it goes, in the middle of the pause, where the next one begins.
        jump = (stop + round(10 * after.start)) // 2
        assert np.ptp(where[stop - 1 : jump], axis=0).max() < 0.05
        assert np.ptp(where[jump : round(10 * after.start) + 1], axis=0).max() < 0.05
        went = where[stop - 1] - where[start]
        if one.label in ("left", "right"):
            assert (went[0] > 0.2) if one.label == "right" else (went[0] < -0.2)
        elif one.label in ("up", "down"):
            assert (went[1] > 0.2) if one.label == "down" else (went[1] < -0.2)
        elif one.label in ("growing", "shrinking"):
            assert (went[2] > 0.3) if one.label == "growing" else (went[2] < -0.3)
        else:
            x, y = where[start:stop, 0], where[start:stop, 1]
            assert (np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0) == (one.label == "clockwise")


def test_the_folder_is_read_as_it_was_made(tmp_path: Path) -> None:
    summary = write_samples(tmp_path / "one", SMALL)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    videos = ["video01.mp4", "video02.mp4", "video03.mp4"]
    assert files == ["annotations.csv", "splits.csv", *videos]
    assert (summary.num_videos, summary.num_frames) == (3, 3 * 180)
    with av.open(str(tmp_path / "one" / videos[0])) as container:
        frames = list(container.decode(video=0))
    assert [float(frame.time or 0) for frame in frames] == pytest.approx(np.arange(180) / 10)
    found = read_segments(tmp_path / "one" / "annotations.csv")
    clips = SMALL.clips()
    assert found.segments == tuple(one for clip in clips for one in clip.annotations.segments)
    assert found.watched == dict.fromkeys(videos, (Span(0, 18),))
    assert found.splits == dict(zip(videos, ["train", "train", "test"], strict=True))
    splits = read_annotations(splits=tmp_path / "one" / "splits.csv")
    assert {video: one.split for video, one in splits.items()} == found.splits
    assert not find_overlaps(found)
    # The same settings once more: the same bytes.
    write_samples(tmp_path / "two", SMALL)
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)


def test_a_video_depends_on_its_number_and_on_the_seed_alone() -> None:
    first = SMALL.clips()[0]
    again, reseeded = replace(SMALL, num_videos=5).clips()[0], replace(SMALL, seed=1).clips()[0]
    assert first.annotations == again.annotations
    np.testing.assert_array_equal(first.render(), again.render())
    assert first.annotations != reseeded.annotations
    assert not np.array_equal(first.render()[0], reseeded.render()[0])


def looks(clips: list[Clip], monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[object, bytes]]]:
    """The outlines and the backgrounds that are painted in the videos of each split."""
    found: dict[str, list[tuple[object, bytes]]] = {"train": [], "test": []}
    for clip in clips:

        def drawn(*arguments: Any, split: str = clip.split, **options: Any) -> Any:
            one = draw_appearance(*arguments, **options)
            found[split].append((one.figure.shape, one.background.tobytes()))
            return one

        monkeypatch.setattr("vidrep.synthetic.long_videos.draw_appearance", drawn)
        clip.render()
    return found


def test_splits_share_neither_shapes_nor_backgrounds(monkeypatch: pytest.MonkeyPatch) -> None:
    config = LongVideoConfig(num_videos=24, minutes=0.1, frame_size=16, test_fraction=0.5, overlaps=True)
    found = looks(config.clips(), monkeypatch)
    outlines = {split: {shape for shape, _ in some} for split, some in found.items()}
    assert outlines == {"train": set(SHAPES.values()), "test": set(OTHER_SHAPES.values())}
    assert outlines["train"].isdisjoint(outlines["test"])
    backgrounds = [background for some in found.values() for _, background in some]
    assert len(set(backgrounds)) == len(backgrounds) == 2 * 24


def test_overlaps_are_two_motions_at_a_time() -> None:
    clip = replace(SMALL, minutes=2.0, overlaps=True).clips()[0]
    overlaps = find_overlaps(clip.annotations)
    assert len(overlaps) > 30
    assert all(one.label != other.label for one, other in overlaps)
    times = np.arange(0.05, 120, 0.1)
    active = sum((times >= one.start) & (times < one.end) for one in clip.annotations.segments)
    assert set(np.unique(active)) == {0, 1, 2}
    assert clip.annotations.labels == MOTIONS


def test_the_set_is_still_the_one_whose_difficulty_was_fixed() -> None:
    clips = LongVideoConfig(minutes=0.2).clips()
    assert [clip.split for clip in clips] == ["train"] * 30 + ["test"] * 10
    assert [(one.label, one.start, one.end) for one in clips[39].annotations.segments[:2]] == [
        ("shrinking", 0.7, 2.3),
        ("counter-clockwise", 3.8, 6.6),
    ]
    frames = clips[39].render()
    # Mean and standard deviation of pixels; another machine's arithmetic may end in other bits.
    assert (frames.mean(), frames.std()) == pytest.approx((72.70, 47.75), abs=0.02)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_videos", 1),
        ("minutes", 0.09),
        ("minutes", float("nan")),
        ("test_fraction", 0.0),
        ("test_fraction", 1.0),
        ("frame_size", 33),
        ("frames_per_second", 0),
        ("seed", -1),
    ],
)
def test_impossible_settings_are_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"^{field} is {value}; it must be ") as raised:
        LongVideoConfig(**cast("dict[str, Any]", {field: value}))
    assert "\n" not in str(raised.value)
