import csv
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vidrep.errors import ConfigError, OutputError
from vidrep.progress import Progress
from vidrep.synthetic.motions import (
    MOTIONS,
    SHAPES,
    Trajectory,
    draw_appearance,
    draw_trajectory,
    render_clip,
)
from vidrep.synthetic.samples import SampleConfig, SampleSummary, write_samples

OPPOSITES = [("left", "right"), ("up", "down"), ("growing", "shrinking"), ("clockwise", "counter-clockwise")]
DRIFTS = {"left": ("x", -1), "right": ("x", 1), "up": ("y", -1), "down": ("y", 1), "shrinking": ("scale", -1)}
DRIFTS["growing"] = ("scale", 1)
NUM_FRAMES = 20
SMALL = SampleConfig(videos_per_class=4, num_frames=6, frame_size=32)
LUMA = np.array([0.299, 0.587, 0.114])


def draw_many(motion: str, count: int = 30, num_frames: int = NUM_FRAMES) -> list[Trajectory]:
    seed = MOTIONS.index(motion)
    return [draw_trajectory(motion, np.random.default_rng([seed, i]), num_frames=num_frames) for i in range(count)]


def channels(trajectory: Trajectory) -> dict[str, NDArray[np.float64]]:
    return {"x": trajectory.x, "y": trajectory.y, "scale": np.log(trajectory.radius)}


def stacked(motion: str, count: int = 400) -> NDArray[np.float64]:
    """(count, 3, T): x, y and log radius of many clips."""
    return np.stack([np.stack(list(channels(one).values())) for one in draw_many(motion, count)])


def signed_area(trajectory: Trajectory) -> float:
    """Shoelace formula: with y downwards, positive is clockwise on the screen."""
    x, y = trajectory.x, trajectory.y
    return 0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)


def shape_centers(clip: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(T, 2): mean x and y, in pixels, of what is brighter than any background, which is the shape."""
    bright = clip / 255 @ LUMA > 0.5
    return np.array([np.argwhere(frame)[:, ::-1].mean(axis=0) for frame in bright])


def count_turns(wave: NDArray[np.float64]) -> int:
    """How often a closed wave changes direction."""
    steps = np.sign(np.diff(wave, append=wave[:1]))
    return int(np.sum(steps != np.roll(steps, 1)))


# --- trajectories


@pytest.mark.parametrize("motion", sorted(DRIFTS))
def test_one_channel_drifts_evenly_and_the_others_return(motion: str) -> None:
    drifting, sign = DRIFTS[motion]
    sway_turns = set()
    for trajectory in draw_many(motion, num_frames=400):
        values = channels(trajectory)
        steps = np.diff(values.pop(drifting))
        np.testing.assert_allclose(steps, steps[0])
        assert np.sign(steps[0]) == sign
        assert len(values) == 2
        for sway in values.values():
            # Frame T would be frame 0 again: what is left at frame T-1 is one step of a wave of at most two periods.
            assert abs(sway[-1] - sway[0]) <= 4.1 * np.ptp(sway) / 400
        sway_turns.add(tuple(count_turns(sway) for sway in values.values()))
    # One of the two sways once (two turning points) and the other twice, and chance decides which.
    assert sway_turns == {(2, 4), (4, 2)}


@pytest.mark.parametrize("motion", ["clockwise", "counter-clockwise"])
def test_a_turn_is_one_full_circle_in_the_right_sense(motion: str) -> None:
    starts = []
    for trajectory in draw_many(motion, num_frames=400):
        radius = np.ptp(trajectory.x) / 2
        sense = 1 if motion == "clockwise" else -1
        assert signed_area(trajectory) == pytest.approx(sense * np.pi * radius**2, rel=0.001)
        # At the top of the screen, clockwise goes to the right.
        top = int(trajectory.y.argmin())
        assert np.sign(trajectory.x[(top + 1) % 400] - trajectory.x[top - 1]) == sense
        assert np.hypot(*(trajectory.x[[0, -1]] - trajectory.x[0])) < 0.01
        assert count_turns(trajectory.radius) == 4
        starts.append(trajectory.x[0] > 0.5)
    assert 5 < sum(starts) < 25


@pytest.mark.parametrize("motion", MOTIONS)
def test_ranges_are_as_stated_and_the_shape_stays_inside(motion: str) -> None:
    for trajectory in draw_many(motion, count=100, num_frames=400):
        # Between two of 400 frames, a channel that sways twice can hide 1 % of its range.
        assert 0.277 < np.ptp(trajectory.x) < 0.501
        assert 0.277 < np.ptp(trajectory.y) < 0.501
        ratio = trajectory.radius.max() / trajectory.radius.min()
        assert 1.48 < ratio < 2.21
        assert 0.108 < np.sqrt(trajectory.radius.max() * trajectory.radius.min()) < 0.162
        assert abs(trajectory.angle[-1] - trajectory.angle[0]) <= np.pi / 2
        for center in (trajectory.x, trajectory.y):
            assert (center - trajectory.radius).min() > 0
            assert (center + trajectory.radius).max() < 1


def test_no_channel_alone_tells_the_class_in_a_single_frame() -> None:
    pools = {motion: stacked(motion) for motion in MOTIONS}
    for motion in MOTIONS:
        # 400 clips: the standard error of a mean is below 0.004 for x and y and 0.006 for the log radius.
        mean_x, mean_y, mean_scale = pools[motion].mean(axis=(0, 2))
        assert mean_x == pytest.approx(0.5, abs=0.015)
        assert mean_y == pytest.approx(0.5, abs=0.015)
        assert mean_scale == pytest.approx((np.log(0.11) + np.log(0.16)) / 2, abs=0.06)
        spread_x, spread_y, spread_scale = pools[motion].std(axis=(0, 2))
        # A circle spends more time at its ends than a drift or a sway: 0.71 of its radius against 0.58.
        circles = motion in ("clockwise", "counter-clockwise")
        assert spread_x == pytest.approx(0.157 if circles else 0.132, abs=0.012)
        assert spread_y == pytest.approx(0.157 if circles else 0.132, abs=0.012)
        assert spread_scale == pytest.approx(0.211, abs=0.02)
    for one, other in OPPOSITES:
        # The order inside a clip is all that differs, so all frames pooled have the same quantiles.
        for channel in range(3):
            ours, theirs = (
                np.quantile(pools[motion][:, channel], np.linspace(0, 1, 11)[1:-1]) for motion in (one, other)
            )
            np.testing.assert_allclose(ours, theirs, atol=0.03)


@pytest.mark.parametrize(("one", "other"), OPPOSITES)
def test_a_clip_backwards_is_a_clip_of_the_opposite_motion(one: str, other: str) -> None:
    backwards, forwards = stacked(one)[:, :, ::-1], stacked(other)
    # Per frame over 400 clips a mean of x or y has a standard error near 0.007, of the log radius 0.011.
    np.testing.assert_allclose(backwards.mean(axis=0), forwards.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(backwards.std(axis=0), forwards.std(axis=0), atol=0.04)
    steps_backwards, steps_forwards = np.abs(np.diff(backwards)), np.abs(np.diff(forwards))
    np.testing.assert_allclose(steps_backwards.mean(axis=(0, 2)), steps_forwards.mean(axis=(0, 2)), rtol=0.1)


def test_an_unknown_motion_is_refused() -> None:
    with pytest.raises(ValueError, match=r"motion is 'sideways'; it must be one of clockwise, .*, up"):
        draw_trajectory("sideways", np.random.default_rng(0), num_frames=8)


# --- pictures


def test_shapes_have_comparable_areas() -> None:
    areas = {n: s.num_tips * s.tip * s.notch * np.sin(np.pi / s.num_tips) for n, s in SHAPES.items()}
    assert sorted(areas) == ["disc", "square", "star", "triangle"]
    assert max(areas.values()) / min(areas.values()) < 1.3
    drawn = {draw_appearance(np.random.default_rng(seed), frame_size=16).shape for seed in range(40)}
    assert drawn == set(SHAPES.values())


def test_the_painted_area_is_the_shapes_own() -> None:
    for seed in range(8):
        appearance = draw_appearance(np.random.default_rng([seed, 1]), frame_size=64)
        rng = np.random.default_rng([seed, 1])
        clip = render_clip("clockwise", rng, num_frames=8, frame_size=64)
        rng = np.random.default_rng([seed, 1])
        assert draw_appearance(rng, frame_size=64).shape == appearance.shape
        trajectory = draw_trajectory("clockwise", rng, num_frames=8, reach=appearance.shape.tip)
        shape = appearance.shape
        area = shape.num_tips * shape.tip * shape.notch * np.sin(np.pi / shape.num_tips) * (trajectory.radius * 64) ** 2
        painted = (clip / 255 @ LUMA > 0.49).sum(axis=(1, 2))
        np.testing.assert_allclose(painted, area, rtol=0.2)


def test_the_shape_is_always_brighter_than_the_background() -> None:
    for seed in range(40):
        appearance = draw_appearance(np.random.default_rng(seed), frame_size=32)
        shape_luma, background_luma = appearance.colors @ LUMA, appearance.background @ LUMA
        assert 0.6 <= shape_luma.mean() <= 0.9
        assert shape_luma.min() > 0.5 > 0.46 > background_luma.max() > background_luma.min() > 0.09
        assert np.ptp(shape_luma) > 0.1
        assert background_luma.std() > 0.02
        assert appearance.background.min() > -1e-9
        assert appearance.colors.max() < 1 + 1e-9


@pytest.mark.parametrize("motion", ["left", "right", "up", "down"])
def test_pixels_move_as_the_class_says(motion: str) -> None:
    axis, sign = (0 if motion in ("left", "right") else 1), (1 if motion in ("right", "down") else -1)
    for seed in range(4):
        clip = render_clip(motion, np.random.default_rng(seed), num_frames=8, frame_size=64)
        steps = np.diff(shape_centers(clip)[:, axis])
        assert (sign * steps > 0).all()
        assert 0.25 * 64 < sign * steps.sum() < 0.52 * 64


@pytest.mark.parametrize(("motion", "sense"), [("clockwise", 1), ("counter-clockwise", -1)])
def test_pixels_turn_as_the_class_says(motion: str, sense: int) -> None:
    for seed in range(4):
        centers = shape_centers(render_clip(motion, np.random.default_rng(seed), num_frames=12, frame_size=64))
        right, down = (centers - centers.mean(axis=0)).T
        # Bearings as on a clock: from twelve o'clock, growing clockwise.
        bearings = np.unwrap(np.arctan2(right, -down))
        assert sense * (bearings[-1] - bearings[0]) == pytest.approx(2 * np.pi * 11 / 12, abs=0.2)


@pytest.mark.parametrize(("motion", "sign"), [("growing", 1), ("shrinking", -1)])
def test_pixels_grow_as_the_class_says(motion: str, sign: int) -> None:
    for seed in range(4):
        clip = render_clip(motion, np.random.default_rng(seed), num_frames=6, frame_size=64)
        areas = (clip / 255 @ LUMA > 0.5).sum(axis=(1, 2))
        assert (sign * np.diff(areas.astype(int)) > 0).all()


def test_a_clip_is_all_in_its_generator_and_no_two_frames_are_equal() -> None:
    clips = [render_clip("up", np.random.default_rng(seed), num_frames=6, frame_size=16) for seed in (5, 5, 6)]
    assert clips[0].shape == (6, 16, 16, 3)
    assert clips[0].dtype == np.uint8
    assert np.array_equal(clips[0], clips[1])
    assert not np.array_equal(clips[0], clips[2])
    assert len({frame.tobytes() for frame in clips[0]}) == 6


# --- the folder


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SampleSummary]:
    folder = tmp_path_factory.mktemp("sample")
    return folder, write_samples(folder, SMALL)


def test_files_decode_and_labels_agree_with_them(sample: tuple[Path, SampleSummary]) -> None:
    folder, summary = sample
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    videos = [row["video"] for row in rows]
    assert len(rows) == 8 * 4
    assert videos == sorted(videos)
    assert videos == sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*.mp4"))
    assert videos[0] == "clockwise/clockwise-0001.mp4"
    assert sum(1 for path in folder.rglob("*") if path.is_file()) == len(rows) + 1
    for row in rows:
        assert row["video"].startswith(f"{row['label']}/{row['label']}-")
        assert row["split"] == ("test" if row["video"].endswith("-0004.mp4") else "train")
        with av.open(str(folder / row["video"])) as container:
            assert container.streams.video[0].codec_context.name == "h264"
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert [frame.shape for frame in frames] == [(32, 32, 3)] * 6
    assert {row["label"] for row in rows} == set(MOTIONS)
    assert (summary.folder, summary.num_videos, summary.num_frames) == (folder, 32, 192)
    assert summary.num_bytes == sum(path.stat().st_size for path in folder.glob("*/*.mp4"))


def test_a_clip_does_not_depend_on_how_many_there_are(sample: tuple[Path, SampleSummary], tmp_path: Path) -> None:
    folder, _ = sample
    seen: list[Progress] = []
    write_samples(tmp_path / "new" / "fewer", replace(SMALL, videos_per_class=2), on_progress=seen.append)
    fewer = sorted((tmp_path / "new" / "fewer").glob("*/*.mp4"))
    assert len(fewer) == 16
    for path in fewer:
        assert path.read_bytes() == (folder / path.parent.name / path.name).read_bytes()
    assert len({path.read_bytes() for path in fewer}) == 16
    assert [(one.done, one.total, one.unit) for one in seen] == [(done, 16, "videos") for done in range(1, 17)]


def test_another_seed_gives_other_clips(sample: tuple[Path, SampleSummary], tmp_path: Path) -> None:
    folder, _ = sample
    write_samples(tmp_path, replace(SMALL, videos_per_class=1, seed=1))
    others = sorted(tmp_path.glob("*/*.mp4"))
    assert len(others) == 8
    assert all(path.read_bytes() != (folder / path.parent.name / path.name).read_bytes() for path in others)


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match=r"already holds mine\.txt; name a folder that is new or empty"):
        write_samples(tmp_path, SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(OutputError, match=r"mine\.txt is a file; name a folder"):
        write_samples(tmp_path / "mine.txt", SMALL)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("videos_per_class", 0),
        ("test_fraction", 1.0),
        ("test_fraction", -0.1),
        ("test_fraction", float("nan")),
        ("num_frames", 3),
        ("frame_size", 14),
        ("frame_size", 33),
        ("frames_per_second", 0),
        ("seed", -1),
    ],
)
def test_impossible_settings_are_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"^{field} is {value}; it must be ") as raised:
        SampleConfig(**cast("dict[str, Any]", {field: value}))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("videos", "fraction", "train"),
    [(40, 0.25, 30), (40, 0.0, 40), (1, 0.25, 1), (1, 0.9, 1), (4, 0.25, 3), (10, 0.9, 1)],
)
def test_split_sizes(videos: int, fraction: float, train: int) -> None:
    assert SampleConfig(videos_per_class=videos, test_fraction=fraction).num_train_per_class == train
