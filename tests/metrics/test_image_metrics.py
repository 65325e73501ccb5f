"""SSIM and PSNR are those of scikit-image, and those of the equations in plain NumPy."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import metrics as skimage_metrics

from vidrep.metrics.image_metrics import has_ssim, psnr, ssim

T, B = 3, 2
skimage: Any = skimage_metrics  # which has no types
Floats = NDArray[np.float64]
SHAPES = [(11, 11), (16, 29), (64, 64), (13, 17, 3), (12, 12, 1)]


def frames_of(shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """A target and a prediction, (T, B, *shape): like it, unlike it, flat, all but equal."""
    rng = np.random.default_rng(len(shape))
    target = rng.random((T, B, *shape))
    target[1] *= rng.random((B, *shape)) < 0.1  # mostly black
    prediction = np.clip(target + rng.normal(0, 0.2, target.shape), 0, 1)
    prediction[0, 0], prediction[1, 1] = 0, 1 - target[1, 1]
    prediction[2, 1] = target[2, 1] + 1e-4
    return target, prediction


def tensors(*arrays: Floats) -> list[torch.Tensor]:
    return [torch.from_numpy(array).reshape(T, B, -1).float() for array in arrays]


def of_each(prediction: Floats, target: Floats, measure: Callable[[Floats, Floats], float]) -> Floats:
    return np.array([[measure(target[t, b], prediction[t, b]) for b in range(B)] for t in range(T)])


def plain_ssim(x: Floats, y: Floats) -> float:
    """Window by window, of one channel."""
    weights = np.array([[math.exp(-(i**2 + j**2) / (2 * 1.5**2)) for j in range(-5, 6)] for i in range(-5, 6)])
    weights /= weights.sum()
    found = []
    for top, left in np.ndindex(x.shape[0] - 10, x.shape[1] - 10):
        a, b = (one[top : top + 11, left : left + 11] for one in (x, y))
        mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
        spread_a, spread_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
        shared = (weights * (a - mean_a) * (b - mean_b)).sum()
        means = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
        found.append(means * (2 * shared + 9e-4) / (spread_a + spread_b + 9e-4))
    return float(np.mean(found))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_ssim_is_that_of_scikit_image(shape: tuple[int, ...]) -> None:
    target, prediction = frames_of(shape)
    expected = of_each(
        prediction,
        target,
        lambda x, y: skimage.structural_similarity(
            x,
            y,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
            channel_axis=2 if len(shape) == 3 else None,
        ),
    )
    metrics = ssim(*tensors(prediction, target), frame_shape=shape)
    assert metrics.dtype == torch.float64
    assert np.ptp(expected) > 0.5
    np.testing.assert_allclose(metrics.numpy(), expected, atol=2e-6)


def test_ssim_is_that_of_the_equation() -> None:
    target, prediction = frames_of((14, 12))
    metrics = ssim(*tensors(prediction, target), frame_shape=(14, 12))
    np.testing.assert_allclose(metrics.numpy(), of_each(prediction, target, plain_ssim), atol=2e-6)


def test_a_repeated_target_is_the_same_target() -> None:
    target, prediction = tensors(*frames_of((12, 13)))
    repeated = target[:1].expand_as(target)
    assert torch.equal(
        ssim(prediction, repeated, frame_shape=(12, 13)), ssim(prediction, repeated.clone(), frame_shape=(12, 13))
    )


def test_ssim_has_a_gradient_also_after_it_was_computed_without() -> None:
    target, prediction = tensors(*frames_of((15, 12)))
    with torch.inference_mode():
        ssim(prediction, target, frame_shape=(15, 12))
    prediction.requires_grad_(True)
    ssim(prediction, target, frame_shape=(15, 12)).sum().backward()  # type: ignore[no-untyped-call]
    assert prediction.grad is not None
    assert 0 < float(prediction.grad.norm()) < math.inf


def test_equal_frames_have_ssim_1_and_100_db() -> None:
    target, _ = tensors(*frames_of((16, 16)))
    np.testing.assert_allclose(ssim(target, target, frame_shape=(16, 16)), 1, atol=1e-6)
    assert (psnr(target, target) == 100).all()
    assert psnr(target + 1e-6, target).max() == 100  # a mean squared error of 1e-12


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_psnr_is_that_of_scikit_image(shape: tuple[int, ...]) -> None:
    target, prediction = frames_of(shape)
    expected = of_each(prediction, target, lambda x, y: skimage.peak_signal_noise_ratio(x, y, data_range=1))
    assert 0 < expected.min() < 20 < expected.max() < 99
    np.testing.assert_allclose(psnr(*tensors(prediction, target)).numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("shape", "has"), [((11, 11), True), ((10, 64), False), ((64, 10, 3), False), ((121,), False), ((11, 11, 3), True)]
)
def test_frames_with_a_side_below_11_have_no_ssim(shape: tuple[int, ...], has: bool) -> None:
    assert has_ssim(shape) == has
    if not has:
        frames = torch.zeros(1, 1, math.prod(shape))
        with pytest.raises(ValueError, match=r"expected \(H, W\) or \(H, W, C\)"):
            ssim(frames, frames, frame_shape=shape)


def test_frames_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="with 122 values"):
        ssim(torch.zeros(1, 1, 122), torch.zeros(1, 1, 122), frame_shape=(11, 11))
    with pytest.raises(ValueError, match=r"\(1, 1, 121\) and \(2, 1, 121\)"):
        ssim(torch.zeros(1, 1, 121), torch.zeros(2, 1, 121), frame_shape=(11, 11))
    with pytest.raises(ValueError, match=r"\(1, 1, 121\) and \(2, 1, 121\)"):
        psnr(torch.zeros(1, 1, 121), torch.zeros(2, 1, 121))
