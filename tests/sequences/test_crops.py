"""Batches of views: from few groups, a pure function of (seed, step)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_features import circles, features_of

from vidrep.config.settings import ViewSettings
from vidrep.features.store import Features
from vidrep.sequences.batches import BatchMaker, VideoNumbers
from vidrep.sequences.clips import clips_of
from vidrep.sequences.crops import (
    CropBatches,
    GroupedSampler,
    ViewBatches,
    ViewBatchSet,
    ViewMaker,
    draw_crops,
    draw_shifts,
)
from vidrep.sequences.resident import windows_on
from vidrep.sequences.samplers import InfiniteSampler
from vidrep.sequences.windows import empty_windows, sliding_windows

CPU = torch.device("cpu")


def test_a_batch_is_of_as_few_groups_as_allowed_and_has_no_video_twice() -> None:
    groups = np.repeat(np.arange(10), 20)
    sampler = GroupedSampler(groups, 32, seed=1, least_groups=4)
    counts = np.zeros(200, dtype=int)
    for step in range(300):
        chosen = sampler.batch(step)
        assert len(set(chosen.tolist())) == 32
        assert np.unique(groups[chosen], return_counts=True)[1].tolist() == [8] * 4
        counts[chosen] += 1
    assert counts.min() > 20 and counts.max() < 90  # 48 on average: every video, every group


def test_small_groups_are_filled_up_from_all_videos() -> None:
    groups = np.array([0] * 10 + [1, 2, 3])
    sampler = GroupedSampler(groups, 12, seed=0, least_groups=4)
    for step in range(20):
        chosen = sampler.batch(step)
        assert len(set(chosen.tolist())) == 12 and {1, 2, 3} <= set(groups[chosen].tolist())
    alone = GroupedSampler(np.arange(9), 4, seed=0)
    assert all(len(set(alone.batch(step).tolist())) == 4 for step in range(20))


def test_the_videos_of_a_step_depend_on_seed_and_step_alone() -> None:
    groups = np.repeat(np.arange(5), 4)
    samplers = [GroupedSampler(groups, 8, seed) for seed in (3, 3, 4)]
    samplers[0].batch(0)
    assert samplers[0].batch(7).tolist() == samplers[1].batch(7).tolist() != samplers[2].batch(7).tolist()
    assert samplers[0].batch(7).tolist() != samplers[0].batch(8).tolist()
    with pytest.raises(ValueError, match="batches of 21 of 20 videos"):
        GroupedSampler(groups, 21, 0)


def test_crops_take_their_share_of_a_clip_and_stay_in_it() -> None:
    crops = draw_crops(np.random.default_rng(0), 5000, 0.6)
    shares = crops[:, 1] - crops[:, 0]
    assert crops.min() >= 0 and crops.max() <= 1 + 1e-12
    assert shares.min() >= 0.6 and abs(shares.mean() - 0.8) < 0.01


def crops_of(features: Features, *, seed: int = 0, shard: slice = slice(None)) -> CropBatches:
    clips = clips_of(features, range(len(features)), length=3, clip_seconds=4.0)
    numbers = VideoNumbers.of([row.path.split("/")[0] for row in features.videos])
    maker = BatchMaker(clips, windows_on(clips, CPU), numbers, CPU)
    sampler = InfiniteSampler(len(clips), 5, seed)
    return CropBatches(clips, maker, sampler, seed=seed, least_share=0.6, jitter=0.0, shard=shard)


def test_cropped_clips_of_a_step_depend_on_seed_and_step_alone(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles(6))
    one, other = crops_of(features), crops_of(features)
    one.batch(0)
    first, again = one.batch(7), other.batch(7)
    assert torch.equal(first.frames, again.frames) and first.frames.shape == (3, 5, 4)
    assert first.video is not None and again.video is not None and torch.equal(first.video, again.video)
    assert not torch.equal(first.frames, one.batch(8).frames)
    assert not torch.equal(first.frames, crops_of(features, seed=1).batch(7).frames)
    shards = [crops_of(features, shard=some).batch(7) for some in (slice(0, 2), slice(2, 5))]
    assert torch.equal(torch.cat([shard.frames for shard in shards], dim=1), first.frames)


def test_cropped_clips_are_crops_of_the_clips_that_the_sampler_chose(tmp_path: Path) -> None:
    """A crop of a straight line begins and ends within it, and takes at least its share."""
    ramp = np.linspace(0, 7, 8, dtype=np.float32)[:, None].repeat(4, axis=1)
    features = features_of(tmp_path, {f"{number}.npy": ramp + 100 * number for number in range(6)})
    batches = crops_of(features)
    clips = clips_of(features, range(6), length=3, clip_seconds=4.0)
    for step in range(20):
        batch, chosen = batches.batch(step), InfiniteSampler(len(clips), 5, 0).batch(step)
        assert batch.video is not None and batch.video.tolist() == clips.videos[chosen].tolist()
        values = batch.frames[:, :, 0].numpy() - 100 * clips.videos[chosen] - clips.starts[chosen]
        lengths = clips.num_stored[chosen] - 1
        assert (values[0] >= -1e-4).all() and (values[-1] <= lengths + 1e-4).all()
        assert (values[-1] - values[0] >= 0.6 * lengths - 1e-4).all()
        np.testing.assert_allclose(values[1], (values[0] + values[-1]) / 2, atol=1e-4)


def test_points_in_time_are_moved_by_half_the_jitter_and_keep_their_order() -> None:
    shifts = draw_shifts(np.random.default_rng(0), 2000, 5, 0.9)
    assert shifts.shape == (2000, 5) and 0.449 < shifts.max() <= 0.45 and -0.45 <= shifts.min() < -0.449
    assert abs(shifts.mean()) < 0.01
    assert (np.diff(np.arange(5) + shifts, axis=1) > 0).all()
    assert not draw_shifts(np.random.default_rng(0), 2, 3, 0.0).any()


def ramp_batches(tmp_path: Path, *, jitter: float, shard: slice = slice(None)) -> CropBatches:
    """Batches of whole clips of 3 points in time, of videos whose values are the number of the frame, 0 to 8."""
    ramp = np.arange(9, dtype=np.float32)[:, None]
    features = features_of(tmp_path, {f"{name}.npy": ramp for name in "abcd"})
    clips = clips_of(features, range(4), length=3, clip_seconds=100.0)
    maker = BatchMaker(clips, windows_on(clips, CPU), VideoNumbers.of(["one"] * 4), CPU)
    sampler = InfiniteSampler(4, 4, seed=0)
    return CropBatches(clips, maker, sampler, seed=0, least_share=1.0, jitter=jitter, shard=shard)


def test_jitter_is_a_pure_function_of_the_step_and_the_same_in_shards(tmp_path: Path) -> None:
    whole = torch.tensor([0.0, 4.0, 8.0]).view(3, 1, 1).expand(3, 4, 1)
    torch.testing.assert_close(ramp_batches(tmp_path, jitter=0.0).batch(3).frames, whole)
    batches = ramp_batches(tmp_path, jitter=0.5)
    moved = batches.batch(3).frames
    batches.batch(4)
    assert torch.equal(moved, batches.batch(3).frames) and not torch.equal(moved, batches.batch(4).frames)
    assert float((moved - whole).abs().max()) <= 1.0  # a quarter of the distance, 4 frames
    assert len(set(moved[1].flatten().tolist())) == 4 and moved.min() >= 0 and moved.max() <= 8
    shards = [ramp_batches(tmp_path, jitter=0.5, shard=one).batch(3).frames for one in (slice(0, 1), slice(1, 4))]
    assert torch.equal(torch.cat(shards, dim=1), moved)


def maker_of(features: Features, *, length: int = 0, jitter: float = 0.0) -> ViewMaker:
    chosen = list(range(len(features)))
    windows = sliding_windows(features, chosen, length=length, stride=2) if length else empty_windows(features, chosen)
    numbers = VideoNumbers.of([row.path.split("/")[0] for row in features.videos])
    return ViewMaker.of(windows, numbers, CPU, ViewSettings(num_frames=3, clip_seconds=4.0, jitter=jitter))


def test_a_batch_has_a_window_and_two_different_views_of_each_video(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles(6))
    maker = maker_of(features, length=4)
    batches = ViewBatches(maker, GroupedSampler(maker.groups, 5, seed=0), seed=0)
    batch = batches.batch(2)
    assert batch.views is not None and batch.video is not None and batch.group is not None
    assert (batch.frames.shape, batch.views.shape) == ((4, 5, 4), (3, 5, 2, 4))
    assert not torch.equal(batch.views[:, :, 0], batch.views[:, :, 1])
    again = ViewBatches(maker, GroupedSampler(maker.groups, 5, seed=0), seed=0).batch(2)
    assert again.views is not None and torch.equal(batch.views, again.views) and torch.equal(batch.frames, again.frames)
    for column, video in enumerate(batch.video.tolist()):
        assert batch.group[column] == (features.videos[video].path.split("/")[0] == "right")
        rows = features.rows(video)
        starts = [start for start in range(0, 5, 2) if np.array_equal(rows[start : start + 4], batch.frames[:, column])]
        assert len(starts) == 1
    shards = [
        ViewBatches(maker, GroupedSampler(maker.groups, 5, 0), 0, shard).batch(2)
        for shard in (slice(0, 2), slice(2, 5))
    ]
    assert torch.equal(torch.cat([one.views for one in shards if one.views is not None], dim=1), batch.views)


def test_views_are_moved_in_time_each_for_itself(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles(4))
    plain, moved = (maker_of(features, jitter=jitter) for jitter in (0.0, 0.9))
    videos = plain.videos
    draws, shifted = (maker.draw(np.random.default_rng(1), videos) for maker in (plain, moved))
    assert np.array_equal(draws.crops, shifted.crops) and np.array_equal(draws.clips, shifted.clips)
    assert not draws.shifts.any() and shifted.shifts.shape == (8, 2, 3) and len(np.unique(shifted.shifts)) == 48
    views, some, others = (
        batch.views for batch in (moved.batch(shifted), moved.batch(shifted.of(slice(2, 4))), plain.batch(draws))
    )
    assert views is not None and some is not None and others is not None
    assert torch.equal(views[:, 2:4], some) and not torch.equal(views, others)


def test_without_windows_a_batch_has_views_alone(tmp_path: Path) -> None:
    maker = maker_of(features_of(tmp_path, circles(4)))
    batch = ViewBatches(maker, GroupedSampler(maker.groups, 8, seed=0), seed=0).batch(0)
    assert batch.frames.shape == (0, 8, 4) and batch.views is not None and batch.views.shape == (3, 8, 2, 4)
    assert (maker.num_frames, batch.valid) == (6, None)


def test_validation_has_the_same_views_every_time_those_of_a_group_together(tmp_path: Path) -> None:
    maker = maker_of(features_of(tmp_path, circles(4)), length=4)
    held_out = ViewBatchSet(maker, seed=0, most=6)
    assert (len(held_out), held_out.windows.length, held_out.num_frames) == (6, 4, 10)
    first, second = (held_out.batch(np.array([1, 4])) for _ in range(2))
    assert first.views is not None and second.views is not None and torch.equal(first.views, second.views)
    assert np.array_equal(held_out.windows.gather(np.array([1, 4])), first.frames)
    groups = held_out.batch(np.arange(6)).group
    assert groups is not None and groups.tolist() == sorted(groups.tolist())


def test_of_the_crops_of_a_video_one_is_in_a_batch(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles(6))
    sources = np.array([0, 1, 2, 3] * 3)
    vars(features)["source_videos"] = sources  # as if each video were one of three crops
    maker = maker_of(features, length=4)
    assert maker.videos.tolist() == [0, 1, 2, 3] and len(maker.groups) == 4
    batches = ViewBatches(maker, GroupedSampler(maker.groups, 4, seed=0), seed=0)
    drawn = [batch.video.tolist() for batch in map(batches.batch, range(20)) if batch.video is not None]
    assert all(sorted(sources[videos].tolist()) == [0, 1, 2, 3] for videos in drawn)
    assert {video for videos in drawn for video in videos} == set(range(12))
