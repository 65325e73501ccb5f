from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from vidrep.synthetic.motions import MOTIONS
from vidrep.synthetic.sources import Source, Wobble, draw_source, render_source_clip

SIZE = 32
LUMA = np.array([0.299, 0.587, 0.114])


def sources(count: int, *, size: int = SIZE) -> list[Source]:
    return [draw_source(np.random.default_rng([7, number]), frame_size=size) for number in range(count)]


def mean_frames(source: Source, *, clips_per_motion: int = 2) -> NDArray[np.float64]:
    """(8, clips, H * W * 3): the mean frames of a source's clips, by motion."""
    rng = np.random.default_rng(3)
    clips = [[render_source_clip(source, motion, rng) for _ in range(clips_per_motion)] for motion in MOTIONS]
    return np.array([[clip.mean(axis=0).ravel() for clip in of_motion] for of_motion in clips])


def still(source: Source) -> Source:
    """The same source with a steady camera, steady light and no noise."""
    return replace(source, shake=Wobble(0, 0.1), flicker=Wobble(0, 0.1), pixel_noise=0)


# --- what a source has of its own


def test_sources_differ_in_everything() -> None:
    drawn = sources(6)
    for one, other in pairwise(drawn):
        assert one.ranges != other.ranges
        assert one.shake != other.shake
        assert one.pixel_noise != other.pixel_noise
        assert {figure.shape for figure in one.figures}.isdisjoint(figure.shape for figure in other.figures)
        assert np.abs(one.scene - other.scene).mean() > 0.1


def test_a_scene_has_structure_and_fits_any_shake() -> None:
    for source in sources(12):
        margin = source.margin
        assert source.scene.shape == (SIZE + 2 * margin, SIZE + 2 * margin, 3)
        assert source.shake.amplitude * SIZE <= margin - 1
        assert source.scene.min() >= 0
        assert source.scene.max() <= 1
        # Edges: the steepest step from pixel to pixel is many times the usual one.
        steps = np.abs(np.diff(source.scene @ LUMA, axis=1))
        assert steps.max() > 5 * np.median(steps)


def test_outlines_have_one_area_and_figures_stand_out_of_the_scene() -> None:
    darker = 0
    for source in sources(40):
        scene_luma = (source.scene @ LUMA).mean()
        signs = set()
        for figure in source.figures:
            shape = figure.shape
            assert shape.num_tips * shape.tip * shape.notch * np.sin(np.pi / shape.num_tips) == pytest.approx(2.8)
            assert -1e-9 < figure.colors.min() < figure.colors.max() < 1 + 1e-9
            contrast = (figure.colors @ LUMA).mean() - scene_luma
            assert abs(contrast) > 0.1
            signs.add(np.sign(contrast))
        assert len(signs) == 1
        darker += signs == {-1}
    assert 2 <= darker <= 14  # a fifth of 40, within two and a half standard deviations


def test_a_wobble_is_smooth_bounded_and_runs_backwards_as_forwards() -> None:
    rng = np.random.default_rng(0)
    many = np.array([Wobble(0.04, 0.1).draw(rng, 24) for _ in range(2000)])
    assert 0.035 < np.abs(many).max() <= 0.04
    # The steepest of its two waves, of half the amplitude each, together.
    assert np.abs(np.diff(many)).max() <= 0.02 * 2 * np.pi * 0.1 * (1 + 1.618034)
    assert np.abs(many.mean(axis=0)).max() < 0.002
    forwards, backwards = np.cov(many.T), np.cov(many[:, ::-1].T)
    np.testing.assert_allclose(forwards, backwards, atol=0.1 * forwards.max())


# --- its clips


def test_a_clip_is_all_in_its_source_and_generator() -> None:
    source = sources(1)[0]
    clips = [render_source_clip(source, "left", np.random.default_rng(seed)) for seed in (5, 5, 6)]
    assert clips[0].dtype == np.uint8
    assert clips[0].shape[1:] == (SIZE, SIZE, 3)
    assert np.array_equal(clips[0], clips[1])
    assert clips[0].shape != clips[2].shape or not np.array_equal(clips[0], clips[2])
    assert len({frame.tobytes() for frame in clips[0]}) == len(clips[0])


def test_lengths_are_the_sources_own() -> None:
    for source in sources(4):
        shortest, longest = source.num_frames
        assert 16 <= shortest < longest <= 28
        rng = np.random.default_rng(1)
        lengths = {len(render_source_clip(source, "up", rng)) for _ in range(30)}
        assert len(lengths) >= 4
        assert shortest <= min(lengths) <= max(lengths) <= longest


def test_mean_frames_tell_the_source_and_hardly_the_motion() -> None:
    frames = np.stack([mean_frames(source) for source in sources(6)])  # (sources, motions, clips, values)
    among_sources = frames.mean(axis=(1, 2)).std(axis=0).mean()
    among_motions = frames.mean(axis=(0, 2)).std(axis=0).mean()
    assert among_sources > 5 * among_motions
    # The nearest other mean frame is always one of the same source.
    flat = frames.reshape(6 * 8 * 2, -1)
    own = np.repeat(np.arange(6), 16)
    distances = ((flat[:, None] - flat[None]) ** 2).sum(axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert (own[distances.argmin(axis=1)] == own).all()


@pytest.mark.parametrize("motion", ["left", "right", "up", "down"])
def test_what_moves_moves_as_the_class_says(motion: str) -> None:
    axis, sign = (0 if motion in ("left", "right") else 1), (1 if motion in ("right", "down") else -1)
    for source in map(still, sources(4, size=64)):
        clip = render_source_clip(source, motion, np.random.default_rng(2)).astype(float)
        background = np.median(clip, axis=0)
        is_figure = np.abs((clip - background) @ LUMA) > 20
        centers = [np.argwhere(frame)[:, ::-1].mean(axis=0)[axis] for frame in is_figure]
        quarter = len(centers) // 4
        assert sign * (np.mean(centers[-quarter:]) - np.mean(centers[:quarter])) > 0.08 * 64


class Offset(Wobble):
    """A camera that stands off by its amplitude, right and down, at all times."""

    def draw(self, rng: np.random.Generator, num_frames: int) -> NDArray[np.float64]:
        super().draw(rng, num_frames)
        return np.full(num_frames, self.amplitude)


def test_the_camera_moves_figure_and_scene_together() -> None:
    source = still(sources(1, size=64)[0])
    straight, off = (
        render_source_clip(replace(source, shake=Offset(pixels / 64, 0)), "up", np.random.default_rng(4)).astype(float)
        for pixels in (0, 2)
    )
    shifted = np.roll(straight, (2, 2), axis=(1, 2))
    np.testing.assert_allclose(off[:, 2:, 2:], shifted[:, 2:, 2:], atol=1)
    assert np.abs(off - straight).mean() > 3
