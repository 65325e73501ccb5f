"""The scaler, there and back."""

import numpy as np
import torch

from vidrep.models.scaling import FrameScaler


def scaler(values: str) -> FrameScaler:
    one = FrameScaler(3, values)  # type: ignore[arg-type]
    one.mean.copy_(torch.tensor([1.0, 0.0, -2.0]))
    one.std.copy_(torch.tensor([2.0, 1.0, 0.5]))
    return one


def test_real_values_are_standardized_and_come_back() -> None:
    stored = torch.tensor([[[3.0, 4.0, -2.5]]], dtype=torch.float16)
    frames = scaler("real")(stored)
    assert frames.dtype == torch.float32
    assert frames.flatten().tolist() == [1.0, 4.0, -1.0]
    torch.testing.assert_close(scaler("real").to_original(frames), stored.float())


def test_pixels_are_divided_by_255_and_as_probabilities_left_at_that() -> None:
    stored = torch.tensor([[0, 51, 255]], dtype=torch.uint8)
    expected = np.array([[0.0, 0.2, 1.0]], dtype=np.float32)
    np.testing.assert_allclose(scaler("probability").original(stored).numpy(), expected)
    np.testing.assert_allclose(scaler("probability")(stored).numpy(), expected)
    np.testing.assert_allclose(scaler("probability").to_original(torch.from_numpy(expected)).numpy(), expected)
    np.testing.assert_allclose(scaler("real")(stored).numpy(), (expected - [1, 0, -2]) / [2, 1, 0.5], rtol=1e-6)


def test_mean_and_deviation_are_saved_with_the_model() -> None:
    assert list(scaler("real").state_dict()) == ["mean", "std"]
