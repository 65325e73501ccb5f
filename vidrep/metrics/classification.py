"""What a classifier says of windows and of whole videos.

Shapes: T time, B batch, W windows, V videos, K classes.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..features.store import Features
from ..models.classifier import Classifier, window_probabilities
from ..models.saved import ModelDescription, ScaledModel
from ..sequences.windows import Windows, batches_of, sliding_windows

BATCH_SIZE = 64  # windows at once when nothing is learned


def classification_windows(features: Features, videos: Sequence[int], description: ModelDescription) -> Windows:
    """Cut the windows that a classifier reads; a video shorter than one gives one that is padded."""
    return sliding_windows(
        features,
        videos,
        length=description.windows["length"],
        stride=description.windows["stride"],
        keep_short=True,
    )


@torch.inference_mode()
def classify_windows(
    model: ScaledModel, windows: Windows, *, device: torch.device, shuffle_seed: int | None = None
) -> NDArray[np.float64]:
    """Return the class probabilities of all windows, (W, K).

    shuffle_seed: put each window's frames into random order first, to see what their order tells.
    """
    if not isinstance(model.model, Classifier):
        raise TypeError(f"a {type(model.model).__name__} does not classify")
    model.to(device).eval()
    rng = None if shuffle_seed is None else np.random.default_rng(shuffle_seed)
    batches: list[Tensor] = []
    for indices in batches_of(windows, BATCH_SIZE):
        stored, lengths = windows.gather(indices), windows.lengths[indices]
        if rng is not None:
            for column, length in enumerate(lengths):
                stored[:length, column] = rng.permutation(stored[:length, column])
        logits = model.model(model.scaler(torch.from_numpy(stored).to(device)))
        batches.append(window_probabilities(logits, torch.from_numpy(lengths).to(device)).cpu().double())
    return torch.cat(batches).numpy()


def average_over_windows(windows: Windows, probabilities: NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
    """Return each video's class probabilities, the mean of its windows': {index of the video: (K,)}."""
    videos, positions = np.unique(windows.videos, return_inverse=True)
    totals = np.zeros((len(videos), probabilities.shape[1]))
    np.add.at(totals, positions, probabilities)
    means = totals / np.bincount(positions)[:, None]
    return dict(zip(videos.tolist(), means, strict=True))
