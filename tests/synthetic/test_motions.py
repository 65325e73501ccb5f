import numpy as np
import pytest
from numpy.typing import NDArray

from vidrep.synthetic.motions import MOTIONS, MotionRanges, Trajectory, draw_trajectory

OPPOSITES = [("left", "right"), ("up", "down"), ("growing", "shrinking"), ("clockwise", "counter-clockwise")]
DRIFTS = {"left": ("x", -1), "right": ("x", 1), "up": ("y", -1), "down": ("y", 1), "shrinking": ("scale", -1)}
DRIFTS["growing"] = ("scale", 1)
NUM_FRAMES = 20


def draw_many(motion: str, count: int = 30, num_frames: int = NUM_FRAMES) -> list[Trajectory]:
    seed = MOTIONS.index(motion)
    rngs = [np.random.default_rng([seed, i]) for i in range(count)]
    return [draw_trajectory(motion, rng, MotionRanges(), num_frames=num_frames) for rng in rngs]


def channels(trajectory: Trajectory) -> dict[str, NDArray[np.float64]]:
    return {"x": trajectory.x, "y": trajectory.y, "scale": np.log(trajectory.radius)}


def stacked(motion: str, count: int = 400) -> NDArray[np.float64]:
    """(count, 3, T): x, y and log radius of many clips."""
    return np.stack([np.stack(list(channels(one).values())) for one in draw_many(motion, count)])


def signed_area(trajectory: Trajectory) -> float:
    """Shoelace formula: with y downwards, positive is clockwise on the screen."""
    x, y = trajectory.x, trajectory.y
    return 0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)


def count_turns(wave: NDArray[np.float64]) -> int:
    """How often a closed wave changes direction."""
    steps = np.sign(np.diff(wave, append=wave[:1]))
    return int(np.sum(steps != np.roll(steps, 1)))


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
        draw_trajectory("sideways", np.random.default_rng(0), MotionRanges(), num_frames=8)
