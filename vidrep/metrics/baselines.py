"""Classifiers without an LSTM, to be beaten: logistic regression, fitted on the same videos and kept in the run.

Shapes: N frames of a video, D values of a frame, K classes.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from ..errors import InputError
from ..features.store import Features
from ..files import writing_file
from ..models.inputs import InputTransforms

NAME = "baselines.safetensors"
# Frames that the single-frame classifier is fitted on at most, evenly spread over the videos' frames.
_MAX_FRAMES = 20_000
_MAX_ITERATIONS = 300


@dataclass(frozen=True)
class LinearClassifier:
    """Softmax regression: weight (K, D), bias (K,)."""

    weight: Tensor
    bias: Tensor

    def probabilities(self, frames: Tensor) -> Tensor:
        """Classify frames: (N, D) -> (N, K)."""
        return (frames @ self.weight.T + self.bias).softmax(dim=-1)


@dataclass(frozen=True)
class Baselines:
    """What a classifier is measured against.

    single_frame: trained on frames by themselves; a video's probability is the mean over its frames.
    mean_feature: trained on videos' mean frames.
    """

    single_frame: LinearClassifier
    mean_feature: LinearClassifier

    def video_probabilities(self, frames: Tensor) -> dict[str, Tensor]:
        """Classify one video from its standardized frames, (N, D): {baseline: (K,)}."""
        return {
            "single frame": self.single_frame.probabilities(frames).mean(dim=0),
            "mean feature": self.mean_feature.probabilities(frames.mean(dim=0, keepdim=True))[0],
        }


def standardized_frames(features: Features, video: int, inputs: InputTransforms) -> Tensor:
    """Return all frames of a video, (N, D), each value with mean 0 and deviation 1 over the training frames."""
    stored = np.array(features.rows(video)).reshape(-1, features.frame_size)
    return inputs.standardize(torch.from_numpy(stored))


def fit_baselines(
    videos: Iterable[Tensor], *, lengths: Sequence[int], classes: NDArray[np.int64], num_classes: int
) -> Baselines:
    """Fit both on videos' standardized frames, each (N, D), which are taken one video at a time.

    lengths: N of each video; classes: of each video.

    Logistic regression of scikit-learn with its default penalty (L2, C = 1).
    """
    ends = np.cumsum(lengths)
    kept = np.linspace(0, ends[-1] - 1, min(ends[-1], _MAX_FRAMES)).astype(np.int64)
    frames, means, of_frames, of_means = [], [], [], []
    for video, end, of_video in zip(videos, ends, classes, strict=True):
        if len(video) == 0:
            continue
        start = end - len(video)
        chosen = video[kept[(kept >= start) & (kept < end)] - start]
        frames.append(chosen)
        of_frames += [of_video] * len(chosen)
        means.append(video.mean(dim=0))
        of_means.append(of_video)
    return Baselines(
        single_frame=_fit(torch.cat(frames).numpy(), np.array(of_frames), num_classes),
        mean_feature=_fit(torch.stack(means).numpy(), np.array(of_means), num_classes),
    )


def _fit(inputs: NDArray[np.float32], classes: NDArray[np.int64], num_classes: int) -> LinearClassifier:
    weight, bias = torch.zeros(num_classes, inputs.shape[1]), torch.full((num_classes,), -torch.inf)
    present = np.unique(classes)
    if len(present) == 1:
        bias[present[0]] = 0.0
        return LinearClassifier(weight, bias)
    model = LogisticRegression(max_iter=_MAX_ITERATIONS)
    with warnings.catch_warnings():
        # On separable data more iterations only make a certain classifier more certain.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs, classes)
    # With two classes scikit-learn keeps one row: the second class against the first.
    coefficients, intercepts = (
        (np.vstack([0 * model.coef_, model.coef_]), np.append(0.0, model.intercept_))
        if len(present) == 2
        else (model.coef_, model.intercept_)
    )
    weight[present] = torch.from_numpy(coefficients).float()
    bias[present] = torch.from_numpy(intercepts).float()
    return LinearClassifier(weight, bias)


def save_baselines(folder: Path, baselines: Baselines) -> None:
    """Publish the baselines in a run folder."""
    content = save(
        {
            f"{name}.{parameter}": getattr(getattr(baselines, name), parameter)
            for name in ("single_frame", "mean_feature")
            for parameter in ("weight", "bias")
        }
    )
    with writing_file(folder / NAME, num_bytes=len(content)) as file:
        file.write_at(content, 0)


def load_baselines(folder: Path) -> Baselines:
    """Read the baselines of a run folder.

    Raises InputError if they are missing or damaged.
    """
    try:
        state = load_file(folder / NAME)
        linear = {
            name: LinearClassifier(state[f"{name}.weight"], state[f"{name}.bias"])
            for name in ("single_frame", "mean_feature")
        }
    except (OSError, KeyError, SafetensorError) as error:
        raise InputError(f"{folder / NAME}: cannot be read ({error}); the run is not finished, or damaged") from error
    return Baselines(**linear)
