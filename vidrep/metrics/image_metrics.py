"""How alike a predicted frame and the true one are, in the measures of the literature on images: more is better.

Shapes: T time, B batch, D values of a frame, H x W pixels of it with C channels, N images.
Values lie in [0, 1]: the data range of both measures is 1. Predictions beyond it are compared as they are, not clipped.
"""

import math
from functools import cache

import torch
from torch import Tensor

from .frame_metrics import check_frames, squared_error, sum_values

SMALLEST_MEAN_SQUARED_ERROR = 1e-10
"""What `psnr` takes a smaller mean squared error for: a frame predicted exactly has 100 dB, not infinitely many."""

SSIM_WINDOW = 11
"""Pixels along each side of the Gaussian window of `ssim`; frames with a shorter side have none."""

_SIGMA, _K1, _K2 = 1.5, 0.01, 0.03
_C1, _C2 = _K1**2, _K2**2  # for a data range of 1


def psnr(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of each frame in dB, 10 log10(1 / mse): (T, B, D) twice -> (T, B).

    mse is the squared error's mean over a frame's D values; it counts as `SMALLEST_MEAN_SQUARED_ERROR` where it is
    smaller.
    """
    mean_squared_error = squared_error(prediction, target) / target.shape[-1]
    return -10 * mean_squared_error.clamp(min=SMALLEST_MEAN_SQUARED_ERROR).log10()


def ssim(prediction: Tensor, target: Tensor, *, frame_shape: tuple[int, ...]) -> Tensor:
    """Return the structural similarity of each frame, 1 for equal ones: (T, B, D) twice -> (T, B).

    (2 m_x m_y + C1) (2 s_xy + C2) / ((m_x^2 + m_y^2 + C1) (s_x^2 + s_y^2 + C2)) with means m, variances s^2 and
    covariance s_xy under a Gaussian window of 11 x 11 pixels and sigma 1.5, C1 = 0.01^2, C2 = 0.03^2; averaged over all
    places where the window lies within the frame, and over channels. Wang, Bovik, Sheikh, Simoncelli, "Image Quality
    Assessment: From Error Visibility to Structural Similarity", IEEE TIP 2004; scikit-image calls it
    structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1).

    frame_shape: (H, W) or (H, W, C). Computed in float32. Raises ValueError for frames smaller than the window.
    """
    check_frames(prediction, target)
    if not has_ssim(frame_shape) or math.prod(frame_shape) != target.shape[-1]:
        raise ValueError(f"frames of {frame_shape} with {target.shape[-1]} values; expected (H, W) or (H, W, C)")
    repeated = target.stride(0) == 0  # `Tensor.expand` made it: all copies have the same statistics
    x, y = _images(prediction, frame_shape), _images(target[:1] if repeated else target, frame_shape)
    mean_x, mean_y = _blurred(x), _blurred(y)
    means, squares = mean_x * mean_y, mean_x.square() + mean_y.square()
    covariance = _blurred(x * y) - means
    variances = _blurred(x.square()) + _blurred(y.square()) - squares
    similarity = (2 * means + _C1) * (2 * covariance + _C2) / ((squares + _C1) * (variances + _C2))
    per_place = similarity.flatten(2)  # (T, B, places and channels)
    return sum_values(per_place) / per_place.shape[-1]


def has_ssim(frame_shape: tuple[int, ...]) -> bool:
    """Whether frames are images with room for the window of `ssim`."""
    return len(frame_shape) in (2, 3) and min(frame_shape[:2]) >= SSIM_WINDOW


def _images(frames: Tensor, frame_shape: tuple[int, ...]) -> Tensor:
    """Turn frames, (T, B, D), into images, (T, B, C, H, W) float32."""
    height, width = frame_shape[:2]
    return frames.float().reshape(*frames.shape[:2], height, width, -1).movedim(-1, 2).contiguous()


def _blurred(images: Tensor) -> Tensor:
    """Weigh every window of 11 x 11 pixels: (..., H, W) -> (..., H - 10, W - 10).

    As two products with banded matrices, which took about a third of the time of two convolutions with one channel each
    (64x64 and 224x224 pixels, torch 2.15 on a CPU).
    """
    height, width = images.shape[-2:]
    return _band(height, images.device).T @ (images @ _band(width, images.device))


@cache  # a GPU would wait for it to be made and copied, ten times a measure
@torch.inference_mode(mode=False)  # the cached tensor must also serve callers that differentiate
def _band(size: int, device: torch.device) -> Tensor:
    """Return the matrix that slides the window along a side, (size, size - 10), not to be written to."""
    distances = torch.arange(SSIM_WINDOW, dtype=torch.float64) - SSIM_WINDOW // 2
    weights = torch.exp(-0.5 * (distances / _SIGMA).square())
    starts = torch.arange(size - SSIM_WINDOW + 1)
    band = torch.zeros(size, len(starts), dtype=torch.float64)
    band[starts + torch.arange(SSIM_WINDOW)[:, None], starts] = (weights / weights.sum())[:, None]
    return band.float().to(device)
