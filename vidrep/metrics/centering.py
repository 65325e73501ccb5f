"""Representations without what the clips of a group, such as those of one person, have in common: their mean.

The mean is over the videos that are classified together, so what is left of one depends on which others are there.

Shapes: W windows, V videos of the features, H width of a representation.
"""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..features.store import Features
from .cross_validation import mean_by_number

_log = logging.getLogger(__name__)


def shared_groups(
    features: Features, videos: NDArray[np.int64], groups: Sequence[str] | NDArray[np.int64]
) -> NDArray[np.int64]:
    """Number the group of each window, (W,), or -1 if no other video of its group is there.

    Crops and copies of a video are that one video: their mean has what the video shows.

    videos: (W,), that of each window. groups: (V,), a name or a number for each video of the features.
    """
    sources = np.unique(_sources(features, videos), return_inverse=True)[1]
    of_group = np.unique(np.asarray(groups)[videos], return_inverse=True)[1]
    num_sources = np.bincount(np.unique(np.stack([of_group, sources]), axis=1)[0])
    return np.where(num_sources[of_group] > 1, of_group, -1)


def log_alone(features: Features, videos: NDArray[np.int64], numbers: NDArray[np.int64]) -> None:
    """Log how many source videos are alone in their group, by what `shared_groups` numbered; nothing if none is."""
    alone, there = (len(set(_sources(features, some))) for some in (videos[numbers < 0], videos))
    if alone:
        _log.info("%d of %d videos are alone in their group: centered by the mean of the training videos", alone, there)


def _sources(features: Features, videos: NDArray[np.int64]) -> list[str]:
    rows = [features.videos[video] for video in videos.tolist()]
    return [row.source_sha256 or row.source_key for row in rows]


def center_groups(representations: NDArray[np.float32], numbers: NDArray[np.int64]) -> NDArray[np.float32]:
    """Subtract the mean over the windows of each group: (W, H), numbers (W,), of which -1 subtracts nothing."""
    is_shared = numbers >= 0
    centered = representations.copy()
    if is_shared.any():
        shared = numbers[is_shared]
        means = mean_by_number(representations[is_shared].astype(np.float64), shared, int(shared.max()) + 1)
        centered[is_shared] -= means[shared]
    return centered
