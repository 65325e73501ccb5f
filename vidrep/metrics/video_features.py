"""What classifiers without an LSTM read of a video: its single frames, its mean frame, or means of it in time order.

Shapes: N frames of a video, D values of a frame, V videos.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..features.store import Features
from ..models.inputs import to_original_units
from .cross_validation import VideoRows, evenly_spread

_log = logging.getLogger(__name__)

NUM_BINS = 8
"""Time bins of "ordered bins"."""

MAX_ROWS = 20_000
"""Rows that a classifier is fitted on at most, evenly spread over the videos."""

MAX_VALUES = 1 << 26
"""Values of these rows together at most (256 MiB in float32), so that wide rows are fewer, but not fewer than 64."""

_FEWEST_ROWS = 64
# Of a longer video, every second frame or fewer are read: means hardly change, and memory is bounded.
_MAX_FRAMES = 4096

Frames = NDArray[np.float32]


@dataclass(frozen=True)
class VideoFeature:
    """A way to describe a video by rows.

    rows: (N, D) -> (n, E). num_rows: N -> n. size: D -> E.
    """

    rows: Callable[[Frames], Frames]
    num_rows: Callable[[int], int]
    size: Callable[[int], int]


def mean_feature(frames: Frames) -> Frames:
    """Return the mean of a video's frames: (N, D) -> (1, D)."""
    mean: Frames = frames.mean(axis=0, keepdims=True)
    return mean


def ordered_bins(frames: Frames) -> Frames:
    """Return the means of a video's frames in 8 equal stretches of time, in their order: (N, D) -> (1, 8 D).

    Of fewer frames than bins, 8 are interpolated linearly from the first to the last.
    """
    num_frames = len(frames)
    if num_frames < NUM_BINS:
        positions = np.linspace(0, num_frames - 1, NUM_BINS)
        before = np.floor(positions).astype(np.int64)
        share = (positions - before)[:, None].astype(np.float32)
        return ((1 - share) * frames[before] + share * frames[np.ceil(positions).astype(np.int64)]).reshape(1, -1)
    starts = np.arange(NUM_BINS) * num_frames // NUM_BINS
    counts = np.diff([*starts, num_frames])
    means = np.add.reduceat(frames, starts, axis=0) / counts[:, None]
    return means.astype(np.float32).reshape(1, -1)


VIDEO_FEATURES = {
    "single frame": VideoFeature(rows=lambda frames: frames, num_rows=lambda length: length, size=lambda size: size),
    "mean feature": VideoFeature(rows=mean_feature, num_rows=lambda length: 1, size=lambda size: size),
    "ordered bins": VideoFeature(rows=ordered_bins, num_rows=lambda length: 1, size=lambda size: NUM_BINS * size),
}
"""The features by the names that tables show."""


def frames_of(features: Features, video: int) -> Frames:
    """Return the frames of a video in original units, (N, D), every second or fewer of more than 4,096."""
    length = features.videos[video].length
    stored = np.array(features.rows(video)[:: _step(length)]).reshape(-1, features.frame_size)
    frames: Frames = to_original_units(torch.from_numpy(stored)).numpy()
    return frames


def _step(length: int) -> int:
    return -(-length // _MAX_FRAMES) or 1


def video_rows(features: Features, videos: Sequence[int], name: str, *, most: int | None = None) -> VideoRows:
    """Describe videos by the feature of a name: VideoRows of the positions in `videos`.

    Videos without frames have no rows. most: how many rows at most, evenly spread; by default what a classifier is
    fitted on, `row_limit`. If there are more, that is logged.
    """
    feature = VIDEO_FEATURES[name]
    lengths = np.array([features.videos[video].length for video in videos], dtype=np.int64)
    counts = [feature.num_rows(-(-int(length) // _step(int(length)))) if length else 0 for length in lengths]
    ends = np.cumsum(counts)
    size = feature.size(features.frame_size)
    most = row_limit(size) if most is None else most
    if ends[-1] > most:
        _log.info("%s: fitted on %d of %d rows, evenly spread", name, most, ends[-1])
    kept = evenly_spread(int(ends[-1]), most)
    rows = np.empty((len(kept), size), dtype=np.float32)
    positions = np.searchsorted(ends, kept, side="right")
    for position in np.unique(positions):
        of_video = positions == position
        first = ends[position] - counts[position]
        rows[of_video] = feature.rows(frames_of(features, videos[position]))[kept[of_video] - first]
    return VideoRows(rows, positions, len(videos))


def every_video_rows(features: Features, videos: Sequence[int], name: str, *, about: int) -> VideoRows:
    """Describe videos by the feature of a name, with one row of each or more: about so many in all if they have many.

    Of a video's rows those are taken that are evenly spread. Videos without frames have none.
    """
    of_each, most = [], max(1, about // max(1, len(videos)))
    for video in videos:
        has_frames = features.videos[video].length > 0
        rows = VIDEO_FEATURES[name].rows(frames_of(features, video)) if has_frames else np.empty((0, 0), np.float32)
        of_each.append(rows[evenly_spread(len(rows), most)] if len(rows) > most else rows)
    counts = [len(rows) for rows in of_each]
    kept = [rows for rows in of_each if len(rows)]
    return VideoRows(np.concatenate(kept), np.repeat(np.arange(len(videos)), counts), len(videos))


def source_numbers(features: Features, videos: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count crops of one video as one: the positions in `videos` of each source's first, (S,), and (V,) its number."""
    _, first, numbers = np.unique(features.source_videos[videos], return_index=True, return_inverse=True)
    return first, numbers


def row_limit(size: int) -> int:
    """Return how many rows of so many values a classifier is fitted on at most: MAX_ROWS, or fewer if they are wide."""
    return max(_FEWEST_ROWS, min(MAX_ROWS, MAX_VALUES // size))
