"""Crops in time of clips: one of each to learn to classify by, or two views of each to be contrasted.

What a step uses is a pure function of (seed, step).

Shapes: T frames of a view, B batch, V videos, D values of a frame.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..config.settings import ViewSettings
from ..devices import to_device
from .batches import WHOLE, BatchMaker, VideoNumbers
from .clips import Clips, clips_of
from .resident import windows_on
from .samplers import InfiniteSampler
from .window_batch import WindowBatch
from .windows import Windows

NUM_VIEWS = 2
_VIDEOS, _VIEWS, _VALIDATION, _CROPS = 1, 2, 3, 4  # streams of random numbers


class GroupedSampler:
    """Chooses B of V videos a step, each at most once, from as few groups as `least_groups` allows.

    Videos of one group, such as those of one person, share what a clip's content is not about; among them a contrastive
    loss learns what else tells clips apart. A step takes groups in a random order, at most B / least_groups videos of
    each, until the batch is full; where groups are too small for that, the rest is drawn from all videos.

    groups: (V,) the number of each video's group.
    """

    def __init__(self, groups: NDArray[np.int64], batch_size: int, seed: int, *, least_groups: int = 4) -> None:
        if not 1 <= batch_size <= len(groups):
            raise ValueError(f"batches of {batch_size} of {len(groups)} videos: give at least 1, at most all videos")
        self._groups, self._batch_size, self._seed = groups, batch_size, seed
        self._most_of_group = -(-batch_size // least_groups)

    def batch(self, step: int) -> NDArray[np.int64]:
        """Return the videos of a step, (B,)."""
        rng = np.random.default_rng([self._seed, _VIDEOS, step])
        order = rng.permutation(len(self._groups))
        place_of_group = rng.permutation(int(self._groups.max()) + 1)
        by_group = order[np.argsort(place_of_group[self._groups[order]], kind="stable")]
        sorted_groups = self._groups[by_group]
        starts = np.flatnonzero(np.r_[True, sorted_groups[1:] != sorted_groups[:-1]])
        sizes = np.diff(np.r_[starts, len(by_group)])
        place_within_group = np.arange(len(by_group)) - np.repeat(starts, sizes)
        is_first_choice = place_within_group < self._most_of_group
        return np.concatenate([by_group[is_first_choice], by_group[~is_first_choice]])[: self._batch_size]


def draw_crops(rng: np.random.Generator, num_crops: int, least_share: float) -> NDArray[np.float64]:
    """Draw crops in time, (num_crops, 2): of `least_share` of a clip to all of it, anywhere in it."""
    shares = rng.uniform(least_share, 1.0, num_crops)
    begins = rng.uniform(0.0, 1.0, num_crops) * (1.0 - shares)
    return np.stack([begins, begins + shares], axis=1)


def draw_shifts(rng: np.random.Generator, num_crops: int, num_frames: int, jitter: float) -> NDArray[np.float64]:
    """Draw by how much points in time are moved, (num_crops, num_frames), in distances between two of them.

    Up to `jitter` / 2 forth or back: they stay in their order if it is below 1.
    """
    return rng.uniform(-jitter / 2, jitter / 2, (num_crops, num_frames))


class CropBatches:
    """Crops in time of clips, in an order shuffled anew every epoch; what a step uses is a pure function of it.

    least_share: see `draw_crops`. jitter: see `draw_shifts`.
    """

    def __init__(
        self,
        clips: Clips,
        maker: BatchMaker,
        sampler: InfiniteSampler,
        *,
        seed: int,
        least_share: float,
        jitter: float,
        shard: slice = WHOLE,
    ) -> None:
        self._clips, self._maker, self._sampler = clips, maker, sampler
        self._seed, self._least_share, self._jitter, self._shard = seed, least_share, jitter, shard

    def batch(self, step: int) -> WindowBatch:
        """Return the batch of a step."""
        indices = self._sampler.batch(step)
        rng = np.random.default_rng([self._seed, _CROPS, step])
        crops = draw_crops(rng, len(indices), self._least_share)
        shifts = draw_shifts(rng, len(indices), self._clips.length, self._jitter)
        shard = self._shard
        frames = self._clips.gather_crops(indices[shard], crops[shard], shifts[shard])
        return self._maker.batch(indices, self._shard, frames=frames)


class _ItemsOfVideos:
    """The items, windows or clips, of each video, (W,) the video of each item."""

    def __init__(self, videos: NDArray[np.int64]) -> None:
        self._order = np.argsort(videos, kind="stable")
        self.videos, self._first, self._counts = np.unique(videos[self._order], return_index=True, return_counts=True)

    @property
    def first(self) -> NDArray[np.int64]:
        """(V,) the first item of each video."""
        return self._order[self._first]

    def draw(self, rng: np.random.Generator, videos: NDArray[np.int64]) -> NDArray[np.int64]:
        """Draw an item of each of some videos."""
        at = np.searchsorted(self.videos, videos)
        drawn: NDArray[np.int64] = self._order[self._first[at] + rng.integers(0, self._counts[at])]
        return drawn


class ViewDraws(NamedTuple):
    """What was drawn of some videos: a window and a clip of each, (B,), and two crops of the clip, (B, 2, 2).

    The last axis of `crops` is where a crop begins and ends. shifts: (B, 2, T), see `Clips.gather_crops`.
    """

    windows: NDArray[np.int64]
    clips: NDArray[np.int64]
    crops: NDArray[np.float64]
    shifts: NDArray[np.float64]

    def of(self, chosen: slice | NDArray[np.int64]) -> "ViewDraws":
        """Return the draws of some of the videos."""
        return ViewDraws(self.windows[chosen], self.clips[chosen], self.crops[chosen], self.shifts[chosen])


class ViewMaker:
    """Makes batches of a window and two views of each of some source videos, on a device.

    Of the crops (in space) of a source video, which show the same moments, one is drawn: two of them must not be
    contrasted. windows: what objectives of windows learn from; of length 0 if there are none. clips: what views are
    cropped from; each video that has a window has one. least_share: see `draw_crops`. jitter: see `draw_shifts`.
    """

    def __init__(
        self,
        windows: Windows,
        clips: Clips,
        numbers: VideoNumbers,
        device: torch.device,
        *,
        least_share: float,
        jitter: float,
    ) -> None:
        self.windows = windows
        self._clips, self._device, self._least_share, self._jitter = clips, device, least_share, jitter
        self._maker = BatchMaker(windows, windows_on(windows, device), numbers, device)
        sources = windows.features.source_videos
        self._windows_of, self._clips_of = (_ItemsOfVideos(sources[some.videos]) for some in (windows, clips))
        self.groups = numbers.groups[windows.videos[self._windows_of.first]]

    @classmethod
    def of(cls, windows: Windows, numbers: VideoNumbers, device: torch.device, views: ViewSettings) -> "ViewMaker":
        """Return what makes batches of the videos that have windows."""
        clips = clips_of(
            windows.features,
            np.unique(windows.videos).tolist(),
            length=views.num_frames,
            clip_seconds=views.clip_seconds,
        )
        return cls(windows, clips, numbers, device, least_share=views.least_share, jitter=views.jitter)

    @property
    def videos(self) -> NDArray[np.int64]:
        """(V,) the numbers of the source videos, in order; `groups`, (V,), are those of their groups."""
        return self._windows_of.videos

    @property
    def num_frames(self) -> int:
        """Frames that are read of each video of a batch."""
        return self.windows.length + NUM_VIEWS * self._clips.length

    def draw(self, rng: np.random.Generator, videos: NDArray[np.int64]) -> ViewDraws:
        """Draw the windows, the clips and their views of some source videos, (B,) numbers."""
        windows, clips = self._windows_of.draw(rng, videos), self._clips_of.draw(rng, videos)
        crops = [draw_crops(rng, len(videos), self._least_share) for _ in range(NUM_VIEWS)]
        shifts = [draw_shifts(rng, len(videos), self._clips.length, self._jitter) for _ in range(NUM_VIEWS)]
        return ViewDraws(windows, clips, np.stack(crops, axis=1), np.stack(shifts, axis=1))

    def batch(self, draws: ViewDraws) -> WindowBatch:
        """Return the batch of what was drawn."""
        views = [
            self._clips.gather_crops(draws.clips, draws.crops[:, view], draws.shifts[:, view])
            for view in range(NUM_VIEWS)
        ]
        stacked = np.stack(views, axis=2)
        return self._maker.batch(draws.windows)._replace(views=to_device(stacked, self._device))


class ViewBatches:
    """Batches of clips from few groups, with two views of each. The sampler numbers the videos of the maker."""

    def __init__(self, maker: ViewMaker, sampler: GroupedSampler, seed: int, shard: slice = WHOLE) -> None:
        self._maker, self._sampler, self._seed, self._shard = maker, sampler, seed, shard

    def batch(self, step: int) -> WindowBatch:
        """Return the batch of a step."""
        rng = np.random.default_rng([self._seed, _VIEWS, step])
        draws = self._maker.draw(rng, self._maker.videos[self._sampler.batch(step)])
        return self._maker.batch(draws.of(self._shard))


class ViewBatchSet:
    """One window and one pair of views of each video, always the same; a BatchSet.

    Videos of one group are adjacent, so that batches are of few groups, as in training. most: videos that are used at
    most, evenly spread.
    """

    def __init__(self, maker: ViewMaker, seed: int, *, most: int) -> None:
        by_group = maker.videos[np.argsort(maker.groups, kind="stable")]
        if len(by_group) > most:
            by_group = by_group[np.linspace(0, len(by_group) - 1, most).astype(np.int64)]
        self._maker, self._draws = maker, maker.draw(np.random.default_rng([seed, _VALIDATION]), by_group)
        self.windows = maker.windows.chosen(self._draws.windows)
        self.num_frames = maker.num_frames

    def __len__(self) -> int:
        return len(self._draws.windows)

    def batch(self, indices: NDArray[np.int64]) -> WindowBatch:
        """Return the batch of chosen videos, (B,)."""
        return self._maker.batch(self._draws.of(indices))
