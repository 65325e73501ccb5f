"""A short description of each video, by which videos can be compared that are not equal to the byte.

Shapes: S videos, D values of a frame, E values of a signature.
"""

import numpy as np
from numpy.typing import NDArray

from .data_set import DataSet
from .frame_values import FrameValues, blocks_of

_NUM_BINS = 8
# Values of a time bin at most. Wider frames are projected at random, which keeps distances of eight bins together
# within about 4 % (Johnson and Lindenstrauss 1984); 10,000 videos then take 40 MB.
_BIN_SIZE = 128
_NUM_COMPONENTS = 128
_VIDEOS_PER_COMPONENT = 4  # with as many components as videos, whitened videos would be equally far from each other

FEWEST_VIDEOS = 16
"""Of fewer, the typical distance of a nearest neighbor cannot be estimated."""


def signatures(data: DataSet, values: FrameValues, numbers: list[int]) -> NDArray[np.float64]:
    """Describe some videos with frames: (S, E), whose Euclidean distances are to be compared.

    Frames are standardized, and averaged in 8 equal stretches of time; of these averages together the first principal
    components are taken, each with variance 1, so that a few that all videos vary in do not outweigh the others.
    """
    projection = _projection(data.features.frame_size) / values.scale[:, None]
    binned = np.stack([_binned(data, values, number, projection) for number in numbers])
    binned -= binned.mean(axis=0)
    variances, directions = np.linalg.eigh(binned.T @ binned / len(binned))
    most = max(1, min(_NUM_COMPONENTS, len(numbers) // _VIDEOS_PER_COMPONENT))
    kept = np.flatnonzero(variances > 1e-9 * variances[-1])[-most:]
    whitened: NDArray[np.float64] = binned @ (directions[:, kept] / np.sqrt(variances[kept]))
    return whitened


def _projection(size: int) -> NDArray[np.float64]:
    """Return what frames are multiplied by: (D, D), or (D, 128) if they are wider."""
    if size <= _BIN_SIZE:
        return np.eye(size)
    projection: NDArray[np.float64] = np.random.default_rng(0).standard_normal((size, _BIN_SIZE)) / np.sqrt(_BIN_SIZE)
    return projection


def _binned(data: DataSet, values: FrameValues, number: int, projection: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means of a video's projected frames in 8 stretches of time; a short one's frames fill several."""
    totals, counts, first = np.zeros((_NUM_BINS, projection.shape[1])), np.zeros(_NUM_BINS), 0
    length = data.lengths[number]
    for block in blocks_of(data, number):
        frames = (block - values.mean) @ projection
        positions = (first + np.arange(len(frames))) % length  # crops of a video follow each other
        first += len(frames)
        for bin_number in range(_NUM_BINS):
            start, end = bin_number * length // _NUM_BINS, (bin_number + 1) * length // _NUM_BINS
            inside = (positions >= start) & (positions < max(end, start + 1))
            totals[bin_number] += frames[inside].sum(axis=0)
            counts[bin_number] += inside.sum()
    return (totals / counts[:, None]).ravel()
