"""What a classifier makes of windows and of whole videos, and how often it is right.

Shapes: B batch, W windows, V videos, S source videos, K classes, N predictions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..features.store import Features
from ..models.classifier import Classifier, valid_frames
from ..models.description import ModelDescription
from ..models.saved import TrainedModel
from ..sequences.clips import clips_of
from ..sequences.windows import VideoWindows, batches_of, sliding_windows
from .centering import center_groups
from .intervals import share_interval

BATCH_SIZE = 64  # windows at once when nothing is learned


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Shares of right predictions, 0 to 1.

    accuracy: over all; low, high: its 95 % interval over groups, None for too few, see `share_interval`.
    balanced_accuracy: the mean over the true classes. num_groups: that the predictions are of.
    """

    accuracy: float
    low: float | None
    high: float | None
    balanced_accuracy: float
    num_groups: int

    @classmethod
    def of(cls, true: NDArray[np.int64], predicted: NDArray[np.int64], groups: Sequence[str]) -> "Accuracy":
        """Compare the true classes with the predicted ones, both (N,); groups: (N,), of a window that of its video."""
        right = true == predicted
        low, high = share_interval(right, groups) or (None, None)
        return cls(
            accuracy=float(right.mean()),
            low=low,
            high=high,
            balanced_accuracy=float(np.mean([right[true == one].mean() for one in np.unique(true)])),
            num_groups=len(set(groups)),
        )


def classification_windows(features: Features, videos: Sequence[int], description: ModelDescription) -> VideoWindows:
    """Cut the windows or the clips that a classifier reads; a video shorter than a window gives one that is padded."""
    if description.clips:
        length, clip_seconds = int(description.clips["num_frames"]), description.clips["clip_seconds"]
        return clips_of(features, videos, length=length, clip_seconds=clip_seconds)
    return sliding_windows(
        features,
        videos,
        length=description.windows["length"],
        stride=description.windows["stride"],
        keep_short=True,
        to_the_end=bool(description.windows.get("to_the_end", True)),
    )


@torch.inference_mode()
def classify_windows(
    model: TrainedModel,
    windows: VideoWindows,
    *,
    device: torch.device,
    shuffle_seed: int | None = None,
    groups: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Return the class probabilities of all windows, (W, K).

    shuffle_seed: put each window's frames into random order first, to measure what their order is worth. groups: (W,),
    numbered by `shared_groups`, for a classifier with a fitted head that centers them: the prediction for a window then
    depends on all windows of its group. None: each window is classified on its own.
    """
    network = model.network
    if not isinstance(network, Classifier):
        raise TypeError(f"a {type(network).__name__} does not classify")
    model.to(device).eval()
    read = network if groups is None else network.representations
    found = torch.cat([read(*frames).cpu() for frames in _read_frames(model, windows, device, shuffle_seed)])
    if groups is not None:
        centered = torch.from_numpy(center_groups(found.numpy(), groups))
        found = network.classify_representations(centered.to(device)).cpu()
    return found.double().numpy()


def _read_frames(
    model: TrainedModel, windows: VideoWindows, device: torch.device, shuffle_seed: int | None
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield the frames that the network reads of some windows, (T, B, D), and which are no padding, (T, B) or None."""
    rng = None if shuffle_seed is None else np.random.default_rng(shuffle_seed)
    for indices in batches_of(windows, BATCH_SIZE):
        stored, lengths = windows.gather(indices), windows.lengths[indices]
        if rng is not None:
            for column, length in enumerate(lengths):
                stored[:length, column] = rng.permutation(stored[:length, column])
        is_whole = bool((lengths == windows.length).all())
        valid = None if is_whole else valid_frames(torch.from_numpy(lengths).to(device), windows.length)
        yield model.inputs(torch.from_numpy(stored).to(device), valid), valid


def average_over_windows(windows: VideoWindows, probabilities: NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
    """Return the class probabilities of each source video, the mean over all windows of all of its crops.

    {index of the source's first video: (K,)}, in the order of the videos.
    """
    sources = windows.features.source_videos
    first_video = {int(source): video for video, source in reversed(list(enumerate(sources.tolist())))}
    chosen, positions = np.unique(sources[windows.videos], return_inverse=True)
    totals = np.zeros((len(chosen), probabilities.shape[1]))
    np.add.at(totals, positions, probabilities)
    means = totals / np.bincount(positions)[:, None]
    return dict(zip([first_video[source] for source in chosen.tolist()], means, strict=True))
