"""Errors of predicted frames: one value a frame, summed over its values and averaged over nothing.

Shapes: T time, B batch, D values of a frame. Frames come as floating point, are compared in float32 (float64 if they
are float64), and are summed in float64, so that means over many frames can be taken safely.

Results on Moving MNIST in these units are in Srivastava, Mansimov, Salakhutdinov, "Unsupervised Learning of Video
Representations using LSTMs", ICML 2015, and its successors. All functions raise ValueError for tensors that are not
(T, B, D) or not alike, and TypeError for whole numbers, such as pixels not yet divided by 255.
"""

import torch
from torch import Tensor

SMALLEST_PROBABILITY = 1e-6
"""What `bernoulli_nats` takes a smaller probability for: a value that is certain and wrong has 13.8 nats."""


def squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the squared error of each frame, summed over its D values, without 1/2: (T, B, D) twice -> (T, B)."""
    check_frames(prediction, target)
    return sum_values((_at_least_float32(prediction) - _at_least_float32(target)).square())


def absolute_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the absolute error of each frame, summed over its D values: (T, B, D) twice -> (T, B).

    This sum is what the literature of Moving MNIST calls MAE.
    """
    check_frames(prediction, target)
    return sum_values((_at_least_float32(prediction) - _at_least_float32(target)).abs())


def bernoulli_nats(probability: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of each frame in nats, -v log p - (1-v) log(1-p) summed over D: (T, B, D) -> (T, B).

    probability p and target v lie in [0, 1]; that is not checked. p and 1-p count as `SMALLEST_PROBABILITY` where
    they are smaller, so every result is finite, and that of a value that is certain and right is 0.
    """
    check_frames(probability, target)
    p, v = _at_least_float32(probability), _at_least_float32(target)
    log_ink = p.clamp(min=SMALLEST_PROBABILITY).log()
    log_black = (1 - p).clamp(min=SMALLEST_PROBABILITY).log()
    return sum_values(-v * log_ink - (1 - v) * log_black)


def entropy_floor(target: Tensor) -> Tensor:
    """Return the entropy of each frame in nats, its values taken as probabilities, 0 log 0 = 0: (T, B, D) -> (T, B).

    No prediction of 8-bit pixels has lower `bernoulli_nats`. Values lie in [0, 1]; one outside makes the entropy -inf.
    """
    check_frames(target, target)
    v = _at_least_float32(target)
    return sum_values(torch.special.entr(v) + torch.special.entr(1 - v))


def check_frames(prediction: Tensor, target: Tensor) -> None:
    """Raise ValueError or TypeError unless both are (T, B, D) of floating point."""
    if prediction.shape != target.shape or target.ndim != 3:
        raise ValueError(f"frames are {tuple(prediction.shape)} and {tuple(target.shape)}, expected (T, B, D) twice")
    if not (prediction.is_floating_point() and target.is_floating_point()):
        raise TypeError(f"frames are {prediction.dtype} and {target.dtype}, expected floating point")


def _at_least_float32(frames: Tensor) -> Tensor:
    return frames if frames.dtype == torch.float64 else frames.float()


def sum_values(values: Tensor) -> Tensor:
    """Sum over the last dimension in float64: (..., D) -> (...)."""
    if values.device.type == "mps":  # which has no float64
        values = values.cpu()
    return values.sum(dim=-1, dtype=torch.float64)
