"""What a classifier of whole clips says of the moments of a long video: the mean over the windows around each frame.

Shapes: T frames of a video, W windows, K classes.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from ..features.store import Features
from ..metrics.cross_validation import at_temperature
from ..metrics.predictor import ClassifierRun
from ..segments.frame_clock import frame_edges
from ..sequences.clips import Clips
from ..sequences.windows import VideoWindows, Windows
from ..timelines.timeline import Timeline


def clip_timeline(classifier: ClassifierRun, features: Features, video: int, *, device: torch.device) -> Timeline:
    """Return the class probabilities at every frame: those of the windows that it lies in, on average.

    It was trained on whole clips, and knows no time in which nothing happens: boundaries are as coarse as its windows.
    The networks say it, at their temperature, whatever predicts whole videos.
    """
    edges, classes = frame_edges(features, video), classifier.description.classes
    windows = classifier.windows(features, [video])
    probabilities = np.full((len(edges) - 1, len(classes)), 1 / len(classes), dtype=np.float32)
    if len(windows):
        of_windows = at_temperature(classifier.classify(windows, device=device), classifier.predictor.temperature)
        probabilities = spread_over_frames(of_windows, *_frames_of(windows), len(edges) - 1)
    return Timeline(
        video=features.videos[video].path,
        edges=edges,
        probabilities=probabilities,
        labels=tuple(classes),
        background=None,
        several_labels=False,
    )


def _frames_of(windows: VideoWindows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first frame of each window, (W,), and how many stored frames it is of, (W,)."""
    if isinstance(windows, Clips):
        return windows.starts, windows.num_stored
    assert isinstance(windows, Windows)
    return windows.starts, windows.lengths


def spread_over_frames(
    of_windows: NDArray[np.float64], starts: NDArray[np.int64], lengths: NDArray[np.int64], num_frames: int
) -> NDArray[np.float32]:
    """Return the mean of the windows around each frame, (T, K), of (W, K); a frame in none has that of the last one.

    starts, lengths: (W,) frames; windows in order of time.
    """
    changes = np.zeros((num_frames + 1, of_windows.shape[1] + 1))
    rows = np.concatenate([of_windows, np.ones((len(of_windows), 1))], axis=1)
    np.add.at(changes, starts, rows)
    np.subtract.at(changes, starts + lengths, rows)
    sums = np.cumsum(changes, axis=0)[:-1]
    counts = np.rint(sums[:, -1:])
    means = np.where(counts > 0, sums[:, :-1] / np.maximum(counts, 1), of_windows[-1])
    shares: NDArray[np.float32] = (means / means.sum(axis=1, keepdims=True)).clip(0, 1).astype(np.float32)
    return shares
