import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from vidrep.metrics.frame_metrics import (
    SMALLEST_PROBABILITY,
    absolute_error,
    bernoulli_nats,
    entropy_floor,
    squared_error,
)

T, B, D = 3, 2, 50


@pytest.fixture
def frames() -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    prediction, target = rng.random((2, T, B, D))
    return torch.from_numpy(prediction).float(), torch.from_numpy(target).float()


def test_squared_error_equals_a_plain_loop(frames: tuple[Tensor, Tensor]) -> None:
    prediction, target = (one.double().numpy() for one in frames)
    expected = [[sum((prediction[t, b] - target[t, b]) ** 2) for b in range(B)] for t in range(T)]
    metric = squared_error(*frames)
    assert metric.shape == (T, B)
    assert metric.dtype == torch.float64
    np.testing.assert_allclose(metric.numpy(), expected, rtol=1e-6)


def test_absolute_error_equals_a_plain_loop(frames: tuple[Tensor, Tensor]) -> None:
    prediction, target = (one.double().numpy() for one in frames)
    expected = [[sum(abs(prediction[t, b] - target[t, b])) for b in range(B)] for t in range(T)]
    metric = absolute_error(*frames)
    assert (metric.shape, metric.dtype) == ((T, B), torch.float64)
    np.testing.assert_allclose(metric.numpy(), expected, rtol=1e-6)


def test_bernoulli_nats_equals_a_plain_loop(frames: tuple[Tensor, Tensor]) -> None:
    expected = np.zeros((T, B))
    for t, b, d in np.ndindex(T, B, D):
        p, v = frames[0][t, b, d].item(), frames[1][t, b, d].item()
        expected[t, b] += -v * math.log(p) - (1 - v) * math.log(1 - p)
    metric = bernoulli_nats(*frames)
    assert metric.dtype == torch.float64
    np.testing.assert_allclose(metric.numpy(), expected, rtol=1e-6)


def test_entropy_floor_equals_a_plain_loop_and_is_reached_by_the_target_alone(frames: tuple[Tensor, Tensor]) -> None:
    prediction, target = frames
    expected = np.zeros((T, B))
    for t, b, d in np.ndindex(T, B, D):
        v = target[t, b, d].item()
        expected[t, b] -= v * math.log(v) + (1 - v) * math.log(1 - v)
    np.testing.assert_allclose(entropy_floor(target).numpy(), expected, rtol=1e-6)
    torch.testing.assert_close(entropy_floor(target), bernoulli_nats(target, target))
    assert (bernoulli_nats(prediction, target) > entropy_floor(target)).all()


def test_certain_and_right_is_zero_certain_and_wrong_a_known_amount() -> None:
    target = torch.tensor([0.0, 1.0]).expand(1, 1, 2)
    assert entropy_floor(target).item() == 0
    assert bernoulli_nats(target, target).item() == 0
    assert bernoulli_nats(1 - target, target).item() == pytest.approx(-2 * math.log(SMALLEST_PROBABILITY), rel=1e-6)


@pytest.mark.parametrize("smallest", [1e-12, 1e-9, 1e-4])
def test_the_clamp_does_not_shift_a_mean_frame(smallest: float, monkeypatch: pytest.MonkeyPatch) -> None:
    ink = torch.randint(0, 256, (4, 100, D), generator=torch.Generator().manual_seed(0)).double() / 255
    ink[..., :10] = 0  # never drawn on, as the corners of Moving MNIST
    ink[..., 10:20] *= torch.arange(100)[:, None] == 0  # seldom drawn on
    mean = ink.mean(dim=(0, 1)).expand_as(ink)
    metric = bernoulli_nats(mean, ink).mean()
    monkeypatch.setattr("vidrep.metrics.frame_metrics.SMALLEST_PROBABILITY", smallest)
    assert bernoulli_nats(mean, ink).mean().item() == pytest.approx(metric.item(), abs=1e-9)
    assert metric.item() == pytest.approx(entropy_floor(mean).mean().item(), abs=1e-9)


def test_sums_are_of_float64() -> None:
    target = torch.zeros(1, 1, 10_000_001)
    prediction = torch.full_like(target, 1.0)
    prediction[..., 0] = 2**13
    assert squared_error(prediction, target).item() == 2**26 + 10_000_000


def test_half_precision_is_compared_in_float32() -> None:
    prediction, target = torch.full((2, 1, 1, 4096), 0.3, dtype=torch.bfloat16)
    assert bernoulli_nats(prediction, target).item() == entropy_floor(target.float()).item()
    assert bernoulli_nats(torch.ones_like(target), target).isfinite().all()


@pytest.mark.parametrize(
    "metric", [squared_error, absolute_error, bernoulli_nats, lambda _, target: entropy_floor(target)]
)
def test_frames_that_do_not_fit_are_refused(metric: Callable[[Tensor, Tensor], Tensor]) -> None:
    with pytest.raises(ValueError, match=r"expected \(T, B, D\)"):
        metric(torch.zeros(2, 3), torch.zeros(2, 3))
    with pytest.raises(TypeError, match=r"torch\.uint8.*expected floating point"):
        metric(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4, dtype=torch.uint8))


@pytest.mark.parametrize("metric", [squared_error, absolute_error, bernoulli_nats])
def test_frames_are_never_broadcast(metric: Callable[[Tensor, Tensor], Tensor]) -> None:
    with pytest.raises(ValueError, match=r"\(2, 1, 4\) and \(2, 3, 4\)"):
        metric(torch.zeros(2, 1, 4), torch.zeros(2, 3, 4))
